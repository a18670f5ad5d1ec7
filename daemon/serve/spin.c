/* SPDX-License-Identifier: MIT */
/* daemon/serve/spin.c - how long the data loop looks for a request before it sleeps */
#include "serve/spin.h"

bool spin_pays(const struct spin *spin)
{
	uint64_t most_ns = spin->options.most_ns;

	return spin->options.is_always || spin->gaps_ns[0] <= most_ns ||
	       spin->gaps_ns[1] <= most_ns;
}

uint64_t spin_ns(const struct spin *spin)
{
	bool rests = spin->rests > 0 && !spin->options.is_always;

	return spin_pays(spin) && !rests ? spin->options.most_ns : 0;
}

void spin_sleep(struct spin *spin, uint64_t idle_ns)
{
	/* A sleep that ends without work, and the next one, are one sleep. */
	if (!spin->has_slept && spin_ns(spin) > 0)
		spin->looked_ns = idle_ns;
	spin->has_slept = true;
	if (spin->rests > 0)
		spin->rests--;
}

void spin_learn(struct spin *spin, uint64_t idle_ns)
{
	uint64_t gap_ns = idle_ns;

	/* It came as soon as the CPU was free: whoever asks shares it. */
	if (spin->looked_ns > 0 && idle_ns < spin->looked_ns + spin->options.most_ns / 2)
		spin->rests = SPIN_RESTS;
	/* A request waits for a sleeper to wake; one who looks sees it when it comes. */
	if (spin->has_slept)
		gap_ns -= gap_ns < spin->options.wake_ns ? gap_ns : spin->options.wake_ns;
	spin->looked_ns = 0;
	spin->has_slept = false;
	spin->gaps_ns[1] = spin->gaps_ns[0];
	spin->gaps_ns[0] = gap_ns;
}

/* SPDX-License-Identifier: MIT */
/* tests/peers/hearth.c - an echo through hearthd, with both sides polling, and with both asleep */
#include <stdlib.h>

#include "peer.h"
#include "tests/system/crowd.h"
#include "tests/system/tandem.h"

#define SPIN_NS 1000000 /* nobody sleeps within a slice */

static struct tandem *start(const struct peer_plan *plan, int64_t spin_ns)
{
	struct tandem *tandem = calloc(1, sizeof(*tandem));

	must(tandem, "no memory");
	tandem_open(tandem, plan->cpu, plan->cpu_other, spin_ns);
	return tandem;
}

static void *polling_start(const struct peer_plan *plan)
{
	return start(plan, SPIN_NS);
}

static void *sleeping_start(const struct peer_plan *plan)
{
	return start(plan, 0);
}

static void echo(void *state, uint32_t bytes, uint64_t turn)
{
	tandem_echo(state, bytes, turn);
}

static void rest(void *state)
{
	tandem_rest(state);
}

static void stop(void *state)
{
	tandem_close(state);
	free(state);
}

const struct peer peer_hearth_polling = {
	.name = "hearth, polling",
	.start = polling_start,
	.echo = echo,
	.rest = rest,
	.stop = stop,
};

const struct peer peer_hearth_sleeping = {
	.name = "hearth, sleeping",
	.start = sleeping_start,
	.echo = echo,
	.rest = rest,
	.stop = stop,
};

/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/spin.h - how long the data loop looks for a request before it sleeps
 *
 * Owns:     nothing
 * Threads:  the data thread
 * Units:    ns
 *
 * Looking pays while the next request comes within the time that a sleep and a wake cost, as it did
 * one of the last two times. Where whoever asks shares the CPU, looking keeps the request away: after
 * a look that was in vain for this reason the loop sleeps at once for a while.
 */
#ifndef HEARTH_SERVE_SPIN_H
#define HEARTH_SERVE_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#define SPIN_RESTS 32 /* sleeps at once, after looking kept the one from its CPU who then asked */

struct spin_options {
	uint64_t most_ns; /* to look for requests before sleeping, ... */
	bool is_always;   /* ... also when it does not seem to pay */
	uint64_t wake_ns; /* what the loop's own wake takes */
};

struct spin {
	struct spin_options options;
	uint64_t gaps_ns[2]; /* between work and the next request, the last two times */
	uint64_t looked_ns;  /* in vain, before it fell asleep; 0: it did not look */
	uint32_t rests;      /* sleeps before which it does not look */
	bool has_slept;      /* since it last had work */
};

/* Does the next request come so soon that looking pays, whoever has the CPU? */
bool spin_pays(const struct spin *spin);

/* How long to look before sleeping; 0: not at all. */
uint64_t spin_ns(const struct spin *spin);

/* It sleeps now, so long after its last work. */
void spin_sleep(struct spin *spin, uint64_t idle_ns);

/* A request was found, so long after the last work. */
void spin_learn(struct spin *spin, uint64_t idle_ns);

#endif

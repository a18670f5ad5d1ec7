/* SPDX-License-Identifier: MIT */
/*
 * tests/hostile/garbage.h - a client that writes whatever comes to its mind, wherever it can
 *
 * It never checks an answer; the daemon must live, and the clients beside it
 * must get theirs. When it is thrown out it comes back.
 *
 * Errors:   `must` (crowd.h)
 */
#ifndef HEARTH_TESTS_SYSTEM_GARBAGE_H
#define HEARTH_TESTS_SYSTEM_GARBAGE_H

#include <stdint.h>

struct garbage_plan {
	const char *socket;
	uint64_t seed;
	uint64_t rounds; /* 0: until *stop */
	const uint64_t *stop;   /* a shared word */
	uint64_t *rounds_done;  /* shared words that count on */
	uint64_t *thrown_out;
};

/* For crowd_start. */
void garbage_run(void *plan);

#endif

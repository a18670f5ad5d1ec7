/* SPDX-License-Identifier: MIT */
/*
 * tests/death/steps.h - clients that are killed after every instruction of each call
 *
 * Every scene (scenes.h) is played again and again, and each time its process is killed at one
 * more place (visits.h), while a neighbour is served. Then the daemon holds what it held before.
 *
 * Errors:   `must` (crowd.h)
 */
#ifndef HEARTH_TESTS_SYSTEM_STEPS_H
#define HEARTH_TESTS_SYSTEM_STEPS_H

#include <stdint.h>

#include "tests/system/appliance.h"

struct steps_plan {
	/* 0: every place, until no scene shows one more. Else every scene is played once as a whole,
	 * and a place is drawn from one after the other, for so long and once at least. */
	int64_t budget_ns;
	uint64_t seed;
};

struct steps_count {
	uint64_t kills;
	uint64_t scenes; /* in which somebody was killed */
	uint64_t known;  /* places */
	uint64_t killed; /* of them */
};

/* On a daemon without other clients; leaves none behind. Prints what it did. */
struct steps_count steps_run(const struct appliance *appliance, const struct steps_plan *plan);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tests/system/neighbour.h - an honest client in a process of its own, beside a hostile one
 *
 * It asks for everything, checks every answer, and ends the test when one is wrong.
 */
#ifndef HEARTH_TESTS_NEIGHBOUR_H
#define HEARTH_TESTS_NEIGHBOUR_H

#include <stdint.h>
#include <sys/types.h>

#include "appliance.h"
#include "ledger.h"

struct neighbour {
	struct ledger_plan plan;
	uint64_t *stop;
	uint64_t *answered;
	pid_t pid;
};

/* Returns when it has got its first answer. */
struct neighbour neighbour_begin(const struct appliance *appliance);
/* One that sleeps for so long after each answer. */
struct neighbour neighbour_begin_calm(const struct appliance *appliance, int64_t pause_ns);

/* It is served now, not only before. */
void neighbour_check(const struct neighbour *neighbour);

void neighbour_end(const struct neighbour *neighbour);

#endif

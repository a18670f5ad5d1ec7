/* SPDX-License-Identifier: MIT */
/*
 * tests/system/swaps.h - versions 1 and 2 of shoppers take turns while clients ask
 *
 * Errors:   `must` (crowd.h): a request that fails, or an answer that is not its version's
 */
#ifndef HEARTH_TESTS_SYSTEM_SWAPS_H
#define HEARTH_TESTS_SYSTEM_SWAPS_H

#include <stdint.h>

#include "appliance.h"

#define SWAPS_CLIENTS_MAX 8

struct swaps_plan {
	uint32_t clients;
	uint64_t swaps;
	uint64_t seed;
	bool drains; /* the one goes before the other is loaded */
};

/* On a daemon that serves one version. */
void swaps_run(const struct appliance *appliance, const struct swaps_plan *plan);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tests/death/kills.h - clients that are killed at random moments, and others beside them
 *
 * Errors:   `must` (crowd.h): a bystander that is not served, or something that the daemon
 *           does not give back
 */
#ifndef HEARTH_TESTS_SYSTEM_KILLS_H
#define HEARTH_TESTS_SYSTEM_KILLS_H

#include <stdint.h>

#include "tests/system/appliance.h"

#define KILLS_CLIENTS_MAX 32

struct kills_plan {
	uint32_t victims;    /* at any moment */
	uint32_t bystanders;
	uint64_t kills;
	uint64_t seed;
};

/* On a daemon without other clients; leaves none behind. */
void kills_run(const struct appliance *appliance, const struct kills_plan *plan);

#endif

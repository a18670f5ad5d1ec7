/* SPDX-License-Identifier: MIT */
/*
 * tests/nth/nth_script.h - what is asked of a hearthd in which something fails
 *
 * Owns:     the connections of its two clients
 * Threads:  one thread at a time
 * Errors:   a step returns 0 or -errno; a wrong answer, or none in time, is a `must`
 */
#ifndef HEARTH_TESTS_SYSTEM_NTH_SCRIPT_H
#define HEARTH_TESTS_SYSTEM_NTH_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "client/hearth.h"
#include "tests/system/appliance.h"

#define NTH_LOAD 1u    /* version 1 */
#define NTH_CONNECT 2u /* two clients; each is told what the model looks like */
#define NTH_SERVE 4u   /* 100 requests of rows, every score checked */
#define NTH_SWAP 8u    /* to version 2, and the rows again */
#define NTH_STATUS 16u /* hearthctl's tables */
#define NTH_UNLOAD 32u /* version 1, which may be there or not */
#define NTH_ALL 63u

struct script {
	const struct appliance *appliance;
	struct hearth *clients[2];
	const struct hearth_model_info *models[2];
};

/* Plays the steps in order. Where `must_succeed`, each has a few tries, and at least one of them
 * succeeds. Stops and returns false when hearthd has ended. */
bool script_play(struct script *script, uint32_t steps, bool must_succeed);
void script_close(struct script *script);
/* Also where somebody else has to wait for it. */
bool script_has_ended(const struct appliance *appliance);

#endif

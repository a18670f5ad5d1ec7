/* SPDX-License-Identifier: MIT */
/*
 * tests/nth/nth_campaign.h - which numbers fail, and with which errors
 *
 * Of the allocations: `numbers` of them, by HEARTH_SEED. Of each kind of system
 * call: every number up to `numbers`, and beyond it as many again, spread evenly
 * over the rest. 0: all.
 *
 * Threads:  one thread at a time
 * Errors:   a bad outcome is counted in nth->counts and ends nth_close
 */
#ifndef HEARTH_TESTS_SYSTEM_NTH_CAMPAIGN_H
#define HEARTH_TESTS_SYSTEM_NTH_CAMPAIGN_H

#include "tests/nth/nth.h"
#include "tests/nth/nth_client.h"

struct campaign {
	const char *what; /* for the line that says how much there was */
	const char *call; /* this kind of system call alone; NULL: all */
	uint32_t steps;
	uint32_t numbers;
	bool is_round; /* against one daemon that is ready */
	bool once;
	bool for_ever;
};

/* Every call site's first, second and last allocation. */
void campaign_allocations(struct nth *nth, const struct campaign *campaign);
/* Every kind of system call, with every error that is plausible. */
void campaign_calls(struct nth *nth, const struct campaign *campaign);
/* Both for a client, once and for ever; without `has_tracer` its allocations alone. */
void campaign_client(struct nth *nth, bool has_tracer);

#endif

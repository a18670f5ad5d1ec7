/* SPDX-License-Identifier: MIT */
/*
 * tests/nth/stress_nth.c - every n-th allocation and system call fails, once and for ever
 *
 * HEARTH_NTH_NUMBERS: so many numbers of each kind of system call, and as many
 * spread over the rest; 0: all. HEARTH_NTH_CALL: one kind alone.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "nth_campaign.h"
#include "tests/system/crowd.h"

#define NUMBERS 4

static void campaign(void)
{
	struct campaign start = { .what = "start, serve, stop", .steps = NTH_ALL, .once = true,
				  .for_ever = true };
	struct campaign ready = { .what = "ready", .steps = NTH_ALL, .is_round = true,
				  .once = true, .for_ever = true };
	bool has_tracer;
	struct nth nth;

	nth_open(&nth);
	has_tracer = trace_is_possible();
	campaign_client(&nth, has_tracer);
	campaign_allocations(&nth, &start);
	start.numbers = ready.numbers = (uint32_t)crowd_setting("HEARTH_NTH_NUMBERS", NUMBERS);
	if (has_tracer) {
		campaign_calls(&nth, &start);
		nth_begin(&nth);
		ready.steps = NTH_CONNECT | NTH_STATUS;
		campaign_calls(&nth, &ready);
		nth_end(&nth);
		/* The loops wait with another call, and the rest is the same. */
		appliance_write(nth.appliance.config, "wait = poll\n");
		start.call = ready.call = "ppoll";
		campaign_calls(&nth, &start);
		nth_begin(&nth);
		campaign_calls(&nth, &ready);
		nth_end(&nth);
	} else {
		printf("strace is not there, or may not trace here: no system call failed\n");
	}
	printf("%" PRIu64 " went on, %" PRIu64 " refused, %" PRIu64 " ended cleanly, %" PRIu64
	       " crashed, hung, leaked or lied\n", nth.counts[NTH_WENT_ON],
	       nth.counts[NTH_REFUSED], nth.counts[NTH_ENDED], nth.counts[NTH_BAD]);
	nth_close(&nth);
}

int main(int argc, char **argv)
{
	nth_client_main(argc, argv);
	if (CROWD_SLOWDOWN > 1) {
		printf("SKIP: a sanitizer's own allocations would fail\n");
		return EXIT_SUCCESS;
	}
	return appliance_campaign(campaign);
}

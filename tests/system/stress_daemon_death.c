/* SPDX-License-Identifier: MIT */
/*
 * tests/system/stress_daemon_death.c - 200 daemons killed (HEARTH_DAEMON_KILLS, HEARTH_SEED) while 8
 * clients wait
 */
#include <inttypes.h>
#include <stdio.h>

#include "appliance.h"
#include "crowd.h"
#include "waiters.h"

#define KILLS (200 / CROWD_SLOWDOWN)
#define CLIENTS 8

static void campaign(void)
{
	struct waiters_plan plan = {
		.clients = CLIENTS,
		.kills = (uint32_t)crowd_setting("HEARTH_DAEMON_KILLS", KILLS),
	};
	struct waiters_count count;
	struct appliance appliance;

	plan.seed = crowd_seed("daemon");
	appliance_open(&appliance, NULL);
	count = waiters_run(&appliance, &plan);
	printf("%u daemons killed, %u clients waiting each: %" PRIu64 " requests answered, %" PRIu64
	       " reported lost, none run twice\n", plan.kills, CLIENTS, count.answered, count.lost);
	printf("a clean error after %.1f ms (p50), %.1f ms (max); %" PRIu64 " of %" PRIu64
	       " later than 50 ms\n", (double)count.time_ns_p50 / 1e6,
	       (double)count.time_ns_max / 1e6, count.late, count.times);
	must(plan.kills < 2 || (count.lost > 0 && count.answered > 0), "nothing was at stake");
	appliance_close(&appliance);
}

int main(void)
{
	return appliance_campaign(campaign);
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/death/stress_daemon_death.c - 200 daemons killed (HEARTH_DAEMON_KILLS, HEARTH_SEED) while 8
 * clients wait
 */
#include <inttypes.h>
#include <stdio.h>

#include "tests/system/appliance.h"
#include "tests/system/crowd.h"
#include "waiters.h"

#define KILLS (200 / CROWD_SLOWDOWN)
#define CLIENTS 8
#define NS_PER_MS 1e6

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
	printf("a clean error after %.1f ms (p50), %.1f ms (max); a bare socket hung up after %.1f "
	       "ms, %.1f ms\n", (double)count.time_ns_p50 / NS_PER_MS,
	       (double)count.time_ns_max / NS_PER_MS, (double)count.hangup_ns_p50 / NS_PER_MS,
	       (double)count.hangup_ns_max / NS_PER_MS);
	printf("of %" PRIu64 " times, %" PRIu64 " more than 50 ms after SIGKILL, %" PRIu64
	       " more than 50 ms after the hang-up\n", count.times, count.late, count.late_behind);
	must(plan.kills < 2 || (count.lost > 0 && count.answered > 0), "nothing was at stake");
	appliance_close(&appliance);
}

int main(void)
{
	return appliance_campaign(campaign);
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/death/stress_daemon_death.c - 200 daemons killed (HEARTH_DAEMON_KILLS, HEARTH_SEED) while 8
 * clients wait: half of them wait by io_uring where that is permitted, half by poll
 */
#include <inttypes.h>
#include <stdio.h>

#include "tests/system/appliance.h"
#include "tests/system/crowd.h"
#include "waiters.h"

#define KILLS (200 / CROWD_SLOWDOWN)
#define CLIENTS 8
#define NS_PER_MS 1e6

static void kill_all(const char *const flags[])
{
	struct waiters_plan plan = {
		.flags = flags,
		.clients = CLIENTS,
		.kills = (uint32_t)crowd_setting("HEARTH_DAEMON_KILLS", KILLS) / 2,
	};
	struct waiters_count count;
	struct appliance appliance;

	plan.seed = crowd_seed(flags[1]);
	appliance_open(&appliance, plan.flags);
	count = waiters_run(&appliance, &plan);
	printf("--wait %s: %u daemons killed, %u clients waiting each: %" PRIu64 " requests answered, %" PRIu64
	       " reported lost, none run twice\n", flags[1], plan.kills, CLIENTS, count.answered, count.lost);
	printf("a clean error after %.1f ms (p50), %.1f ms (max); a bare socket hung up after %.1f "
	       "ms, %.1f ms\n", (double)count.time_ns_p50 / NS_PER_MS,
	       (double)count.time_ns_max / NS_PER_MS, (double)count.hangup_ns_p50 / NS_PER_MS,
	       (double)count.hangup_ns_max / NS_PER_MS);
	printf("of %" PRIu64 " times, %" PRIu64 " more than 50 ms after SIGKILL, %" PRIu64
	       " more than 50 ms after the hang-up\n", count.times, count.late, count.late_behind);
	must(plan.kills < 2 || (count.lost > 0 && count.answered > 0), "nothing was at stake");
	appliance_close(&appliance);
}

static void campaign(void)
{
	kill_all((const char *const[]){ "--wait", "auto", NULL });
	kill_all((const char *const[]){ "--wait", "poll", NULL });
}

int main(void)
{
	return appliance_campaign(campaign);
}

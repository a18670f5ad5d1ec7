/* SPDX-License-Identifier: MIT */
/* tests/death/stress_death.c - 10,000 clients killed among 32 (HEARTH_KILLS, HEARTH_SEED), over both bells and poll */
#include <inttypes.h>
#include <stdio.h>

#include "kills.h"
#include "tests/system/crowd.h"

#define KILLS (10000 / CROWD_SLOWDOWN)

static void campaign(void)
{
	static const char *const flags[][3] = { { "--bell", "auto", NULL },
						{ "--bell", "socket", NULL },
						{ "--wait", "poll", NULL } };
	const uint32_t ways = sizeof(flags) / sizeof(flags[0]);
	struct kills_plan plan = { .victims = 30, .bystanders = 2 };
	struct appliance appliance;
	uint32_t way;

	for (way = 0; way < ways; way++) {
		plan.kills = crowd_setting("HEARTH_KILLS", KILLS) / ways;
		plan.seed = crowd_seed(flags[way][1]);
		appliance_open(&appliance, flags[way]);
		kills_run(&appliance, &plan);
		appliance_close(&appliance);
	}
}

int main(void)
{
	return appliance_campaign(campaign);
}

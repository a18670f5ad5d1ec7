/* SPDX-License-Identifier: MIT */
/* tests/death/stress_death.c - 10,000 clients killed among 32 (HEARTH_KILLS, HEARTH_SEED), over both bells */
#include <inttypes.h>
#include <stdio.h>

#include "kills.h"
#include "tests/system/crowd.h"

#define KILLS (10000 / CROWD_SLOWDOWN)

static void campaign(void)
{
	static const char *const flags[][3] = { { "--bell", "auto", NULL },
						{ "--bell", "socket", NULL } };
	struct kills_plan plan = { .victims = 30, .bystanders = 2 };
	struct appliance appliance;
	uint32_t bell;

	for (bell = 0; bell < 2; bell++) {
		plan.kills = crowd_setting("HEARTH_KILLS", KILLS) / 2;
		plan.seed = crowd_seed(flags[bell][1]);
		appliance_open(&appliance, flags[bell]);
		kills_run(&appliance, &plan);
		appliance_close(&appliance);
	}
}

int main(void)
{
	return appliance_campaign(campaign);
}

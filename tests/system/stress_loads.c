/* SPDX-License-Identifier: MIT */
/* tests/system/stress_loads.c - 1,000 loads and unloads (HEARTH_LOADS): nothing stays */
#include <stdio.h>

#include "appliance.h"
#include "crowd.h"
#include "footprint.h"
#include "tests/exec/cold_model.h"

static void campaign(void)
{
	static const char *const names[] = { "shoppers", "cold", NULL };
	struct appliance appliance;
	char path[512];
	const char *flags[] = { "--config", path, NULL };

	footprint_small();
	appliance_init(&appliance);
	appliance_save(&appliance, "cold", cold_model());
	snprintf(path, sizeof(path), "%s/hearthd.conf", appliance.directory);
	appliance_write(path, "[model cold]\ncold = yes\n");
	appliance_start(&appliance, flags);
	footprint_stays(&appliance, names, crowd_setting("HEARTH_LOADS", 1000 / CROWD_SLOWDOWN));
	appliance_close(&appliance);
}

int main(void)
{
	return appliance_campaign(campaign);
}

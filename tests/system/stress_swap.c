/* SPDX-License-Identifier: MIT */
/* tests/system/stress_swap.c - 10,000 swaps under load (HEARTH_SWAPS, HEARTH_SEED) */
#include <inttypes.h>
#include <stdio.h>

#include "crowd.h"
#include "swaps.h"

#define SWAPS (10000 / CROWD_SLOWDOWN)
#define GROWTH_BYTES_MAX (UINT64_C(32) << 20)

static void campaign(void)
{
	struct swaps_plan warm_up = { .clients = 4, .swaps = 20, .seed = 1 };
	struct swaps_plan plan = { .clients = 4, .swaps = crowd_setting("HEARTH_SWAPS", SWAPS) };
	struct appliance appliance;
	uint64_t before_bytes;
	uint64_t after_bytes;
	uint32_t descriptors;

	appliance_open(&appliance, NULL);
	swaps_run(&appliance, &warm_up);
	await(appliance_number(&appliance, "clients") == 0);
	before_bytes = appliance_resident_bytes(&appliance);
	descriptors = appliance_descriptors(&appliance);
	plan.seed = crowd_seed("swaps");
	swaps_run(&appliance, &plan);
	appliance_await_clients(&appliance, 0, descriptors);
	after_bytes = appliance_resident_bytes(&appliance);
	printf("resident: %" PRIu64 " KiB before, %" PRIu64 " KiB after\n", before_bytes / 1024,
	       after_bytes / 1024);
	must(CROWD_SLOWDOWN > 1 || after_bytes < before_bytes + GROWTH_BYTES_MAX,
	     "versions leave something behind");
	appliance_close(&appliance);
}

int main(void)
{
	return appliance_campaign(campaign);
}

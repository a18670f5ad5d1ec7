/* SPDX-License-Identifier: MIT */
/*
 * tests/death/stress_kill_every_instruction.c - clients killed after every instruction of each call
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "scenes.h"
#include "stepper.h"
#include "steps.h"
#include "tests/system/appliance.h"
#include "tests/system/crowd.h"

#define EXIT_SKIP 77
#define KILLED_PER_MILLE 995
/* A sanitizer makes five times as many instructions: then places are drawn for so long. */
#define SANITIZED_NS (INT64_C(120) * 1000000000)

static void campaign(void)
{
	struct steps_plan plan = { .budget_ns = CROWD_SLOWDOWN > 1 ? SANITIZED_NS : 0 };
	struct appliance appliance;
	struct steps_count count;

	if (!stepper_is_able()) {
		printf("SKIP: no process can be run by single steps here\n");
		exit(EXIT_SKIP);
	}
	plan.seed = crowd_seed("steps");
	appliance_open(&appliance, NULL);
	count = steps_run(&appliance, &plan);
	must(count.scenes == SCENE_CALLS * SCENE_STATES, "%" PRIu64 " scenes", count.scenes);
	/* Some are seen once and never again; they are printed, and they are few. */
	must(plan.budget_ns > 0 || count.killed * 1000 >= count.known * KILLED_PER_MILLE,
	     "%" PRIu64 " of %" PRIu64 " places", count.killed, count.known);
	appliance_close(&appliance);
}

int main(void)
{
	return appliance_campaign(campaign);
}

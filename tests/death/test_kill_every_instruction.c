/* SPDX-License-Identifier: MIT */
/*
 * tests/death/test_kill_every_instruction.c - clients killed after instructions of each call
 *
 * They are drawn from all (HEARTH_SEED); stress_kill_every_instruction.c takes every one.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "scenes.h"
#include "stepper.h"
#include "steps.h"
#include "tests/system/appliance.h"
#include "tests/system/crowd.h"

#define TIMEOUT_S 110
#define BUDGET_NS (INT64_C(12) * 1000000000)
#define EXIT_SKIP 77

START_TEST(a_client_may_die_after_any_instruction_of_a_call)
{
	struct steps_plan plan = { .budget_ns = BUDGET_NS };
	struct appliance appliance;
	struct steps_count count;

	appliance_open(&appliance, NULL);
	plan.seed = crowd_seed("steps");
	count = steps_run(&appliance, &plan);
	ck_assert_uint_eq(count.scenes, SCENE_CALLS * SCENE_STATES);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kill every instruction");
	TCase *tcase = tcase_create("clients");

	if (!stepper_is_able()) {
		printf("SKIP: no process can be run by single steps here\n");
		return EXIT_SKIP;
	}
	tcase_set_timeout(tcase, TIMEOUT_S);
	tcase_add_test(tcase, a_client_may_die_after_any_instruction_of_a_call);
	suite_add_tcase(suite, tcase);
	return appliance_check(suite);
}

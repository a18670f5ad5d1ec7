/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_device.c - complete tables, and the environment's choice of a lesser one */
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

START_TEST(every_table_is_complete_and_says_its_class)
{
	struct kernel_outputs outputs;

	kernel_outputs_init(&outputs, 0);
	ck_assert_int_ge(outputs.count, 1);
	for (int device = 0; device < outputs.count; device++) {
		expect_int(strncmp(outputs.devices[device]->name, "cpu-", 4), 0);
		ck_assert_ptr_eq(cpu_device_by_name(outputs.devices[device]->name + 4),
				 outputs.devices[device]);
		ck_assert_int_ne(outputs.devices[device]->numerics, NUMERICS_NONE);
		for (int kernel = 0; kernel < KERNEL_COUNT; kernel++)
			expect(outputs.devices[device]->kernels[kernel] != NULL);
		for (int limit = 0; limit < LIMIT_COUNT; limit++)
			expect(outputs.devices[device]->limits[limit] != NULL);
	}
	kernel_outputs_deinit(&outputs);
}
END_TEST

START_TEST(the_best_table_is_chosen_unless_a_lesser_one_is_asked_for)
{
	struct kernel_outputs outputs;

	kernel_outputs_init(&outputs, 0);
	unsetenv("HEARTH_CPU");
	ck_assert_ptr_eq(cpu_device(), outputs.devices[outputs.count - 1]);
	setenv("HEARTH_CPU", "baseline", 1);
	ck_assert_str_eq(cpu_device()->name, "cpu-baseline");
	setenv("HEARTH_CPU", "no such table", 1);
	ck_assert_ptr_eq(cpu_device(), outputs.devices[outputs.count - 1]);
	kernel_outputs_deinit(&outputs);
}
END_TEST

START_TEST(an_unknown_name_has_no_table)
{
	ck_assert_ptr_null(cpu_device_by_name("cpu-v4"));
	ck_assert_ptr_null(cpu_device_by_name(""));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device");
	TCase *tcase = tcase_create("device");

	tcase_add_test(tcase, every_table_is_complete_and_says_its_class);
	tcase_add_test(tcase, the_best_table_is_chosen_unless_a_lesser_one_is_asked_for);
	tcase_add_test(tcase, an_unknown_name_has_no_table);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

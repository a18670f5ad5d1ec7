/* SPDX-License-Identifier: MIT */
/* tests/serve/test_offsets.c - offsets grow by what is before them, or stay as they are */
#include <check.h>
#include <string.h>

#include "serve/offsets.h"
#include "tests/suite.h"

#define COUNT 4
#define VALUES 7
#define FIRST 100

static const struct {
	int64_t data[COUNT];
	bool joins;         /* where the last one begins the last bag */
	bool joins_at_end;  /* and where it ends it */
} cases[] = {
	{ { 0, 2, 5, 7 }, true, true },
	{ { 0, 0, 0, 7 }, true, true },
	{ { 0, 7, 7, 7 }, true, true },
	{ { 0, 2, 5, 6 }, true, false },  /* a value of no bag at the end */
	{ { 0, 0, 0, 0 }, true, false },
	{ { 1, 2, 5, 7 }, false, false }, /* and before the first */
	{ { 0, 5, 2, 7 }, false, false },
	{ { 0, 2, 8, 7 }, false, false },
	{ { 0, 2, 5, 8 }, false, false },
	{ { -1, 2, 5, 7 }, false, false },
	{ { 0, -2, 5, 7 }, false, false },
	{ { 0, 2, 5, INT32_MAX }, false, false },
	{ { INT32_MIN, 2, 5, 7 }, false, false },
};

static void check_join(int index, enum dtype dtype, bool has_end)
{
	int32_t narrow[COUNT];
	int64_t wide[COUNT];
	struct offsets offsets = {
		.data = dtype == DTYPE_I64 ? (void *)wide : narrow,
		.dtype = dtype,
		.count = COUNT,
		.has_end = has_end,
		.values = VALUES,
	};
	bool joins = has_end ? cases[index].joins_at_end : cases[index].joins;

	for (int place = 0; place < COUNT; place++) {
		wide[place] = cases[index].data[place];
		narrow[place] = (int32_t)wide[place];
	}
	ck_assert_msg(offsets_join(&offsets, FIRST) == joins, "case %d", index);
	for (int place = 0; place < COUNT; place++) {
		int64_t wanted = cases[index].data[place] + (joins ? FIRST : 0);

		ck_assert_int_eq(dtype == DTYPE_I64 ? wide[place] : narrow[place], wanted);
	}
}

START_TEST(only_offsets_that_divide_all_values_are_joined)
{
	check_join(_i, DTYPE_I64, false);
	check_join(_i, DTYPE_I64, true);
	check_join(_i, DTYPE_I32, false);
	check_join(_i, DTYPE_I32, true);
}
END_TEST

START_TEST(numbers_far_outside_of_32_bits_are_not_taken_for_small_ones)
{
	int64_t data[COUNT] = { 0, INT64_C(1) << 32, 5, 7 };
	struct offsets offsets = {
		.data = data, .dtype = DTYPE_I64, .count = COUNT, .values = VALUES };

	ck_assert(!offsets_join(&offsets, FIRST));
	data[1] = INT64_MIN;
	ck_assert(!offsets_join(&offsets, FIRST));
	data[1] = INT64_MAX;
	ck_assert(!offsets_join(&offsets, FIRST));
	data[1] = 2;
	ck_assert(offsets_join(&offsets, FIRST));
}
END_TEST

START_TEST(a_batch_of_more_values_than_offsets_can_count_takes_no_more)
{
	int32_t data[COUNT] = { 0, 2, 5, 7 };
	struct offsets offsets = {
		.data = data, .dtype = DTYPE_I32, .count = COUNT, .values = VALUES };

	ck_assert(!offsets_join(&offsets, INT32_MAX - VALUES + 1));
	ck_assert_int_eq(data[3], 7);
	ck_assert(offsets_join(&offsets, INT32_MAX - VALUES));
	ck_assert_int_eq(data[3], INT32_MAX);
}
END_TEST

START_TEST(no_values_are_divided_by_zeros_and_no_offsets_divide_nothing)
{
	int64_t data[COUNT] = { 0, 0, 0, 0 };
	struct offsets offsets = {
		.data = data, .dtype = DTYPE_I64, .count = COUNT, .has_end = true };

	ck_assert(offsets_join(&offsets, FIRST));
	ck_assert_int_eq(data[0], FIRST);
	offsets.count = 0;
	ck_assert(!offsets_join(&offsets, FIRST));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("offsets");
	TCase *tests = tcase_create("offsets");

	tcase_add_loop_test(tests, only_offsets_that_divide_all_values_are_joined, 0,
			    sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tests, numbers_far_outside_of_32_bits_are_not_taken_for_small_ones);
	tcase_add_test(tests, a_batch_of_more_values_than_offsets_can_count_takes_no_more);
	tcase_add_test(tests, no_values_are_divided_by_zeros_and_no_offsets_divide_nothing);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/base/test_clamp.c - the mask is all ones inside the bound and nothing outside it */
#include <check.h>

#include "base/clamp.h"
#include "tests/suite.h"

static const uint64_t limits[] = { 1, 2, 63, 64, 65, 4096, UINT32_MAX, UINT64_C(1) << 32,
				   (UINT64_C(1) << 63) - 1 };

START_TEST(mask_is_all_ones_below_the_limit)
{
	uint64_t limit = limits[_i];

	ck_assert_uint_eq(clamp_mask(0, limit), UINT64_MAX);
	ck_assert_uint_eq(clamp_mask(limit / 2, limit), UINT64_MAX);
	ck_assert_uint_eq(clamp_mask(limit - 1, limit), UINT64_MAX);
}
END_TEST

START_TEST(mask_is_zero_from_the_limit_on)
{
	uint64_t limit = limits[_i];

	ck_assert_uint_eq(clamp_mask(limit, limit), 0);
	ck_assert_uint_eq(clamp_mask(limit + 1, limit), 0);
	ck_assert_uint_eq(clamp_mask(INT64_MAX, limit), 0);
}
END_TEST

START_TEST(nothing_is_below_a_limit_of_zero)
{
	ck_assert_uint_eq(clamp_mask(0, 0), 0);
	ck_assert_uint_eq(clamp_mask(1, 0), 0);
	ck_assert_uint_eq(clamp_mask(INT64_MAX, 0), 0);
}
END_TEST

START_TEST(an_index_outside_becomes_zero)
{
	uint32_t index;

	for (index = 0; index < 256; index++)
		ck_assert_uint_eq(clamp_index(index, 256), index);
	ck_assert_uint_eq(clamp_index(256, 256), 0);
	ck_assert_uint_eq(clamp_index(UINT32_MAX, 256), 0);
	ck_assert_uint_eq(clamp_index(UINT32_MAX - 1, UINT32_MAX), UINT32_MAX - 1);
}
END_TEST

int main(void)
{
	const int limit_count = (int)(sizeof(limits) / sizeof(limits[0]));
	Suite *suite = suite_create("clamp");
	TCase *tcase = tcase_create("clamp");

	tcase_add_loop_test(tcase, mask_is_all_ones_below_the_limit, 0, limit_count);
	tcase_add_loop_test(tcase, mask_is_zero_from_the_limit_on, 0, limit_count - 1);
	tcase_add_test(tcase, nothing_is_below_a_limit_of_zero);
	tcase_add_test(tcase, an_index_outside_becomes_zero);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

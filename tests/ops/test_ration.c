/* SPDX-License-Identifier: MIT */
/* tests/ops/test_ration.c - an answer is made again when it is paid, and given again until then */
#include <check.h>

#include "base/clock.h"
#include "ops/ration.h"
#include "tests/suite.h"

#define RATIO 1000000 /* days, however short an answer takes */
#define TEXTS 300     /* of more than the room that there is first */

static void answer_make(struct ration *ration, const char *text, uint32_t count)
{
	ration_begin(ration);
	while (count-- > 0)
		ration_keep(ration, text);
}

static void spend(uint64_t ns)
{
	uint64_t end_ns = clock_ns() + ns;

	while (clock_ns() < end_ns)
		continue;
}

START_TEST(the_first_answer_is_paid_and_nothing_is_remembered)
{
	struct ration ration = { 0 };
	size_t cursor = 0;

	ck_assert(ration_is_paid(&ration));
	ck_assert_ptr_null(ration_next(&ration, &cursor));
	ration_deinit(&ration);
}
END_TEST

START_TEST(until_it_is_paid_an_answer_is_there_whole_and_in_order)
{
	struct ration ration = { 0 };
	size_t cursor = 0;

	answer_make(&ration, "a row of some length", TEXTS);
	ration_keep(&ration, "");
	ration_keep(&ration, "last");
	spend(1000000);
	ck_assert(ration_end(&ration, RATIO, true));
	ck_assert(!ration_is_paid(&ration));
	for (uint32_t index = 0; index < TEXTS; index++)
		ck_assert_str_eq(ration_next(&ration, &cursor), "a row of some length");
	ck_assert_str_eq(ration_next(&ration, &cursor), "");
	ck_assert_str_eq(ration_next(&ration, &cursor), "last");
	ck_assert_ptr_null(ration_next(&ration, &cursor));
	ration_deinit(&ration);
}
END_TEST

START_TEST(an_answer_costs_so_many_times_what_it_took)
{
	struct ration ration = { 0 };

	answer_make(&ration, "row", 1);
	spend(1000000);
	ration_end(&ration, 3, true);
	ck_assert_uint_ge(ration.paid_ns, ration.begun_ns + 4 * UINT64_C(1000000));
	while (!ration_is_paid(&ration))
		continue;
	ck_assert_uint_ge(clock_ns(), ration.paid_ns);
	ration_deinit(&ration);
}
END_TEST

START_TEST(what_is_no_answer_is_not_given_and_is_paid_all_the_same)
{
	struct ration ration = { 0 };
	size_t cursor = 0;

	answer_make(&ration, "half", 1);
	spend(1000000);
	ck_assert(!ration_end(&ration, RATIO, false));
	ck_assert(!ration_is_paid(&ration));
	ck_assert_ptr_null(ration_next(&ration, &cursor));
	ration_deinit(&ration);
}
END_TEST

START_TEST(the_next_answer_forgets_the_last_one)
{
	struct ration ration = { 0 };
	size_t cursor = 0;

	answer_make(&ration, "old", TEXTS);
	ration_end(&ration, RATIO, true);
	answer_make(&ration, "new", 1);
	ck_assert_ptr_null(ration_next(&ration, &cursor));
	ck_assert(ration_end(&ration, RATIO, true));
	ck_assert_str_eq(ration_next(&ration, &cursor), "new");
	ck_assert_ptr_null(ration_next(&ration, &cursor));
	ration_deinit(&ration);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ration");
	TCase *tcase = tcase_create("ration");

	tcase_add_test(tcase, the_first_answer_is_paid_and_nothing_is_remembered);
	tcase_add_test(tcase, until_it_is_paid_an_answer_is_there_whole_and_in_order);
	tcase_add_test(tcase, an_answer_costs_so_many_times_what_it_took);
	tcase_add_test(tcase, what_is_no_answer_is_not_given_and_is_paid_all_the_same);
	tcase_add_test(tcase, the_next_answer_forgets_the_last_one);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

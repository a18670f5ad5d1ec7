/* SPDX-License-Identifier: MIT */
/* tests/serve/test_spin.c - looking for requests pays as long as they come soon, and only then */
#include <check.h>

#include "serve/spin.h"
#include "tests/suite.h"

#define MOST_NS 60000
#define WAKE_NS 30000
#define LONG_NS 1000000

static struct spin fresh(void)
{
	return (struct spin){ .options = { .most_ns = MOST_NS, .wake_ns = WAKE_NS } };
}

/* It looks as long as it does, and sleeps until a request that comes after so long. */
static void come_after(struct spin *spin, uint64_t gap_ns)
{
	bool sees = gap_ns < spin_ns(spin);

	if (!sees)
		spin_sleep(spin, spin_ns(spin));
	spin_learn(spin, sees ? gap_ns : gap_ns + WAKE_NS);
}

START_TEST(it_looks_while_one_of_the_last_two_requests_came_soon)
{
	struct spin spin = fresh();

	come_after(&spin, 1000);
	ck_assert_uint_eq(spin_ns(&spin), MOST_NS);
	come_after(&spin, LONG_NS);
	ck_assert_uint_eq(spin_ns(&spin), MOST_NS);
	come_after(&spin, LONG_NS);
	ck_assert_uint_eq(spin_ns(&spin), 0);
	come_after(&spin, LONG_NS);
	ck_assert(!spin_pays(&spin));
}
END_TEST

/* What a sleeper sees of a gap is longer by its own wake. */
START_TEST(its_own_wake_does_not_keep_it_asleep)
{
	struct spin spin = fresh();
	uint32_t request;

	for (request = 0; request < 4; request++)
		come_after(&spin, LONG_NS);
	ck_assert_uint_eq(spin_ns(&spin), 0);
	come_after(&spin, MOST_NS - 1);
	ck_assert_uint_eq(spin_ns(&spin), MOST_NS);
	come_after(&spin, MOST_NS - 1);
	ck_assert(!spin.has_slept);
	ck_assert_uint_eq(spin_ns(&spin), MOST_NS);
}
END_TEST

START_TEST(whoever_shares_its_cpu_is_not_kept_from_it)
{
	struct spin spin = fresh();
	uint32_t request;

	come_after(&spin, 1000);
	spin_sleep(&spin, MOST_NS);
	spin_learn(&spin, MOST_NS + 5000); /* as soon as the CPU was free */
	ck_assert(spin_pays(&spin));
	for (request = 0; request < SPIN_RESTS; request++) {
		ck_assert_uint_eq(spin_ns(&spin), 0);
		come_after(&spin, 5000);
	}
	ck_assert_uint_eq(spin_ns(&spin), MOST_NS);
}
END_TEST

/* A bounded sleep ends without work, too; what was looked for before the first one counts. */
START_TEST(sleeps_without_work_in_between_are_one)
{
	struct spin spin = fresh();

	spin_sleep(&spin, MOST_NS);
	spin_sleep(&spin, LONG_NS);
	spin_learn(&spin, LONG_NS + WAKE_NS);
	ck_assert_uint_eq(spin.rests, 0);
	ck_assert_uint_eq(spin.gaps_ns[0], LONG_NS);
}
END_TEST

START_TEST(who_is_told_to_look_always_looks)
{
	struct spin spin = fresh();
	uint32_t request;

	spin.options.is_always = true;
	for (request = 0; request < 4; request++) {
		come_after(&spin, LONG_NS);
		ck_assert_uint_eq(spin_ns(&spin), MOST_NS);
	}
	spin.rests = SPIN_RESTS;
	ck_assert_uint_eq(spin_ns(&spin), MOST_NS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spin");
	TCase *cases = tcase_create("spin");

	tcase_add_test(cases, it_looks_while_one_of_the_last_two_requests_came_soon);
	tcase_add_test(cases, its_own_wake_does_not_keep_it_asleep);
	tcase_add_test(cases, whoever_shares_its_cpu_is_not_kept_from_it);
	tcase_add_test(cases, sleeps_without_work_in_between_are_one);
	tcase_add_test(cases, who_is_told_to_look_always_looks);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}

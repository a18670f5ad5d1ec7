/* SPDX-License-Identifier: MIT */
/* tests/graph/test_liveness.c - values share bytes only when they never live at once */
#include <check.h>
#include <stdbool.h>
#include <stdlib.h>

#include "graph/liveness.h"
#include "tests/suite.h"

#define SEED 20260307
#define COUNT_MAX 120

static bool overlap(const struct lifetime *a, const struct lifetime *b)
{
	return a->first <= b->last && b->first <= a->last && a->offset < b->offset + b->bytes &&
	       b->offset < a->offset + a->bytes;
}

START_TEST(a_chain_needs_two_places)
{
	struct lifetime chain[10];
	uint64_t bytes;

	for (uint32_t index = 0; index < 10; index++)
		chain[index] = (struct lifetime){.bytes = 1000, .first = index, .last = index + 1};
	ck_assert_int_eq(liveness_assign(chain, 10, &bytes), 0);
	ck_assert_uint_eq(bytes, 2 * 1024);
}
END_TEST

START_TEST(no_values_need_no_bytes)
{
	uint64_t bytes = 5;

	ck_assert_int_eq(liveness_assign(NULL, 0, &bytes), 0);
	ck_assert_uint_eq(bytes, 0);
}
END_TEST

START_TEST(random_lifetimes_never_overlap_and_stay_below_their_sum)
{
	unsigned int seed = SEED + (unsigned int)_i;
	struct lifetime lifetimes[COUNT_MAX];
	uint32_t count = 1 + (uint32_t)rand_r(&seed) % COUNT_MAX;
	uint64_t total = 0, sum = 0;

	for (uint32_t index = 0; index < count; index++) {
		uint32_t first = (uint32_t)rand_r(&seed) % 50;

		lifetimes[index] = (struct lifetime){
			.bytes = (uint64_t)rand_r(&seed) % 5000,
			.first = first,
			.last = first + (uint32_t)rand_r(&seed) % 10,
		};
		sum += (lifetimes[index].bytes + LIVENESS_ALIGNMENT) & ~63ULL;
	}
	ck_assert_int_eq(liveness_assign(lifetimes, count, &total), 0);
	ck_assert_uint_le(total, sum);
	for (uint32_t left = 0; left < count; left++) {
		ck_assert_uint_eq(lifetimes[left].offset % LIVENESS_ALIGNMENT, 0);
		ck_assert_uint_le(lifetimes[left].offset + lifetimes[left].bytes, total);
		for (uint32_t right = 0; right < left; right++)
			ck_assert_msg(!overlap(&lifetimes[left], &lifetimes[right]), "seed %u",
				      SEED + (unsigned int)_i);
	}
}
END_TEST

START_TEST(sizes_beyond_memory_do_not_wrap)
{
	struct lifetime lifetimes[3] = {
		{.bytes = UINT64_MAX, .first = 0, .last = 2},
		{.bytes = UINT64_MAX - 5, .first = 1, .last = 2},
		{.bytes = 64, .first = 1, .last = 2},
	};
	uint64_t bytes;

	ck_assert_int_eq(liveness_assign(lifetimes, 3, &bytes), 0);
	ck_assert_uint_ge(bytes, 2 * LIVENESS_BYTES_MAX);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("liveness");
	TCase *tests = tcase_create("liveness");

	tcase_add_test(tests, a_chain_needs_two_places);
	tcase_add_test(tests, no_values_need_no_bytes);
	tcase_add_loop_test(tests, random_lifetimes_never_overlap_and_stay_below_their_sum, 0, 100);
	tcase_add_test(tests, sizes_beyond_memory_do_not_wrap);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

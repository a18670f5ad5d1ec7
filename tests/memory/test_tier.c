/* SPDX-License-Identifier: MIT */
/* tests/memory/test_tier.c - rows come, go and are told in order */

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "memory/tier.h"
#include "tests/suite.h"

static struct tier_table table;

static uint32_t row_add(const char *owner, uint64_t bytes)
{
	struct span span = { .bytes = bytes, .used_bytes = 2 * bytes, .backing = SPAN_THP };
	uint32_t row = UINT32_MAX;

	ck_assert_int_eq(tier_add_span(&table, &span, TIER_WEIGHTS, owner, &row), 0);
	return row;
}

static uint32_t rows_count(void)
{
	struct tier_entry entry;
	uint32_t count = 0;
	uint32_t row = 0;

	while (tier_next(&table, &row, &entry))
		count++;
	return count;
}

START_TEST(entry_is_told_as_it_was_added)
{
	struct span span = {
		.bytes = 100, .used_bytes = 2 << 20, .backing = SPAN_HUGE_2M, .node = 1,
	};
	struct tier_entry entry;
	uint32_t added;
	uint32_t row = 0;

	ck_assert_int_eq(tier_init(&table, 4), 0);
	ck_assert_int_eq(tier_add_span(&table, &span, TIER_ACTIVATIONS, "shoppers@2", &added), 0);
	ck_assert(tier_next(&table, &row, &entry));
	ck_assert_str_eq(entry.tier, "host");
	ck_assert_int_eq(entry.node, 1);
	ck_assert_str_eq(span_backing_name(entry.pages), "2M");
	ck_assert_str_eq(tier_use_name(entry.use), "activations");
	ck_assert_str_eq(entry.owner, "shoppers@2");
	ck_assert_uint_eq(entry.used_bytes, 100);
	ck_assert_uint_eq(entry.mapped_bytes, 2 << 20);
	ck_assert(!tier_next(&table, &row, &entry));

	tier_resize(&table, added, 60);
	row = 0;
	ck_assert(tier_next(&table, &row, &entry));
	ck_assert_uint_eq(entry.used_bytes, 60);
	tier_deinit(&table);
}
END_TEST

START_TEST(full_table_says_so_and_a_removed_row_is_used_again)
{
	struct tier_entry entry = { .tier = "host" };
	uint32_t first;
	uint32_t row = 77;

	ck_assert_int_eq(tier_init(&table, 2), 0);
	first = row_add("a", 1);
	row_add("b", 2);
	ck_assert_int_eq(tier_add(&table, &entry, &row), TIER_E_FULL);
	ck_assert_uint_eq(row, 77);
	tier_remove(&table, first);
	ck_assert_uint_eq(rows_count(), 1);
	ck_assert_uint_eq(row_add("c", 3), first);
	ck_assert_uint_eq(rows_count(), 2);
	tier_deinit(&table);
}
END_TEST

START_TEST(removal_while_telling_skips_nothing_else)
{
	struct tier_entry entry;
	uint32_t row = 0;

	ck_assert_int_eq(tier_init(&table, 8), 0);
	row_add("a", 1);
	row_add("b", 2);
	row_add("c", 3);
	ck_assert(tier_next(&table, &row, &entry));
	tier_remove(&table, 0);
	ck_assert(tier_next(&table, &row, &entry));
	ck_assert_str_eq(entry.owner, "b");
	ck_assert(tier_next(&table, &row, &entry));
	ck_assert_str_eq(entry.owner, "c");
	ck_assert(!tier_next(&table, &row, &entry));
	tier_deinit(&table);
}
END_TEST

START_TEST(long_owner_is_cut_and_ends)
{
	struct tier_entry entry;
	char owner[500];
	uint32_t row = 0;

	memset(owner, 'o', sizeof(owner) - 1);
	owner[sizeof(owner) - 1] = '\0';
	ck_assert_int_eq(tier_init(&table, 1), 0);
	row_add(owner, 1);
	ck_assert(tier_next(&table, &row, &entry));
	ck_assert_uint_eq(strlen(entry.owner), TIER_OWNER_BYTES - 1);
	tier_deinit(&table);
}
END_TEST

START_TEST(impossible_sizes_are_refused_and_deinit_accepts_zeroes)
{
	ck_assert_int_eq(tier_init(&table, 0), -EINVAL);
	ck_assert_int_eq(tier_init(&table, TIER_ENTRIES_MAX + 1), -EINVAL);
	tier_deinit(&table);
	tier_deinit(&table);
}
END_TEST

static void *adder(void *argument)
{
	int turn;

	(void)argument;
	for (turn = 0; turn < 5000; turn++)
		tier_remove(&table, row_add("thread", 1));
	return NULL;
}

START_TEST(two_threads_add_and_remove_while_a_third_tells)
{
	pthread_t threads[2];
	int turn;

	ck_assert_int_eq(tier_init(&table, 4), 0);
	for (turn = 0; turn < 2; turn++)
		ck_assert_int_eq(pthread_create(&threads[turn], NULL, adder, NULL), 0);
	for (turn = 0; turn < 5000; turn++)
		ck_assert_uint_le(rows_count(), 4);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	ck_assert_uint_eq(rows_count(), 0);
	tier_deinit(&table);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tier");
	TCase *tcase = tcase_create("tier");

	tcase_add_test(tcase, entry_is_told_as_it_was_added);
	tcase_add_test(tcase, full_table_says_so_and_a_removed_row_is_used_again);
	tcase_add_test(tcase, removal_while_telling_skips_nothing_else);
	tcase_add_test(tcase, long_owner_is_cut_and_ends);
	tcase_add_test(tcase, impossible_sizes_are_refused_and_deinit_accepts_zeroes);
	tcase_add_test(tcase, two_threads_add_and_remove_while_a_third_tells);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

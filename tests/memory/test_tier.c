/* SPDX-License-Identifier: MIT */
/* tests/memory/test_tier.c - rows come, go and are told in order */

#include <check.h>
#include <pthread.h>
#include <string.h>

#include "memory/tier.h"
#include "tests/suite.h"

static struct tier_table table;

static uint32_t range_add(const char *name, uintptr_t address, uint64_t bytes)
{
	const struct tier_owner owner = { &table, name, TIER_WEIGHTS };
	uint32_t row = TIER_NO_ROW;

	ck_assert_int_eq(tier_add_range(&owner, (void *)address, bytes, bytes, 0, &row), 0);
	ck_assert_uint_ne(row, TIER_NO_ROW);
	return row;
}

static uint32_t row_add(const char *name, uint64_t bytes)
{
	return range_add(name, 4096, bytes);
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
	const struct tier_owner owner = { &table, "shoppers@2", TIER_ACTIVATIONS };
	struct tier_entry entry;
	uint32_t added;
	uint32_t row = 0;

	tier_init(&table);
	ck_assert_int_eq(tier_add_range(&owner, (void *)8192, 100, 2 << 20, 1, &added), 0);
	ck_assert(tier_next(&table, &row, &entry));
	ck_assert_uint_eq(entry.address, 8192);
	ck_assert_int_eq(entry.node, 1);
	ck_assert_str_eq(tier_use_name(entry.use), "activations");
	ck_assert_str_eq(entry.owner, "shoppers@2");
	ck_assert_uint_eq(entry.used_bytes, 100);
	ck_assert_uint_eq(entry.mapped_bytes, 2 << 20);
	ck_assert(!tier_next(&table, &row, &entry));
	tier_deinit(&table);
}
END_TEST

START_TEST(there_is_room_for_any_number_and_a_removed_row_is_used_again)
{
	uint32_t rows[1000];
	uint32_t row;

	tier_init(&table);
	for (row = 0; row < 1000; row++)
		rows[row] = row_add("a", 1);
	ck_assert_uint_eq(rows_count(), 1000);
	tier_remove(&table, rows[500]);
	ck_assert_uint_eq(rows_count(), 999);
	ck_assert_uint_eq(row_add("c", 3), rows[500]);
	ck_assert_uint_eq(rows_count(), 1000);
	tier_deinit(&table);
}
END_TEST

START_TEST(where_nobody_keeps_books_there_is_no_row)
{
	const struct tier_owner nobody = { NULL, "a", TIER_WEIGHTS };
	uint32_t row = 77;

	tier_init(&table);
	ck_assert_int_eq(tier_add_range(NULL, &row, 1, 1, 0, &row), 0);
	ck_assert_uint_eq(row, TIER_NO_ROW);
	ck_assert_int_eq(tier_add_range(&nobody, &row, 1, 1, 0, &row), 0);
	ck_assert_uint_eq(row, TIER_NO_ROW);
	tier_remove(&table, row);
	ck_assert_uint_eq(rows_count(), 0);
	tier_deinit(&table);
}
END_TEST

/* `wanted` is "" where no row holds all of it. */
static void assert_owned(uintptr_t begin, uintptr_t end, const char *wanted)
{
	const struct tier_entry *entry;
	struct tier_view view;

	ck_assert_int_eq(tier_begin_view(&table, &view), 0);
	entry = tier_find(&view, begin, end);
	ck_assert_str_eq(entry ? entry->owner : "", wanted);
	tier_end_view(&view);
}

START_TEST(range_belongs_to_the_row_that_holds_all_of_it)
{
	tier_init(&table);
	range_add("high", 0x5000, 0x1000);
	range_add("low", 0x1000, 0x2000);
	range_add("nowhere", 0, 0x1000);
	assert_owned(0x1000, 0x3000, "low");
	assert_owned(0x2000, 0x3000, "low");
	assert_owned(0x5000, 0x6000, "high");
	assert_owned(0x0, 0x1000, "");
	assert_owned(0x2000, 0x4000, "");
	assert_owned(0x3000, 0x4000, "");
	assert_owned(0x6000, 0x7000, "");
	tier_deinit(&table);
}
END_TEST

START_TEST(of_two_rows_for_one_place_the_later_is_told)
{
	uint32_t first;

	tier_init(&table);
	first = range_add("first", 0x9000, 0x1000);
	range_add("gone", 0x1000, 0x1000);
	tier_remove(&table, first);
	range_add("later", 0x1000, 0x1000); /* in the row of `first`, before that of `gone` */
	assert_owned(0x1000, 0x2000, "later");
	tier_deinit(&table);
}
END_TEST

/* What is left of a row begins nearer to the middle of a span in several mappings. */
START_TEST(of_rows_that_overlap_the_last_one_that_holds_the_range_is_told)
{
	tier_init(&table);
	range_add("left", 0x3000, 0x1000);
	range_add("beside", 0x1000, 0x1800);
	range_add("span", 0x2000, 0x6000);
	range_add("behind", 0x7000, 0x2000);
	assert_owned(0x2000, 0x3000, "span");
	assert_owned(0x3000, 0x4000, "span");
	assert_owned(0x4000, 0x6000, "span");
	assert_owned(0x1000, 0x2000, "beside");
	assert_owned(0x1000, 0x2800, "beside");
	assert_owned(0x7000, 0x8000, "behind");
	assert_owned(0x6000, 0x8000, "span");
	assert_owned(0x6000, 0x9000, "");
	tier_deinit(&table);
}
END_TEST

START_TEST(removal_while_telling_skips_nothing_else)
{
	struct tier_entry entry;
	uint32_t first;
	uint32_t row = 0;

	tier_init(&table);
	first = row_add("a", 1);
	row_add("b", 2);
	row_add("c", 3);
	ck_assert(tier_next(&table, &row, &entry));
	tier_remove(&table, first);
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
	tier_init(&table);
	row_add(owner, 1);
	ck_assert(tier_next(&table, &row, &entry));
	ck_assert_uint_eq(strlen(entry.owner), TIER_OWNER_BYTES - 1);
	tier_deinit(&table);
}
END_TEST

START_TEST(deinit_accepts_zeroes)
{
	tier_init(&table);
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

	tier_init(&table);
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
	tcase_add_test(tcase, there_is_room_for_any_number_and_a_removed_row_is_used_again);
	tcase_add_test(tcase, where_nobody_keeps_books_there_is_no_row);
	tcase_add_test(tcase, range_belongs_to_the_row_that_holds_all_of_it);
	tcase_add_test(tcase, of_two_rows_for_one_place_the_later_is_told);
	tcase_add_test(tcase, of_rows_that_overlap_the_last_one_that_holds_the_range_is_told);
	tcase_add_test(tcase, removal_while_telling_skips_nothing_else);
	tcase_add_test(tcase, long_owner_is_cut_and_ends);
	tcase_add_test(tcase, deinit_accepts_zeroes);
	tcase_add_test(tcase, two_threads_add_and_remove_while_a_third_tells);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_hot_rows.c - rows that are pinned stay, those asked for often stay, others leave
 *
 * Every answer is compared with a list of who holds what; Zipf's law and scans are drawn from a
 * seed, so that hit rates are the same on every machine.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "exec/hot_rows.h"
#include "tests/suite.h"

#define SLOTS 64
#define WINDOW 16
#define KEYS 4096

static uint64_t seed;

static uint64_t draw(void)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return seed >> 33;
}

/* Takes, reads and gives back; tells whether it was there. */
static bool visit(struct hot_rows *rows, uint64_t key)
{
	uint32_t slot = HOT_ROWS_NONE;
	enum hot_row answer = hot_rows_take(rows, key, &slot);

	ck_assert_int_ne(answer, HOT_ROW_FULL);
	if (answer == HOT_ROW_WANTED)
		hot_rows_arrive(rows, slot, true);
	hot_rows_give(rows, slot);
	return answer == HOT_ROW_HERE;
}

START_TEST(a_row_is_wanted_once_and_then_here)
{
	struct hot_rows rows;
	uint32_t first, again;

	ck_assert_int_eq(hot_rows_init(&rows, SLOTS, WINDOW), 0);
	ck_assert_int_eq(hot_rows_take(&rows, 7, &first), HOT_ROW_WANTED);
	ck_assert_int_eq(hot_rows_take(&rows, 7, &again), HOT_ROW_COMING);
	ck_assert_uint_eq(first, again);
	hot_rows_arrive(&rows, first, true);
	ck_assert_int_eq(hot_rows_take(&rows, 7, &again), HOT_ROW_HERE);
	ck_assert_uint_eq(first, again);
	for (int turn = 0; turn < 3; turn++)
		hot_rows_give(&rows, first);
	ck_assert(visit(&rows, 7));
	ck_assert_uint_eq(rows.misses, 1);
	ck_assert_uint_eq(rows.hits, 3);
	hot_rows_deinit(&rows);
}
END_TEST

START_TEST(what_is_pinned_never_leaves)
{
	struct hot_rows rows;
	uint32_t pinned[SLOTS], slot;

	ck_assert_int_eq(hot_rows_init(&rows, SLOTS, WINDOW), 0);
	for (uint64_t key = 0; key < SLOTS; key++) {
		ck_assert_int_eq(hot_rows_take(&rows, key, &pinned[key]), HOT_ROW_WANTED);
		hot_rows_arrive(&rows, pinned[key], true);
	}
	ck_assert_int_eq(hot_rows_take(&rows, SLOTS, &slot), HOT_ROW_FULL);
	hot_rows_give(&rows, pinned[5]);
	ck_assert_int_eq(hot_rows_take(&rows, SLOTS, &slot), HOT_ROW_WANTED);
	ck_assert_uint_eq(slot, pinned[5]);
	for (uint64_t key = 0; key < SLOTS; key++) {
		uint32_t found;

		if (key == 5)
			continue;
		ck_assert_int_eq(hot_rows_take(&rows, key, &found), HOT_ROW_HERE);
		ck_assert_uint_eq(found, pinned[key]);
	}
	hot_rows_deinit(&rows);
}
END_TEST

START_TEST(a_failed_read_is_told_and_tried_again_by_the_next)
{
	struct hot_rows rows;
	uint32_t slot, other;

	ck_assert_int_eq(hot_rows_init(&rows, SLOTS, WINDOW), 0);
	ck_assert_int_eq(hot_rows_take(&rows, 9, &slot), HOT_ROW_WANTED);
	hot_rows_arrive(&rows, slot, false);
	ck_assert_int_eq(hot_rows_take(&rows, 9, &other), HOT_ROW_FAILED);
	hot_rows_give(&rows, other);
	hot_rows_give(&rows, slot);
	ck_assert_int_eq(hot_rows_take(&rows, 9, &slot), HOT_ROW_WANTED);
	hot_rows_arrive(&rows, slot, true);
	ck_assert_int_eq(hot_rows_take(&rows, 9, &slot), HOT_ROW_HERE);
	hot_rows_deinit(&rows);
}
END_TEST

/* Who holds what, kept in the plainest way. */
struct holder {
	uint64_t key;
	uint32_t slot;
};

START_TEST(every_answer_agrees_with_a_plain_list)
{
	static struct holder held[SLOTS];
	uint64_t content[SLOTS];
	struct hot_rows rows;
	uint32_t held_count = 0;

	ck_assert_int_eq(hot_rows_init(&rows, SLOTS, WINDOW), 0);
	memset(content, 0xff, sizeof(content));
	seed = 4711;
	for (uint32_t step = 0; step < 100000; step++) {
		uint64_t key = draw() % (draw() % 4 == 0 ? KEYS : SLOTS);
		uint32_t slot, index;
		enum hot_row answer;

		if (held_count == SLOTS || (held_count > 0 && draw() % 2 == 0)) {
			index = (uint32_t)(draw() % held_count);
			hot_rows_give(&rows, held[index].slot);
			held[index] = held[--held_count];
			continue;
		}
		answer = hot_rows_take(&rows, key, &slot);
		ck_assert_int_ne(answer, HOT_ROW_FULL);
		ck_assert_uint_lt(slot, SLOTS);
		if (answer == HOT_ROW_WANTED) {
			bool is_held = false;

			for (index = 0; index < held_count; index++)
				is_held = is_held || held[index].slot == slot ||
					  held[index].key == key;
			ck_assert(!is_held);
			content[slot] = key;
			hot_rows_arrive(&rows, slot, true);
		}
		ck_assert_uint_eq(content[slot], key);
		held[held_count++] = (struct holder){ key, slot };
		ck_assert_uint_le(rows.used_count, SLOTS);
	}
	ck_assert_uint_gt(rows.evictions, 1000);
	hot_rows_deinit(&rows);
}
END_TEST

/* Of Zipf's law with exponent 1.05 over KEYS: by bisection of its sums. */
static uint64_t draw_zipf(void)
{
	static double sums[KEYS];
	double at;
	uint32_t low = 0, high = KEYS - 1;

	if (sums[0] == 0)
		for (uint32_t rank = 0; rank < KEYS; rank++)
			sums[rank] = (rank > 0 ? sums[rank - 1] : 0) + pow(rank + 1, -1.05);
	at = (double)draw() / (double)(UINT64_C(1) << 31) * sums[KEYS - 1];
	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (sums[middle] < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What a cache of the latest rows would have had: its hit rate on the same questions. */
static uint32_t latest_hits(uint32_t question_count, bool scans)
{
	uint64_t order[SLOTS];
	uint32_t count = 0, hits = 0;
	uint64_t scan = KEYS;

	for (uint32_t step = 0; step < question_count; step++) {
		uint64_t key = scans && step % 2 ? scan++ : draw_zipf();
		uint32_t place = 0;

		while (place < count && order[place] != key)
			place++;
		if (place < count)
			hits++;
		else if (count < SLOTS)
			count++;
		else
			place = count - 1;
		memmove(order + 1, order, place * sizeof(order[0]));
		order[0] = key;
	}
	return hits;
}

static uint32_t hot_hits(uint32_t question_count, bool scans)
{
	struct hot_rows rows;
	uint32_t hits = 0;
	uint64_t scan = KEYS;

	ck_assert_int_eq(hot_rows_init(&rows, SLOTS, 4), 0);
	for (uint32_t step = 0; step < question_count; step++)
		hits += visit(&rows, scans && step % 2 ? scan++ : draw_zipf());
	hot_rows_deinit(&rows);
	return hits;
}

START_TEST(rows_asked_for_often_stay_also_beside_a_scan)
{
	uint32_t hits, latest;

	for (int scans = 0; scans < 2; scans++) {
		seed = 99;
		hits = hot_hits(100000, scans);
		seed = 99;
		latest = latest_hits(100000, scans);
		printf("%s: %.1f %% here; the latest rows alone %.1f %%\n",
		       scans ? "Zipf beside a scan" : "Zipf", hits / 1e3, latest / 1e3);
		ck_assert_uint_gt(hits * 100, latest * (scans ? 120 : 105));
	}
}
END_TEST

START_TEST(what_was_liked_once_makes_room_when_the_world_changes)
{
	struct hot_rows rows;
	uint32_t hits = 0;

	ck_assert_int_eq(hot_rows_init(&rows, SLOTS, 4), 0);
	seed = 5;
	for (uint32_t step = 0; step < 20000; step++)
		visit(&rows, draw() % (SLOTS / 2));
	for (uint32_t step = 0; step < 20000; step++) {
		bool is_here = visit(&rows, KEYS + draw() % (SLOTS / 2));

		hits += step >= 10000 && is_here;
	}
	ck_assert_uint_gt(hits, 9900);
	hot_rows_deinit(&rows);
}
END_TEST

START_TEST(impossible_sizes_are_refused)
{
	struct hot_rows rows;

	ck_assert_int_lt(hot_rows_init(&rows, 0, 0), 0);
	ck_assert_int_lt(hot_rows_init(&rows, 4, 0), 0);
	ck_assert_int_lt(hot_rows_init(&rows, 4, 5), 0);
	ck_assert_int_lt(hot_rows_init(&rows, UINT32_MAX, 5), 0);
	ck_assert_int_eq(hot_rows_init(&rows, 1, 1), 0);
	ck_assert(!visit(&rows, 1));
	ck_assert(visit(&rows, 1));
	ck_assert(!visit(&rows, 2));
	ck_assert(!visit(&rows, 1));
	hot_rows_deinit(&rows);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hot_rows");
	TCase *tests = tcase_create("hot_rows");

	tcase_add_test(tests, a_row_is_wanted_once_and_then_here);
	tcase_add_test(tests, what_is_pinned_never_leaves);
	tcase_add_test(tests, a_failed_read_is_told_and_tried_again_by_the_next);
	tcase_add_test(tests, every_answer_agrees_with_a_plain_list);
	tcase_add_test(tests, rows_asked_for_often_stay_also_beside_a_scan);
	tcase_add_test(tests, what_was_liked_once_makes_room_when_the_world_changes);
	tcase_add_test(tests, impossible_sizes_are_refused);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

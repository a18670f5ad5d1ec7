/* SPDX-License-Identifier: MIT */
/* tests/client/test_arena.c - ranges never overlap, and every byte comes back */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/arena.h"
#include "tests/suite.h"

#define TAKEN_MAX 512

struct taken {
	uint32_t offset;
	uint32_t bytes;
};

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

START_TEST(whole_area_is_one_range_and_then_nothing_is_left)
{
	static const uint32_t area_bytes[] = {4096, 8192, 1u << 20, 16u << 20, 1u << 30};
	struct hearth_arena arena;
	uint32_t offset;

	for (size_t size = 0; size < sizeof(area_bytes) / sizeof(area_bytes[0]); size++) {
		ck_assert(hearth_arena_init(&arena, area_bytes[size]));
		ck_assert(hearth_arena_acquire(&arena, area_bytes[size], &offset));
		ck_assert_uint_eq(offset, 0);
		ck_assert(!hearth_arena_acquire(&arena, 1, &offset));
		hearth_arena_release(&arena, 0, area_bytes[size]);
		ck_assert(hearth_arena_acquire(&arena, area_bytes[size] / 2 + 1, &offset));
		free(arena.tree);
	}
}
END_TEST

START_TEST(every_leaf_can_be_taken_once)
{
	struct hearth_arena arena;
	uint8_t seen[4096 / 64] = {0};
	uint32_t offset;

	ck_assert(hearth_arena_init(&arena, 4096));
	for (uint32_t leaf = 0; leaf < 64; leaf++) {
		ck_assert(hearth_arena_acquire(&arena, 1 + leaf, &offset));
		ck_assert_uint_eq(offset % 64, 0);
		ck_assert_uint_eq(seen[offset / 64]++, 0);
	}
	ck_assert(!hearth_arena_acquire(&arena, 1, &offset));
	free(arena.tree);
}
END_TEST

static void stress(uint32_t area_bytes, uint64_t seed)
{
	struct hearth_arena arena;
	struct taken taken[TAKEN_MAX];
	uint32_t taken_count = 0;
	uint64_t state = seed;
	uint32_t offset;

	ck_assert(hearth_arena_init(&arena, area_bytes));
	for (int step = 0; step < 20000; step++) {
		uint64_t dice = random_next(&state);

		if (taken_count < TAKEN_MAX && dice % 3 != 0) {
			uint32_t bytes =
				1 + (uint32_t)((dice >> 8) % (area_bytes >> (dice >> 50) % 12));

			if (!hearth_arena_acquire(&arena, bytes, &offset))
				continue;
			ck_assert_uint_eq(offset % HEARTH_ALIGN_BYTES, 0);
			ck_assert_uint_le((uint64_t)offset + bytes, area_bytes);
			for (uint32_t index = 0; index < taken_count; index++)
				if (offset + bytes > taken[index].offset &&
				    taken[index].offset + taken[index].bytes > offset)
					ck_abort_msg("%u+%u overlaps %u+%u", offset, bytes,
						     taken[index].offset, taken[index].bytes);
			taken[taken_count++] = (struct taken){offset, bytes};
		} else if (taken_count > 0) {
			uint32_t victim = (uint32_t)((dice >> 8) % taken_count);

			hearth_arena_release(&arena, taken[victim].offset, taken[victim].bytes);
			taken[victim] = taken[--taken_count];
		}
	}
	while (taken_count > 0) {
		taken_count--;
		hearth_arena_release(&arena, taken[taken_count].offset, taken[taken_count].bytes);
	}
	ck_assert(hearth_arena_acquire(&arena, area_bytes, &offset));
	free(arena.tree);
}

START_TEST(random_ranges_never_overlap_and_all_come_back)
{
	static const uint32_t area_bytes[] = {4096, 65536, 4u << 20, 16u << 20};
	uint64_t seed = (uint64_t)time(NULL) | 1;

	printf("seed %llu\n", (unsigned long long)seed);
	for (size_t size = 0; size < sizeof(area_bytes) / sizeof(area_bytes[0]); size++)
		stress(area_bytes[size], seed + 2 * size);
}
END_TEST

START_TEST(small_ranges_leave_large_blocks_whole)
{
	struct hearth_arena arena;
	uint32_t offset;

	ck_assert(hearth_arena_init(&arena, 65536));
	for (int range = 0; range < 100; range++)
		ck_assert(hearth_arena_acquire(&arena, 64, &offset));
	ck_assert(hearth_arena_acquire(&arena, 32768, &offset));
	ck_assert(hearth_arena_acquire(&arena, 16384, &offset));
	free(arena.tree);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client/arena.h");
	TCase *tcase = tcase_create("ranges");

	tcase_add_test(tcase, whole_area_is_one_range_and_then_nothing_is_left);
	tcase_add_test(tcase, every_leaf_can_be_taken_once);
	tcase_add_test(tcase, random_ranges_never_overlap_and_all_come_back);
	tcase_add_test(tcase, small_ranges_leave_large_blocks_whole);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

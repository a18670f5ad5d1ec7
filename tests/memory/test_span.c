/* SPDX-License-Identifier: MIT */
/*
 * tests/memory/test_span.c - each kind of page, for real where the machine lets us
 *
 * The huge page tests reserve pages in the pool of node 0 and give the same
 * number back. Where that is refused (not root, no memory) they print why and
 * pass without having looked.
 */

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/topology.h"
#include "memory/mapping.h"
#include "memory/span.h"
#include "tests/memory/huge_pool.h"
#include "tests/suite.h"

#define GIANT_TIMEOUT_S 60 /* 1 GiB is cleared */

static void bytes_check(const struct span *span)
{
	unsigned char *bytes = span->address;
	uint64_t at;

	for (at = 0; at < span->used_bytes; at += 4096) {
		ck_assert_uint_eq(bytes[at], 0);
		bytes[at] = 0xa5;
	}
	bytes[span->used_bytes - 1] = 0x5a;
}

/* write(2) reports an address it cannot read; a load there would end the test. */
static bool is_readable(const void *address)
{
	bool readable;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	readable = write(fds[1], address, 1) == 1;
	close(fds[0]);
	close(fds[1]);
	return readable;
}

START_TEST(small_pages_are_populated_and_zero)
{
	struct span span;

	ck_assert_int_eq(span_map(10000, -1, 0, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_4K);
	ck_assert_uint_eq(span.bytes, 10000);
	ck_assert_uint_eq(span.used_bytes, 12288);
	ck_assert_int_eq(span.node, -1);
	ck_assert_uint_eq(span_resident_pages(&span), 3);
	bytes_check(&span);
	span_unmap(&span);
	ck_assert_ptr_null(span.address);
}
END_TEST

/* _i is an index into sizes around a page. */
START_TEST(sizes_round_up_to_whole_pages)
{
	static const uint64_t sizes[] = { 1, 4095, 4096, 4097, 2097151, 2097152, 2097153 };
	struct span span;

	ck_assert_int_eq(span_map(sizes[_i], -1, 0, &span), 0);
	ck_assert_uint_eq(span.used_bytes, (sizes[_i] + 4095) / 4096 * 4096);
	bytes_check(&span);
	span_unmap(&span);
}
END_TEST

START_TEST(overrun_meets_a_guard_page_on_both_sides)
{
	struct span span;
	char *address;

	ck_assert_int_eq(span_map(8192, -1, 0, &span), 0);
	address = span.address;
	ck_assert(is_readable(address));
	ck_assert(is_readable(address + span.used_bytes - 1));
	ck_assert(!is_readable(address - 1));
	ck_assert(!is_readable(address + span.used_bytes));
	span_unmap(&span);
	ck_assert(!is_readable(address));
}
END_TEST

static const struct tier_entry *entry_of(struct tier_view *view, const void *address)
{
	return tier_find(view, (uintptr_t)address, (uintptr_t)address + 1);
}

START_TEST(a_span_is_in_its_owners_books_while_it_is_mapped)
{
	struct tier_table tiers;
	const struct tier_owner owner = { &tiers, "shoppers@2", TIER_POOLS };
	const struct tier_entry *entry;
	struct tier_view view;
	struct span span;
	void *address;

	tier_init(&tiers);
	ck_assert_int_eq(span_map_for(&owner, 5000, -1, _i, &span), 0);
	address = span.address;
	ck_assert_int_eq(tier_begin_view(&tiers, &view), 0);
	entry = entry_of(&view, address);
	ck_assert_ptr_nonnull(entry);
	ck_assert_str_eq(entry->owner, "shoppers@2");
	ck_assert_int_eq(entry->use, TIER_POOLS);
	ck_assert_uint_eq(entry->used_bytes, 5000);
	ck_assert_uint_eq(entry->mapped_bytes, span.used_bytes);
	tier_end_view(&view);
	span_unmap(&span);
	ck_assert_int_eq(tier_begin_view(&tiers, &view), 0);
	ck_assert_uint_eq(view.row_count, 0);
	tier_end_view(&view);
	tier_deinit(&tiers);
}
END_TEST

START_TEST(a_span_that_is_refused_leaves_no_row)
{
	struct tier_table tiers;
	const struct tier_owner owner = { &tiers, "shoppers@2", TIER_WEIGHTS };
	struct tier_entry entry;
	struct span span;
	uint32_t row = 0;

	tier_init(&tiers);
	ck_assert_int_eq(span_map_for(&owner, UINT64_C(1) << 45, -1, 1, &span), -ENOMEM);
	ck_assert(!tier_next(&tiers, &row, &entry));
	tier_deinit(&tiers);
}
END_TEST

START_TEST(zero_bytes_are_refused)
{
	struct span span = { .node = 42 };

	ck_assert_int_eq(span_map(0, -1, 1, &span), -EINVAL);
	ck_assert_str_eq(err_message(), "a span of zero bytes was asked for");
	ck_assert_int_eq(span.node, 42);
}
END_TEST

START_TEST(impossible_node_is_refused_and_the_possible_ones_are_named)
{
	struct span span = { .node = 42 };

	ck_assert_int_eq(span_map(4096, 63, 0, &span), -EINVAL);
	ck_assert_ptr_eq(strstr(err_message(), "node 63 has no memory to bind to"), err_message());
	ck_assert_ptr_nonnull(strstr(err_message(), "are: 0"));
	ck_assert_int_eq(span_map(4096, 100000, 0, &span), -EINVAL);
	ck_assert_int_eq(span.node, 42);
}
END_TEST

/* _i is whether huge pages are wanted. */
START_TEST(more_than_the_machine_has_is_refused_with_a_way_out)
{
	static const uint64_t sizes[] = { (uint64_t)1 << 44, UINT64_MAX - 4096, UINT64_MAX };
	struct span span = { .node = 42 };
	size_t index;

	for (index = 0; index < 3; index++) {
		ck_assert_int_eq(span_map(sizes[index], 0, _i, &span), -ENOMEM);
		ck_assert_ptr_eq(strstr(err_message(), "node 0 cannot hold"), err_message());
		ck_assert_ptr_nonnull(strstr(err_message(), "wanted"));
		ck_assert_ptr_nonnull(strstr(err_message(), "got"));
		ck_assert_ptr_nonnull(strstr(err_message(), "hearthctl unload MODEL"));
	}
	ck_assert_int_eq(span.node, 42);
}
END_TEST

START_TEST(unmap_accepts_a_zeroed_span)
{
	struct span span = { 0 };

	span_unmap(&span);
	span_unmap(&span);
}
END_TEST

START_TEST(locked_span_is_counted_by_the_kernel)
{
	char line[256];
	struct span span;
	long locked_kib = -1;
	FILE *status;

	ck_assert_int_eq(span_map(8192, -1, 0, &span), 0);
	status = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof(line), status))
		sscanf(line, "VmLck: %ld", &locked_kib);
	fclose(status);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* these make mlock a no-op */
	ck_assert_int_eq(span.is_locked, locked_kib >= 8);
#endif
	span_unmap(&span);
}
END_TEST

START_TEST(small_pages_bound_to_node_0_lie_there)
{
	struct span span;

	ck_assert_int_eq(span_map(64 * 4096, 0, 0, &span), 0);
	ck_assert_int_eq(span.node, 0);
	span_check_node_0(&span);
	span_unmap(&span);
}
END_TEST

/* Bytes of the span in mappings of each size of page. */
struct pages {
	const struct span *span;
	uint64_t giant_bytes;
	uint64_t other_bytes;
	uint64_t thp_bytes; /* of both: transparent huge pages */
};

static void pages_add(void *context, const struct mapping *map)
{
	struct pages *pages = context;
	uintptr_t begin = (uintptr_t)pages->span->address;

	if (map->begin < begin || map->end > begin + pages->span->used_bytes)
		return;
	pages->thp_bytes += map->thp_bytes;
	if (map->page_bytes == GIANT_BYTES)
		pages->giant_bytes += map->end - map->begin;
	else
		pages->other_bytes += map->end - map->begin;
}

START_TEST(without_a_pool_transparent_huge_pages_are_named_truly)
{
	struct topology topology;
	struct span span;
	struct pages pages = { .span = &span };
	uint64_t drained_bytes;
	void *drained;

	if (!pool_is_ours())
		return;
	ck_assert_int_eq(topology_read(&topology), 0);
	drained = pool_drain(0, &drained_bytes);
	ck_assert_int_eq(span_map(3 * HUGE_BYTES - 5, 0, 1, &span), 0);
	pool_refill(drained, drained_bytes);
	ck_assert_int_eq(mapping_each(pages_add, &pages), 0);
	ck_assert_int_eq(span.backing, pages.thp_bytes > 0 ? SPAN_THP : SPAN_4K);
	if (span.backing == SPAN_THP) {
		ck_assert_uint_eq((uintptr_t)span.address % HUGE_BYTES, 0);
		ck_assert_uint_eq(span.used_bytes, 3 * HUGE_BYTES);
		ck_assert_str_ne(topology.thp, "never");
		ck_assert_str_ne(topology.thp, "");
	} else {
		printf("SKIP: the kernel gave no transparent huge page (enabled: '%s')\n",
		       topology.thp);
	}
	ck_assert_uint_ge(span_resident_pages(&span), 3 * HUGE_BYTES / 4096 - 1);
	span_check_node_0(&span);
	bytes_check(&span);
	span_unmap(&span);
}
END_TEST

/* _i is an index into sizes around a huge page. */
START_TEST(what_fills_no_other_transparent_huge_page_takes_ordinary_ones)
{
	static const uint64_t sizes[] = { 1, HUGE_BYTES - 1, HUGE_BYTES, HUGE_BYTES + 1,
					  3 * HUGE_BYTES + 5000 };
	static const uint64_t mapped[] = { HUGE_BYTES, HUGE_BYTES, HUGE_BYTES, HUGE_BYTES + 4096,
					   3 * HUGE_BYTES + 8192 };
	struct span span;
	uint64_t drained_bytes;
	void *drained;

	if (!pool_is_ours())
		return;
	drained = pool_drain(0, &drained_bytes);
	ck_assert_int_eq(span_map(sizes[_i], 0, 1, &span), 0);
	pool_refill(drained, drained_bytes);
	if (span.backing == SPAN_THP)
		ck_assert_uint_eq(span.used_bytes, mapped[_i]);
	else
		printf("SKIP: the kernel gave no transparent huge page\n");
	ck_assert_uint_eq(span_resident_pages(&span), span.used_bytes / 4096);
	ck_assert(!is_readable((char *)span.address + span.used_bytes));
	bytes_check(&span);
	span_unmap(&span);
}
END_TEST

START_TEST(huge_pages_come_from_the_pool_and_go_back_whole)
{
	struct span span;
	long free_before = pool_free_pages();

	if (!pool_is_ready())
		return;
	ck_assert_int_eq(span_map(3 * HUGE_BYTES + 1, -1, 1, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_HUGE_2M);
	ck_assert_str_eq(span_backing_name(span.backing), "2M");
	ck_assert_uint_eq(span.used_bytes, 4 * HUGE_BYTES);
	ck_assert(span.is_locked);
	ck_assert_int_eq(pool_free_pages(), free_before - 4);
	bytes_check(&span);
	span_unmap(&span);
	ck_assert_int_eq(pool_free_pages(), free_before);
}
END_TEST

START_TEST(huge_pages_bound_to_node_0_lie_there)
{
	struct span span;

	if (!pool_is_ready())
		return;
	ck_assert_int_eq(span_map(4 * HUGE_BYTES, 0, 1, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_HUGE_2M);
	span_check_node_0(&span);
	span_unmap(&span);
}
END_TEST

START_TEST(pool_with_too_few_pages_falls_back_and_keeps_them)
{
	struct span span;
	uint64_t drained_bytes;
	void *drained;
	long free_before = pool_free_pages();

	if (!pool_is_ready())
		return;
	drained = pool_drain(2, &drained_bytes);
	ck_assert_int_eq(span_map(3 * HUGE_BYTES, 0, 1, &span), 0);
	ck_assert_int_ne(span.backing, SPAN_HUGE_2M);
	bytes_check(&span);
	span_unmap(&span);
	ck_assert_int_eq(span_map(2 * HUGE_BYTES, 0, 1, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_HUGE_2M);
	span_unmap(&span);
	pool_refill(drained, drained_bytes);
	ck_assert_int_eq(pool_free_pages(), free_before);
}
END_TEST

static uint64_t free_pages_of(int node)
{
	const struct topology_pool *pool;
	struct topology topology;

	ck_assert_int_eq(topology_read(&topology), 0);
	pool = topology_node(&topology, node) ?
		       topology_pool(topology_node(&topology, node), HUGE_BYTES) :
		       NULL;
	return pool ? pool->free_pages : 0;
}

/* The machine's pools together hold enough, so the mapping itself succeeds; that
 * node 1's is too small shows only when the pages are populated. */
START_TEST(empty_pool_of_one_node_takes_nothing_from_another)
{
	uint64_t free_0 = free_pages_of(0);
	uint64_t free_1 = free_pages_of(1);
	struct span span;

	if (free_0 < 2 || free_1 < 1) {
		printf("SKIP: no two nodes with free huge pages\n");
		return;
	}
	ck_assert_int_eq(span_map((free_1 + 1) * HUGE_BYTES, 1, 1, &span), 0);
	ck_assert_int_ne(span.backing, SPAN_HUGE_2M);
	ck_assert_uint_eq(free_pages_of(0), free_0);
	ck_assert_uint_eq(free_pages_of(1), free_1);
	bytes_check(&span);
	span_unmap(&span);

	ck_assert_int_eq(span_map(free_1 * HUGE_BYTES, 1, 1, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_HUGE_2M);
	ck_assert_uint_eq(free_pages_of(0), free_0);
	ck_assert_uint_eq(free_pages_of(1), 0);
	bytes_check(&span);
	span_unmap(&span);
	ck_assert_uint_eq(free_pages_of(1), free_1);
}
END_TEST

START_TEST(small_pages_are_taken_when_huge_ones_are_not_wanted)
{
	struct span span;
	long free_before = pool_free_pages();

	if (!pool_is_ours())
		return;
	ck_assert_int_eq(span_map(2 * HUGE_BYTES, -1, 0, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_4K);
	ck_assert_int_eq(pool_free_pages(), free_before);
	span_unmap(&span);
}
END_TEST

START_TEST(hundred_spans_leave_no_page_behind)
{
	long free_before = pool_free_pages();
	struct span span;
	int turn;

	if (!pool_is_ours())
		return;
	for (turn = 0; turn < 100; turn++) {
		ck_assert_int_eq(span_map(HUGE_BYTES, turn % 2 - 1, turn % 3 != 0, &span), 0);
		span_unmap(&span);
	}
	ck_assert_int_eq(pool_free_pages(), free_before);
}
END_TEST

/* _i is whether the pool of 2 MiB has pages for what is left. The last part begins behind 4 MiB. */
START_TEST(whole_gib_lie_in_pages_of_1_gib_and_what_is_left_in_others)
{
	const struct span_part parts[] = { { 2 * HUGE_BYTES, place_node(-1) },
					   { GIANT_BYTES + 5000, place_node(0) } };
	uint64_t giants_offset = 2 * HUGE_BYTES;
	struct span span;
	struct pages pages = { .span = &span };
	uint64_t drained_bytes;
	void *drained;
	long free_pages = pool_free_pages();

	if (!giant_is_ready() || !pool_is_ready())
		return;
	drained = _i ? NULL : pool_drain(0, &drained_bytes);
	ck_assert_int_eq(span_map_parts(NULL, parts, 2, 1, &span), 0);
	ck_assert_int_eq(giant_free_pages(), 0);
	ck_assert_uint_eq(span.giant_bytes, GIANT_BYTES);
	ck_assert_uint_eq(span.giant_offset, giants_offset);
	ck_assert_uint_eq(((uintptr_t)span.address + giants_offset) % GIANT_BYTES, 0);
	ck_assert_uint_eq(span_giant_share(&span, UINT64_MAX, 0), GIANT_BYTES);
	ck_assert_int_eq(span.backing == SPAN_HUGE_2M, _i);
	ck_assert_int_eq(mapping_each(pages_add, &pages), 0);
	ck_assert_uint_eq(pages.giant_bytes, GIANT_BYTES);
	ck_assert_uint_eq(pages.other_bytes, _i ? 3 * HUGE_BYTES : giants_offset + 8192);
	ck_assert(!is_readable((char *)span.address - 1));
	ck_assert(!is_readable((char *)span.address + span.used_bytes));
	((char *)span.address)[0] = 1;
	((char *)span.address)[giants_offset + GIANT_BYTES - 1] = 1;
	((char *)span.address)[span.used_bytes - 1] = 1;
	span_unmap(&span);
	if (drained)
		pool_refill(drained, drained_bytes);
	ck_assert_int_eq(giant_free_pages(), 1);
	ck_assert_int_eq(pool_free_pages(), free_pages);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("span");
	TCase *ordinary = tcase_create("ordinary");
	TCase *huge = tcase_create("huge");
	TCase *giant = tcase_create("giant");

	tcase_add_test(ordinary, small_pages_are_populated_and_zero);
	tcase_add_loop_test(ordinary, sizes_round_up_to_whole_pages, 0, 7);
	tcase_add_test(ordinary, overrun_meets_a_guard_page_on_both_sides);
	tcase_add_loop_test(ordinary, a_span_is_in_its_owners_books_while_it_is_mapped, 0, 2);
	tcase_add_test(ordinary, a_span_that_is_refused_leaves_no_row);
	tcase_add_test(ordinary, zero_bytes_are_refused);
	tcase_add_test(ordinary, impossible_node_is_refused_and_the_possible_ones_are_named);
	tcase_add_loop_test(ordinary, more_than_the_machine_has_is_refused_with_a_way_out, 0, 2);
	tcase_add_test(ordinary, unmap_accepts_a_zeroed_span);
	tcase_add_test(ordinary, locked_span_is_counted_by_the_kernel);
	tcase_add_test(ordinary, small_pages_bound_to_node_0_lie_there);
	tcase_add_test(ordinary, without_a_pool_transparent_huge_pages_are_named_truly);
	tcase_add_loop_test(ordinary, what_fills_no_other_transparent_huge_page_takes_ordinary_ones, 0, 5);
	suite_add_tcase(suite, ordinary);
	/* Unchecked: in this process, so the pages go back whatever a test does. */
	tcase_add_unchecked_fixture(huge, pool_grow, pool_shrink);
	tcase_add_test(huge, huge_pages_come_from_the_pool_and_go_back_whole);
	tcase_add_test(huge, huge_pages_bound_to_node_0_lie_there);
	tcase_add_test(huge, pool_with_too_few_pages_falls_back_and_keeps_them);
	tcase_add_test(huge, empty_pool_of_one_node_takes_nothing_from_another);
	tcase_add_test(huge, small_pages_are_taken_when_huge_ones_are_not_wanted);
	tcase_add_test(huge, hundred_spans_leave_no_page_behind);
	suite_add_tcase(suite, huge);
	tcase_add_unchecked_fixture(giant, pool_grow, pool_shrink);
	tcase_add_unchecked_fixture(giant, giant_grow, giant_shrink);
	tcase_set_timeout(giant, GIANT_TIMEOUT_S);
	tcase_add_loop_test(giant, whole_gib_lie_in_pages_of_1_gib_and_what_is_left_in_others, 0, 2);
	suite_add_tcase(suite, giant);
	return suite_run(suite);
}

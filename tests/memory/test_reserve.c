/* SPDX-License-Identifier: MIT */
/*
 * tests/memory/test_reserve.c - huge pages that are held for spans, and somebody who would have them
 *
 * As tests/memory/test_span.c: where no pages can be reserved on node 0 a test prints why and passes.
 * Daemons of other tests may take those of the pool that are left.
 */
#include <check.h>
#include <errno.h>
#include <linux/mman.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/topology.h"
#include "memory/reserve.h"
#include "memory/shelf.h"
#include "memory/span_kept.h"
#include "tests/memory/huge_pool.h"
#include "tests/suite.h"

#define HELD_PAGES 6 /* of POOL_RESERVED_PAGES */
#define TURNS 20

static struct topology topology;
static struct tier_table tiers;
static struct reserve reserve;
static const struct tier_owner owner = { &tiers, "shoppers@1", TIER_WEIGHTS };

static void setup(void)
{
	ck_assert_int_eq(topology_read(&topology), 0);
	tier_init(&tiers);
	reserve_init(&reserve, &tiers);
	tiers.reserve = &reserve;
}

static void teardown(void)
{
	reserve_deinit(&reserve);
	tier_deinit(&tiers);
}

static int pages_add(int node, uint64_t pages)
{
	const struct reserve_want want = { node, HUGE_BYTES, pages * HUGE_BYTES };

	return reserve_add(&reserve, &want, &topology);
}

static void reserve_start(void)
{
	ck_assert_int_eq(pages_add(0, HELD_PAGES), 0);
	ck_assert_int_eq(reserve_fill(&reserve), 0);
}

/* Those that are there, and their row says so. */
static uint64_t held_pages(void)
{
	struct reserve_pool pool;
	struct tier_entry entry;
	uint64_t row_bytes = 0;
	uint64_t missing_bytes;
	uint32_t row = 0;

	ck_assert(reserve_look(&reserve, 0, &pool, &missing_bytes));
	while (tier_next(&tiers, &row, &entry))
		row_bytes += entry.use == TIER_RESERVE ? entry.mapped_bytes : 0;
	ck_assert_uint_eq(row_bytes, pool.laid_bytes);
	return pool.held_bytes / HUGE_BYTES;
}

static uint64_t lent_pages(void)
{
	struct reserve_pool pool;
	uint64_t missing_bytes;

	ck_assert(reserve_look(&reserve, 0, &pool, &missing_bytes));
	return pool.lent_bytes / HUGE_BYTES;
}

/* Another program that wants so many. */
static bool are_taken(uint64_t pages)
{
	void *address = mmap(NULL, pages * HUGE_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);

	if (address == MAP_FAILED)
		return false;
	munmap(address, pages * HUGE_BYTES);
	return true;
}

START_TEST(pages_are_held_from_the_start_and_nobody_else_can_have_them)
{
	long before = pool_free_pages();

	if (!pool_is_ready())
		return;
	reserve_start();
	ck_assert_uint_eq(held_pages(), HELD_PAGES);
	ck_assert_int_le(pool_free_pages(), before - HELD_PAGES);
	ck_assert(!are_taken((uint64_t)before - HELD_PAGES + 1));
	reserve_deinit(&reserve);
	ck_assert(are_taken(HELD_PAGES));
	reserve_init(&reserve, &tiers);
}
END_TEST

START_TEST(a_span_has_its_pages_of_the_reserve_which_has_them_again_later)
{
	long before = pool_free_pages();
	struct span span;

	if (!pool_is_ready())
		return;
	reserve_start();
	/* More than the reserve has not got. */
	ck_assert_int_eq(span_map_for(&owner, 4 * HUGE_BYTES, 0, 1, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_HUGE_2M);
	ck_assert_uint_eq(held_pages(), HELD_PAGES - 4);
	ck_assert_int_le(pool_free_pages(), before - HELD_PAGES);
	span_unmap(&span);
	/* Claimed at once, and there when the reserve is tended. */
	ck_assert(!are_taken((uint64_t)before - HELD_PAGES + 1));
	reserve_tend(&reserve);
	ck_assert_uint_eq(held_pages(), HELD_PAGES);
	ck_assert_uint_eq(lent_pages(), 0);
	ck_assert_int_le(pool_free_pages(), before - HELD_PAGES);
	ck_assert_uint_eq(reserve.lost_count, 0);
}
END_TEST

START_TEST(what_does_not_fit_leaves_the_reserve_as_it_was)
{
	struct span span;

	if (!pool_is_ready())
		return;
	reserve_start();
	ck_assert_int_eq(span_map_for(&owner, (POOL_RESERVED_PAGES + 64) * HUGE_BYTES, 0, 1, &span), 0);
	ck_assert_int_gt(span.backing, SPAN_HUGE_2M);
	ck_assert_uint_eq(held_pages(), HELD_PAGES);
	ck_assert_uint_eq(lent_pages(), 0);
	span_unmap(&span);
	ck_assert_uint_eq(held_pages(), HELD_PAGES);
}
END_TEST

START_TEST(what_somebody_was_faster_to_take_is_missing_until_it_is_free)
{
	struct reserve_pool pool;
	uint64_t missing_bytes;
	uint64_t drained_bytes;
	struct span span;
	void *drained;

	if (!pool_is_ready())
		return;
	reserve_start();
	ck_assert_int_eq(span_map_for(&owner, 4 * HUGE_BYTES, 0, 1, &span), 0);
	/* As if it had been between the reserve's pages and the span's. */
	reserve_lend(&reserve, 0, HUGE_BYTES, 2 * HUGE_BYTES);
	drained = pool_drain(0, &drained_bytes);
	reserve_return(&reserve, 0, HUGE_BYTES, 2 * HUGE_BYTES);
	reserve_tend(&reserve);
	ck_assert(reserve_look(&reserve, 0, &pool, &missing_bytes));
	ck_assert_uint_eq(missing_bytes, 2 * HUGE_BYTES);
	ck_assert_uint_eq(held_pages(), 0);
	pool_refill(drained, drained_bytes);
	reserve_tend(&reserve);
	ck_assert(reserve_look(&reserve, 0, &pool, &missing_bytes));
	ck_assert_uint_eq(missing_bytes, 0);
	ck_assert_uint_eq(held_pages(), 2);
	span_unmap(&span);
}
END_TEST

static void *spans_map(void *argument)
{
	struct span span;

	(void)argument;
	for (uint32_t turn = 0; turn < TURNS; turn++) {
		if (span_map_for(&owner, 2 * HUGE_BYTES, 0, 1, &span) == 0)
			span_unmap(&span);
	}
	return NULL;
}

START_TEST(threads_may_map_while_another_one_tends_it)
{
	pthread_t threads[2];

	if (!pool_is_ready())
		return;
	reserve_start();
	for (uint32_t thread = 0; thread < 2; thread++)
		ck_assert_int_eq(pthread_create(&threads[thread], NULL, spans_map, NULL), 0);
	for (uint32_t turn = 0; turn < TURNS; turn++)
		reserve_tend(&reserve);
	for (uint32_t thread = 0; thread < 2; thread++)
		pthread_join(threads[thread], NULL);
	reserve_tend(&reserve);
	ck_assert_uint_eq(lent_pages(), 0);
	ck_assert_uint_eq(held_pages(), HELD_PAGES);
}
END_TEST

START_TEST(a_plan_counts_the_reserve_as_free)
{
	const struct span_part part = { HELD_PAGES * HUGE_BYTES, place_node(0) };
	struct span_budget budget;
	struct span span;

	if (!pool_is_ready())
		return;
	reserve_start();
	ck_assert_int_eq(span_budget_read(&tiers, &budget), 0);
	ck_assert_int_eq(span_plan(&part, 1, 1, &budget, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_HUGE_2M);
	ck_assert_int_eq(span_budget_read(NULL, &budget), 0);
	ck_assert_int_eq(span_plan(&part, 1, 1, &budget, &span), 0);
	ck_assert_int_ne(span.backing, SPAN_HUGE_2M);
}
END_TEST

START_TEST(too_few_pages_are_an_error_that_tells_what_mends_it)
{
	long before = pool_free_pages();

	if (!pool_is_ready())
		return;
	ck_assert_int_eq(pages_add(0, (uint64_t)before + 3), 0);
	ck_assert_int_eq(reserve_fill(&reserve), -ENOMEM);
	ck_assert_msg(strstr(err_message(), "node 0 has too few free pages of 2 MiB: wanted ") != NULL,
		      "%s", err_message());
	ck_assert_msg(strstr(err_message(), "nr_hugepages") != NULL, "%s", err_message());
	reserve_deinit(&reserve);
	ck_assert(are_taken(HELD_PAGES));
	reserve_init(&reserve, &tiers);
}
END_TEST

START_TEST(a_pool_that_is_not_there_or_twice_is_refused)
{
	const struct reserve_want odd = { 0, UINT64_C(3) << 20, UINT64_C(3) << 20 };

	ck_assert_int_eq(pages_add(61, 1), -EINVAL);
	ck_assert_int_eq(reserve_add(&reserve, &odd, &topology), -EINVAL);
	if (!topology_pool(&topology.nodes[0], HUGE_BYTES))
		return;
	ck_assert_int_eq(pages_add(0, 1), 0);
	ck_assert_int_eq(pages_add(0, 1), -EINVAL);
}
END_TEST

/* --- in descriptors ------------------------------------------------------------------------------- */

/* A span of a sheet of one page, and of another one with these bytes. */
static void kept_map(struct shelf *shelf, int bytes, struct span *span, struct span_sheet sheets[2],
		     struct sheet **ret_sheet)
{
	const struct span_part part = { 3 * HUGE_BYTES, place_node(0) };
	int fd;

	sheets[0].bytes = HUGE_BYTES;
	sheets[1].bytes = 2 * HUGE_BYTES;
	ck_assert_int_eq(span_kept_map(&owner, "test", &part, 1, sheets, 2, span), 0);
	ck_assert_int_eq(span->backing, SPAN_HUGE_2M);
	memset((char *)span->address + HUGE_BYTES, bytes, HUGE_BYTES);
	ck_assert_int_eq(span_kept_seal(span, sheets, 2), 0);
	fd = sheets[1].fd;
	ck_assert_int_eq(shelf_put(shelf, fd, place_node(0), ret_sheet), 0);
	sheets[1].fd = (*ret_sheet)->fd;
	if (sheets[1].fd == fd)
		shelf_count(*ret_sheet, span, HUGE_BYTES);
	else
		ck_assert_int_eq(span_kept_replace(span, HUGE_BYTES, &sheets[1]), 0);
}

static void kept_unmap(struct shelf *shelf, struct span *span, struct span_sheet sheets[2],
		       struct sheet *sheet)
{
	span_unmap(span);
	close(sheets[0].fd);
	shelf_return(shelf, sheet);
	reserve_tend(&reserve);
}

START_TEST(a_table_of_two_spans_is_counted_once_whichever_goes_first)
{
	long before = pool_free_pages();
	struct span_sheet sheets[2][2];
	struct sheet *table[2];
	struct shelf shelf;
	struct span spans[2];

	if (!pool_is_ready())
		return;
	reserve_start();
	shelf_init(&shelf, &tiers);
	kept_map(&shelf, 7, &spans[0], sheets[0], &table[0]);
	ck_assert_uint_eq(held_pages(), HELD_PAGES - 3);
	kept_map(&shelf, 7, &spans[1], sheets[1], &table[1]);
	reserve_tend(&reserve);
	ck_assert_ptr_eq(table[0], table[1]);
	ck_assert_uint_eq(held_pages(), HELD_PAGES - 4);
	ck_assert_int_le(pool_free_pages(), before - HELD_PAGES);
	kept_unmap(&shelf, &spans[_i], sheets[_i], table[_i]);
	ck_assert_uint_eq(held_pages(), HELD_PAGES - 3);
	ck_assert_int_le(pool_free_pages(), before - HELD_PAGES);
	kept_unmap(&shelf, &spans[!_i], sheets[!_i], table[!_i]);
	ck_assert_uint_eq(held_pages(), HELD_PAGES);
	ck_assert_int_le(pool_free_pages(), before - HELD_PAGES);
	shelf_deinit(&shelf);
}
END_TEST

START_TEST(memory_that_was_kept_is_part_of_the_reserve)
{
	const struct span_part part = { 3 * HUGE_BYTES, place_node(0) };
	long before = pool_free_pages();
	struct span_sheet sheets[2];
	struct sheet *sheet;
	struct shelf shelf;
	struct span span;
	int table;

	if (!pool_is_ready())
		return;
	shelf_init(&shelf, &tiers);
	kept_map(&shelf, 7, &span, sheets, &sheet);
	table = dup(sheet->fd);
	span_unmap(&span);
	shelf_return(&shelf, sheet);

	/* The process that comes next. */
	ck_assert_int_eq(pages_add(0, HELD_PAGES), 0);
	reserve_await(&reserve, sheets[0].fd);
	reserve_await(&reserve, table);
	ck_assert_int_eq(reserve_fill(&reserve), 0);
	ck_assert_uint_eq(held_pages(), HELD_PAGES - 3);
	ck_assert_int_le(pool_free_pages(), before - HELD_PAGES);
	shelf_bring(&shelf, 1, table);
	sheets[1].fd = table;
	ck_assert_uint_eq(lent_pages(), 2);
	if (_i) {
		ck_assert_int_eq(span_kept_adopt(&owner, "test", &part, 1, sheets, 2, &span), 0);
		ck_assert_uint_eq(lent_pages(), 3);
		ck_assert_uint_eq(held_pages(), HELD_PAGES - 3);
		sheet = shelf_take(&shelf, 1);
	} else {
		close(sheets[0].fd);
	}
	shelf_settle(&shelf);
	reserve_settle(&reserve);
	reserve_tend(&reserve);
	ck_assert_uint_eq(held_pages(), _i ? HELD_PAGES - 3 : HELD_PAGES);
	ck_assert_int_le(pool_free_pages(), before - HELD_PAGES);
	if (_i)
		kept_unmap(&shelf, &span, sheets, sheet);
	ck_assert_uint_eq(held_pages(), HELD_PAGES);
	shelf_deinit(&shelf);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reserve");
	TCase *huge = tcase_create("huge");
	TCase *kept = tcase_create("kept");

	tcase_add_unchecked_fixture(huge, pool_grow, pool_shrink);
	tcase_add_checked_fixture(huge, setup, teardown);
	tcase_add_test(huge, pages_are_held_from_the_start_and_nobody_else_can_have_them);
	tcase_add_test(huge, a_span_has_its_pages_of_the_reserve_which_has_them_again_later);
	tcase_add_test(huge, what_does_not_fit_leaves_the_reserve_as_it_was);
	tcase_add_test(huge, what_somebody_was_faster_to_take_is_missing_until_it_is_free);
	tcase_add_test(huge, threads_may_map_while_another_one_tends_it);
	tcase_add_test(huge, a_plan_counts_the_reserve_as_free);
	tcase_add_test(huge, too_few_pages_are_an_error_that_tells_what_mends_it);
	tcase_add_test(huge, a_pool_that_is_not_there_or_twice_is_refused);
	suite_add_tcase(suite, huge);
	tcase_add_unchecked_fixture(kept, pool_grow, pool_shrink);
	tcase_add_checked_fixture(kept, setup, teardown);
	tcase_add_loop_test(kept, a_table_of_two_spans_is_counted_once_whichever_goes_first, 0, 2);
	tcase_add_loop_test(kept, memory_that_was_kept_is_part_of_the_reserve, 0, 2);
	suite_add_tcase(suite, kept);
	return suite_run(suite);
}

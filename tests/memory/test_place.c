/* SPDX-License-Identifier: MIT */
/*
 * tests/memory/test_place.c - pages are dealt out to nodes, and what a span takes is worked out
 *
 * The machines here are tables: three nodes, of which the last has no memory.
 */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "memory/span.h"
#include "memory/span_kept.h"
#include "tests/suite.h"

#define MIB ((uint64_t)1 << 20)
#define PAGE (2 * MIB)
#define COMMAND_1 "/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages"

static struct topology_node node_make(int node, uint64_t available_bytes, uint64_t free_pages)
{
	return (struct topology_node){
		.node = node,
		.has_memory = available_bytes > 0,
		.memory_bytes = 2 * available_bytes,
		.available_bytes = available_bytes,
		.pool_count = 1,
		.pools = { { .page_bytes = PAGE, .total_pages = free_pages + 3,
			     .free_pages = free_pages } },
	};
}

/* Node 0: 100 MiB and 8 huge pages, node 1: 40 MiB and 4, node 2: neither. */
static struct span_budget machine_make(void)
{
	return (struct span_budget){ .left = {
		.group_available_bytes = TOPOLOGY_UNLIMITED,
		.thp = "madvise",
		.node_count = 3,
		.nodes = { node_make(0, 100 * MIB, 8), node_make(1, 40 * MIB, 4),
			   node_make(2, 0, 0) },
	} };
}

/* Of all of a range. */
static uint64_t place_share(struct place place, uint64_t bytes, int node)
{
	return place_share_before(place, bytes, bytes, node);
}

static struct span_part part_make(uint64_t bytes, uint64_t nodes)
{
	return (struct span_part){ .bytes = bytes, .place = { .nodes = nodes } };
}

static uint64_t pages_left(const struct span_budget *budget, uint32_t node)
{
	return budget->left.nodes[node].pools[0].free_pages;
}

static int plan(struct span_budget *budget, uint64_t bytes, uint64_t nodes, struct span *ret_span)
{
	struct span_part part = part_make(bytes, nodes);

	return span_plan(&part, 1, 1, budget, ret_span);
}

/* --- places ------------------------------------------------------------------------------------------- */

START_TEST(one_node_gives_all_and_an_interleaved_range_is_dealt_out_in_turn)
{
	struct place both = { .nodes = 0x5 }; /* nodes 0 and 2 */

	ck_assert_uint_eq(place_share(place_node(1), 5 * MIB, 1), 5 * MIB);
	ck_assert_uint_eq(place_share(place_node(1), 5 * MIB, 0), 0);
	ck_assert_uint_eq(place_share(place_node(-1), 5 * MIB, 0), 0);
	ck_assert_uint_eq(place_share(both, 8 * MIB, 0), 4 * MIB);
	ck_assert_uint_eq(place_share(both, 8 * MIB, 2), 4 * MIB);
	ck_assert_uint_eq(place_share(both, 8 * MIB, 1), 0);
	ck_assert_uint_eq(place_share(both, 7 * MIB, 0), 4 * MIB);
	ck_assert_uint_eq(place_share(both, 7 * MIB, 2), 3 * MIB);
	ck_assert_uint_eq(place_share(both, 4096, 0), 4096);
	ck_assert_uint_eq(place_share_before(both, 4096 * MIB, 5 * MIB, 0), 4 * MIB);
	ck_assert_uint_eq(place_share_before(both, 4096 * MIB, 5 * MIB, 2), 1 * MIB);
	ck_assert_int_eq(place_only(place_node(63)), 63);
	ck_assert_int_eq(place_only(place_node(TOPOLOGY_NODES_MAX)), -1);
	ck_assert_uint_eq(place_node(TOPOLOGY_NODES_MAX).nodes, 0);
	ck_assert_int_eq(place_only(both), -1);
	ck_assert_int_eq(place_only(place_node(-1)), -1);
}
END_TEST

/* _i is a number of nodes. */
START_TEST(shares_add_up_however_large_the_range_is)
{
	static const uint64_t sizes[] = { 1, 4096, PAGE - 1, PAGE, PAGE + 1, 1024 * PAGE,
					  1025 * PAGE, (uint64_t)1 << 40, ((uint64_t)1 << 46) - 4096 };
	struct place place = { .nodes = _i < 64 ? (UINT64_C(1) << _i) - 1 : UINT64_MAX };
	size_t index;
	int node;

	for (index = 0; index < sizeof(sizes) / sizeof(sizes[0]); index++) {
		uint64_t sum = 0;

		for (node = 0; node < 64; node++)
			sum += place_share(place, sizes[index], node);
		ck_assert_uint_eq(sum, sizes[index]);
	}
}
END_TEST

static const struct place weighted[] = {
	{ .nodes = 0x7, .weights = { 5, 5, 1 } },
	{ .nodes = 0x5, .weights = { 1, 9, 1 } }, /* node 1 takes no part */
	{ .nodes = 0xf, .weights = { 1, 2, 3, 65535 } },
	{ .nodes = 0x1f, .weights = { 7, 0, 7, 2, 1 } },
	{ .nodes = 0xfff, .weights = { 100, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3 } },
	{ .nodes = UINT64_MAX, .weights = { 900, 17, 400 } },
};
#define WEIGHTED (int)(sizeof(weighted) / sizeof(weighted[0]))

/* Of so many pieces; what lies before is a piece's work. */
static uint64_t pieces_of(const struct place *place, uint64_t pieces, int node)
{
	return place_share_before(*place, 1024 * PAGE, pieces * PAGE, node) / PAGE;
}

/* _i is an index into weighted. */
START_TEST(of_any_first_pieces_each_node_has_its_proportion_to_less_than_a_piece)
{
	const struct place *place = &weighted[_i];
	uint64_t sum = 0;

	for (int node = 0; node < 64; node++)
		if (place->nodes >> node & 1)
			sum += place->weights[node] > 0 ? place->weights[node] : 1;
	for (uint64_t pieces = 1; pieces <= 1024; pieces += pieces < 40 ? 1 : 41) {
		uint64_t dealt = 0;

		for (int node = 0; node < 64; node++) {
			uint64_t weight = place->nodes >> node & 1 ? place->weights[node] : 0;
			uint64_t given = pieces_of(place, pieces, node);

			weight += place->nodes >> node & 1 && weight == 0;
			dealt += given;
			ck_assert_uint_lt(given * sum, pieces * weight + sum);
			ck_assert_uint_gt(given * sum + sum, pieces * weight);
		}
		ck_assert_uint_eq(dealt, pieces);
	}
}
END_TEST

START_TEST(no_node_has_two_pieces_in_a_row_where_others_have_as_many)
{
	static const int turns[] = { 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 2 };
	const struct place *place = &weighted[0];

	for (uint64_t piece = 0; piece < 22; piece++) {
		uint64_t given[3];
		int turn = 0;

		for (int node = 0; node < 3; node++) {
			given[node] = pieces_of(place, piece + 1, node) - pieces_of(place, piece, node);
			turn += given[node] ? node : 0;
		}
		ck_assert_uint_eq(given[0] + given[1] + given[2], 1);
		ck_assert_int_eq(turn, turns[piece % 11]);
	}
}
END_TEST

START_TEST(a_node_without_memory_is_refused_and_those_with_memory_are_named)
{
	struct topology topology = machine_make().left;

	ck_assert_uint_eq(place_all(&topology).nodes, 0x3);
	ck_assert_int_eq(place_check(place_all(&topology), &topology), 0);
	ck_assert_int_eq(place_check(place_node(2), &topology), -EINVAL);
	ck_assert_str_eq(err_message(),
			 "node 2 has no memory to bind to; the nodes with memory are: 0 1");
	ck_assert_int_eq(place_check((struct place){ .nodes = 0x11 }, &topology), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err_message(), "node 4 has no memory"));
}
END_TEST

/* --- plans -------------------------------------------------------------------------------------------- */

START_TEST(huge_pages_are_planned_while_the_node_has_them_and_ordinary_ones_then)
{
	struct span_budget budget = machine_make();
	struct span span;

	ck_assert_int_eq(plan(&budget, 15 * MIB, 0x1, &span), 0);
	ck_assert_ptr_null(span.address);
	ck_assert_int_eq(span.backing, SPAN_HUGE_2M);
	ck_assert_int_eq(span.node, 0);
	ck_assert_uint_eq(span.bytes, 15 * MIB);
	ck_assert_uint_eq(span.used_bytes, 16 * MIB);
	ck_assert_uint_eq(span_share(&span, 0), 16 * MIB);
	ck_assert_uint_eq(pages_left(&budget, 0), 0);

	ck_assert_int_eq(plan(&budget, 15 * MIB, 0x1, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_THP);
	ck_assert_uint_eq(budget.left.nodes[0].available_bytes, 85 * MIB);
	ck_assert_uint_eq(pages_left(&budget, 1), 4);

	memcpy(budget.left.thp, "never", sizeof("never"));
	ck_assert_int_eq(plan(&budget, 4097, 0x1, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_4K);
	ck_assert_uint_eq(span.used_bytes, 8192);
}
END_TEST

START_TEST(what_does_not_fit_names_the_node_and_its_own_command_and_takes_nothing)
{
	struct span_budget budget = machine_make();
	struct topology before = budget.left;
	struct span span;

	ck_assert_int_eq(plan(&budget, 41 * MIB, 0x2, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_NONE);
	ck_assert_uint_eq(span_share(&span, 1), 41 * MIB);
	ck_assert_ptr_nonnull(strstr(budget.lack, "node 1 cannot hold 41.0 MiB: wanted 21 huge "
						  "pages of 2 MiB, got 4 free ones, and 40.0 MiB "
						  "of ordinary memory are available"));
	/* 7 are there, 3 of them in use, and 17 more are wanted. */
	ck_assert_ptr_nonnull(strstr(budget.lack, "echo 24 > " COMMAND_1));
	ck_assert_mem_eq(&budget.left, &before, sizeof(before));
	ck_assert_int_eq(plan(&budget, 101 * MIB, 0x1, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_NONE);
	ck_assert_msg(strstr(budget.lack, "node 1"), "the first of them is told");
	/* 4 pages are free, and there is memory for 20 more. */
	budget.lack[0] = '\0';
	ck_assert_int_eq(plan(&budget, 48 * MIB, 0x2, &span), 0);
	ck_assert_ptr_nonnull(strstr(budget.lack, "echo 27 > " COMMAND_1));
	budget.lack[0] = '\0';
	ck_assert_int_eq(plan(&budget, 49 * MIB, 0x2, &span), 0);
	ck_assert_ptr_nonnull(strstr(budget.lack, "hearthctl unload MODEL"));
	ck_assert_ptr_null(strstr(budget.lack, "echo"));

	ck_assert_int_eq(plan(&budget, 4096, 0x4, &span), -EINVAL);
	ck_assert_int_eq(plan(&budget, 0, 0x1, &span), -EINVAL);
	ck_assert_int_eq(plan(&budget, UINT64_MAX, 0x1, &span), -ENOMEM);
}
END_TEST

START_TEST(one_node_that_is_full_keeps_an_interleaved_range_from_all)
{
	struct span_budget budget = machine_make();
	struct span span;

	ck_assert_int_eq(plan(&budget, 16 * MIB, 0x3, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_HUGE_2M);
	ck_assert_int_eq(span.node, -1);
	ck_assert_uint_eq(pages_left(&budget, 0), 4);
	ck_assert_uint_eq(pages_left(&budget, 1), 0);
	ck_assert_int_eq(plan(&budget, 84 * MIB, 0x3, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_NONE);
	ck_assert_ptr_nonnull(strstr(budget.lack, "node 1 cannot hold 42.0 MiB"));
	ck_assert_int_eq(plan(&budget, 80 * MIB, 0x3, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_THP);
	ck_assert_uint_eq(budget.left.nodes[0].available_bytes, 60 * MIB);
	ck_assert_uint_eq(budget.left.nodes[1].available_bytes, 0);
}
END_TEST

START_TEST(parts_lie_each_on_its_own_node)
{
	const struct span_part parts[] = { part_make(4 * MIB, 0x1), part_make(3 * MIB, 0x2) };
	struct span_budget budget = machine_make();
	struct span span;

	ck_assert_int_eq(span_plan(parts, 2, 1, &budget, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_HUGE_2M);
	ck_assert_int_eq(span.node, -1);
	ck_assert_uint_eq(span.bytes, 7 * MIB);
	ck_assert_uint_eq(span_share(&span, 0), 4 * MIB);
	ck_assert_uint_eq(span_share(&span, 1), 4 * MIB);
	ck_assert_uint_eq(pages_left(&budget, 0), 6);
	ck_assert_uint_eq(pages_left(&budget, 1), 2);
}
END_TEST

START_TEST(what_is_not_bound_comes_from_all_nodes_and_a_control_group_bounds_it)
{
	struct span_budget budget = machine_make();
	struct span span;

	ck_assert_int_eq(plan(&budget, 20 * MIB, 0, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_HUGE_2M);
	ck_assert_uint_eq(span_share(&span, -1), 20 * MIB);
	ck_assert_uint_eq(pages_left(&budget, 0) + pages_left(&budget, 1), 2);
	budget.left.group_available_bytes = 120 * MIB;
	ck_assert_int_eq(plan(&budget, 118 * MIB, 0, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_THP);
	ck_assert_uint_eq(budget.left.group_available_bytes, 2 * MIB);
	ck_assert_int_eq(plan(&budget, 5 * MIB, 0, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_NONE);
	ck_assert_ptr_nonnull(strstr(budget.lack, "this machine cannot hold 5.0 MiB"));
	ck_assert_ptr_nonnull(strstr(budget.lack, " > /proc/sys/vm/nr_hugepages"));
}
END_TEST

START_TEST(what_is_given_back_can_be_taken_again)
{
	const struct span_part parts[] = { part_make(4 * MIB, 0x3), part_make(30 * MIB, 0) };
	struct span_budget budget = machine_make();
	struct span_budget before = budget;
	struct span span;

	ck_assert_int_eq(plan(&budget, 6 * MIB, 0x3, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_HUGE_2M);
	span_give(&span, &budget);
	ck_assert_mem_eq(&budget, &before, sizeof(before));
	budget.left.group_available_bytes = 34 * MIB;
	ck_assert_int_eq(span_plan(parts, 2, 1, &budget, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_THP);
	ck_assert_uint_eq(budget.left.group_available_bytes, 0);
	span_give(&span, &budget);
	ck_assert_uint_eq(budget.left.group_available_bytes, 34 * MIB);
	ck_assert_uint_eq(topology_available(&budget.left, -1), 34 * MIB);
}
END_TEST

/* --- pages of 1 GiB ----------------------------------------------------------------------------------- */

#define GIB ((uint64_t)1 << 30)

static uint64_t giants_left(const struct span_budget *budget, uint32_t node)
{
	return budget->left.nodes[node].pools[1].free_pages;
}

/* The same machine with 3 such pages on node 0 and 2 on node 1, and enough of 2 MiB. */
static struct span_budget giant_machine_make(void)
{
	struct span_budget budget = machine_make();

	for (uint32_t node = 0; node < 3; node++) {
		budget.left.nodes[node].pool_count = 2;
		budget.left.nodes[node].pools[0].free_pages = 1000;
		budget.left.nodes[node].pools[1] =
			(struct topology_pool){ .page_bytes = GIB, .free_pages = node < 2 ? 3 - node : 0 };
	}
	return budget;
}

START_TEST(whole_gib_take_pages_of_1_gib_and_all_else_takes_none)
{
	struct span_budget budget = giant_machine_make();
	struct span_budget before = budget;
	struct span span;

	ck_assert_int_eq(plan(&budget, GIB - 1, 0x1, &span), 0);
	ck_assert_uint_eq(span.giant_bytes, 0);
	ck_assert_int_eq(span.backing, SPAN_HUGE_2M);
	span_give(&span, &budget);
	ck_assert_int_eq(plan(&budget, GIB, 0x1, &span), 0);
	ck_assert_uint_eq(span.giant_bytes, GIB);
	ck_assert_int_eq(span.backing, SPAN_HUGE_1G);
	ck_assert_uint_eq(span.used_bytes, GIB);
	ck_assert_uint_eq(giants_left(&budget, 0), 2);
	ck_assert_uint_eq(pages_left(&budget, 0), 1000);
	span_give(&span, &budget);
	ck_assert_int_eq(plan(&budget, 3 * GIB - 1, 0x1, &span), 0);
	ck_assert_uint_eq(span.giant_bytes, 2 * GIB);
	ck_assert_uint_eq(span.giant_offset, 0);
	ck_assert_uint_eq(span_giant_share(&span, UINT64_MAX, 0), 2 * GIB);
	ck_assert_uint_eq(span_giant_share(&span, GIB + 5, 0), GIB + 5);
	ck_assert_uint_eq(span_giant_share(&span, UINT64_MAX, 1), 0);
	ck_assert_uint_eq(pages_left(&budget, 0), 1000 - 512);
	ck_assert_uint_eq(giants_left(&budget, 0), 1);
	ck_assert_uint_eq(giants_left(&budget, 1), 2);
	span_give(&span, &budget);
	ck_assert_mem_eq(&budget, &before, sizeof(before));
	ck_assert_int_eq(plan(&budget, 4 * GIB, 0x1, &span), 0); /* of which there are 3 */
	ck_assert_uint_eq(span.giant_bytes, 3 * GIB);
	ck_assert_uint_eq(pages_left(&budget, 0), 1000 - 512);
	ck_assert_int_eq(plan(&budget, GIB, 0x3, &span), 0); /* dealt out in smaller pieces */
	ck_assert_uint_eq(span.giant_bytes, 0);
	ck_assert_uint_eq(giants_left(&budget, 1), 2);
}
END_TEST

START_TEST(both_parts_have_theirs_around_the_beginning_of_the_last)
{
	const struct span_part parts[] = { part_make(GIB + 6 * MIB, 0x1),
					   part_make(3 * GIB + 5 * MIB, 0x2) };
	struct span_budget budget = giant_machine_make();
	struct span span;

	ck_assert_int_eq(span_plan(parts, 2, 1, &budget, &span), 0);
	ck_assert_uint_eq(span.giant_offset, 6 * MIB);
	ck_assert_uint_eq(span.giant_bytes, 3 * GIB);
	ck_assert_uint_eq(span_giant_share(&span, UINT64_MAX, 0), GIB);
	ck_assert_uint_eq(span_giant_share(&span, UINT64_MAX, 1), 2 * GIB);
	ck_assert_uint_eq(span_giant_share(&span, parts[0].bytes, 1), 0);
	ck_assert_uint_eq(giants_left(&budget, 0), 2);
	ck_assert_uint_eq(giants_left(&budget, 1), 0);
	ck_assert_uint_eq(pages_left(&budget, 0), 1000 - 3);
	ck_assert_uint_eq(pages_left(&budget, 1), 1000 - 512 - 3);
}
END_TEST

START_TEST(parts_of_one_node_share_its_pages)
{
	const struct span_part parts[] = { part_make(2 * GIB, 0x1), part_make(2 * GIB, 0x1) };
	struct span_budget budget = giant_machine_make();
	struct span span;

	ck_assert_int_eq(span_plan(parts, 2, 1, &budget, &span), 0);
	ck_assert_uint_eq(span.giant_offset, GIB);
	ck_assert_uint_eq(span.giant_bytes, 3 * GIB);
	ck_assert_uint_eq(giants_left(&budget, 0), 0);
	ck_assert_uint_eq(pages_left(&budget, 0), 1000 - 512);
}
END_TEST

START_TEST(what_is_not_bound_takes_them_from_all_nodes)
{
	struct span_budget budget = giant_machine_make();
	struct span_budget before = budget;
	struct span span;

	ck_assert_int_eq(plan(&budget, 4 * GIB + 1, 0, &span), 0);
	ck_assert_uint_eq(span_giant_share(&span, UINT64_MAX, -1), 4 * GIB);
	ck_assert_uint_eq(giants_left(&budget, 0) + giants_left(&budget, 1), 1);
	ck_assert_uint_eq(pages_left(&budget, 0) + pages_left(&budget, 1), 1999);
	ck_assert_int_eq(plan(&before, 4096, 0x2, &span), 0);
	ck_assert_uint_eq(giants_left(&before, 1), 2);
}
END_TEST

/* By GiB of the whole 3 that stay, and MiB of the rest: each pool has back what the others took. */
static const struct {
	uint64_t gib, mib;
} stays[] = { { 0, 0 }, { 1, 0 }, { 0, 4 }, { 1, 6 }, { 2, 2 }, { 3, 6 }, { 3, 0 } };

START_TEST(what_stays_of_a_span_stays_in_its_pool)
{
	const struct span_part parts[] = { part_make(4 * MIB, 0x2), part_make(3 * GIB + 6 * MIB, 0x1) };
	struct span_budget budget = giant_machine_make();
	struct span span;

	ck_assert_int_eq(span_plan(parts, 2, 1, &budget, &span), 0);
	ck_assert_uint_eq(span.giant_bytes, 3 * GIB);
	span_shorten(&span, stays[_i].gib * GIB + stays[_i].mib * MIB, stays[_i].gib * GIB);
	span_give(&span, &budget);
	ck_assert_uint_eq(giants_left(&budget, 0), 3 - stays[_i].gib);
	ck_assert_uint_eq(pages_left(&budget, 0), 1000 - stays[_i].mib / 2);
	ck_assert_uint_eq(pages_left(&budget, 1), 1000);
}
END_TEST

/* Sheets in GiB, and 0 is one of 2 MiB; where the run is that is taken of so many free pages. */
static const struct {
	uint32_t sheets[6];
	uint32_t first;
	uint32_t gib;
} runs[] = {
	{ { 0, 1, 0, 2, 0 }, 3, 2 }, { { 0, 1, 1, 1, 0 }, 1, 3 }, { { 0, 3, 0, 1, 1 }, 1, 3 },
	{ { 0, 4, 0, 1, 0 }, 3, 1 }, { { 0, 1, 4, 0, 0 }, 1, 1 }, { { 0, 2, 2, 0, 0 }, 1, 2 },
	{ { 0, 0, 0, 0, 0 }, 0, 0 }, { { 3, 0, 0, 0, 0 }, 0, 3 },
};

START_TEST(of_sheets_the_largest_run_that_the_pool_has_takes_them)
{
	struct span_budget budget = giant_machine_make();
	struct span_part part = part_make(0, 0x1);
	struct span_sheet sheets[5];
	uint64_t offset = 0;
	struct span span;

	budget.left.nodes[0].pools[0].free_pages = 100000;
	for (uint32_t index = 0; index < 5; index++) {
		sheets[index].bytes = runs[_i].sheets[index] ? runs[_i].sheets[index] * GIB : PAGE;
		offset += index < runs[_i].first ? sheets[index].bytes : 0;
		part.bytes += sheets[index].bytes;
	}
	ck_assert_int_eq(span_kept_plan(&part, 1, sheets, 5, &budget, &span), 0);
	ck_assert_uint_eq(span.giant_bytes, runs[_i].gib * GIB);
	ck_assert_uint_eq(span.giant_offset, offset);
	ck_assert_uint_eq(giants_left(&budget, 0), 3 - runs[_i].gib);
	ck_assert_uint_eq(pages_left(&budget, 0),
			  100000 - (part.bytes - runs[_i].gib * GIB) / PAGE);
}
END_TEST

/* Beside those of 1 GiB the node has 40 MiB, and none of 2 MiB. */
START_TEST(what_is_left_may_be_ordinary_memory_or_be_what_is_lacking)
{
	struct span_budget budget = giant_machine_make();
	struct topology before;
	struct span span;

	budget.left.nodes[1].pools[0].free_pages = 0;
	budget.left.group_available_bytes = 45 * MIB;
	before = budget.left;
	ck_assert_int_eq(plan(&budget, GIB + 41 * MIB, 0x2, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_NONE);
	ck_assert_uint_eq(span.giant_bytes, 0);
	ck_assert_ptr_nonnull(strstr(budget.lack, "node 1 cannot hold 41.0 MiB: wanted 21 huge"));
	ck_assert_mem_eq(&budget.left, &before, sizeof(before));
	ck_assert_int_eq(plan(&budget, GIB + 40 * MIB, 0x2, &span), 0);
	ck_assert_int_eq(span.backing, SPAN_THP);
	ck_assert_uint_eq(giants_left(&budget, 1), 1);
	ck_assert_uint_eq(budget.left.nodes[1].available_bytes, 0);
	ck_assert_uint_eq(budget.left.group_available_bytes, 5 * MIB);
	span_give(&span, &budget);
	ck_assert_mem_eq(&budget.left, &before, sizeof(before));
}
END_TEST

/* --- the same, for real ------------------------------------------------------------------------------- */

START_TEST(a_mapping_is_what_was_planned)
{
	struct span_budget budget;
	struct span_part parts[2];
	struct span planned;
	struct span span;

	ck_assert_int_eq(span_budget_read(NULL, &budget), 0);
	parts[0] = part_make(2 * PAGE, place_all(&budget.left).nodes);
	parts[1] = part_make(3 * PAGE - 4096, 0x1);
	ck_assert_int_eq(span_plan(parts, 2, 1, &budget, &planned), 0);
	ck_assert_int_eq(span_map_parts(NULL, parts, 2, 1, &span), 0);
	ck_assert_int_eq(span.node, planned.node);
	ck_assert_uint_eq(span.bytes, 5 * PAGE - 4096);
	/* Advice to use transparent huge pages is no proof that the kernel has any. */
	if (span.backing == planned.backing)
		ck_assert_uint_eq(span.used_bytes, planned.used_bytes);
	memset(span.address, 0xa5, span.used_bytes);
	span_unmap(&span);
}
END_TEST

START_TEST(a_mapping_on_a_node_that_is_offline_is_refused)
{
	const struct span_part parts[] = { part_make(PAGE, 0x1),
					   part_make(PAGE, UINT64_C(1) << 63) };
	struct span span = { .node = 42 };

	ck_assert_int_eq(span_map_parts(NULL, parts, 2, 1, &span), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err_message(), "node 63 has no memory to bind to"));
	ck_assert_int_eq(span.node, 42);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("place");
	TCase *places = tcase_create("places");
	TCase *plans = tcase_create("plans");
	TCase *giants = tcase_create("giants");
	TCase *mappings = tcase_create("mappings");

	tcase_add_test(places, one_node_gives_all_and_an_interleaved_range_is_dealt_out_in_turn);
	tcase_add_loop_test(places, shares_add_up_however_large_the_range_is, 1, 65);
	tcase_add_loop_test(places,
			    of_any_first_pieces_each_node_has_its_proportion_to_less_than_a_piece, 0,
			    WEIGHTED);
	tcase_add_test(places, no_node_has_two_pieces_in_a_row_where_others_have_as_many);
	tcase_add_test(places, a_node_without_memory_is_refused_and_those_with_memory_are_named);
	suite_add_tcase(suite, places);
	tcase_add_test(plans, huge_pages_are_planned_while_the_node_has_them_and_ordinary_ones_then);
	tcase_add_test(plans, what_does_not_fit_names_the_node_and_its_own_command_and_takes_nothing);
	tcase_add_test(plans, one_node_that_is_full_keeps_an_interleaved_range_from_all);
	tcase_add_test(plans, parts_lie_each_on_its_own_node);
	tcase_add_test(plans, what_is_not_bound_comes_from_all_nodes_and_a_control_group_bounds_it);
	tcase_add_test(plans, what_is_given_back_can_be_taken_again);
	suite_add_tcase(suite, plans);
	tcase_add_test(giants, whole_gib_take_pages_of_1_gib_and_all_else_takes_none);
	tcase_add_test(giants, both_parts_have_theirs_around_the_beginning_of_the_last);
	tcase_add_test(giants, parts_of_one_node_share_its_pages);
	tcase_add_test(giants, what_is_not_bound_takes_them_from_all_nodes);
	tcase_add_loop_test(giants, what_stays_of_a_span_stays_in_its_pool, 0,
			    sizeof(stays) / sizeof(stays[0]));
	tcase_add_loop_test(giants, of_sheets_the_largest_run_that_the_pool_has_takes_them, 0,
			    (int)(sizeof(runs) / sizeof(runs[0])));
	tcase_add_test(giants, what_is_left_may_be_ordinary_memory_or_be_what_is_lacking);
	suite_add_tcase(suite, giants);
	tcase_add_test(mappings, a_mapping_is_what_was_planned);
	tcase_add_test(mappings, a_mapping_on_a_node_that_is_offline_is_refused);
	suite_add_tcase(suite, mappings);
	return suite_run(suite);
}

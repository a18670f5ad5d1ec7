/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_reserve.c - a daemon has its huge pages from the start, and models have them of it
 *
 * As tests/memory/test_span.c: where no pages can be reserved on node 0 a test prints why and passes.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance.h"
#include "base/sanitized.h"
#include "base/topology.h"
#include "crowd.h"
#include "manager.h"
#include "rows.h"
#include "tests/memory/huge_pool.h"

#define TIMEOUT_S 60
#define RESERVED "12M"
#define RESERVED_PAGES 6

static uint64_t reserved_bytes(const struct appliance *appliance)
{
	json_t *rows = appliance_rows(appliance, "mem");
	uint64_t bytes = rows_sum(rows, "resident_bytes", "use", "reserve", "pages", "2M", NULL);

	json_decref(rows);
	return bytes;
}

/* All that the daemon has in such pages, each with its owner. */
static uint64_t all_bytes(const struct appliance *appliance)
{
	json_t *rows = appliance_rows(appliance, "mem");
	uint64_t bytes = rows_sum(rows, "resident_bytes", "pages", "2M", NULL);

	if (!IS_SANITIZED)
		ck_assert_uint_eq(rows_number(rows, json_array_size(rows) - 1, "unaccounted_bytes"),
				  0);
	json_decref(rows);
	return bytes;
}

START_TEST(a_reserve_that_is_not_there_is_refused_with_what_mends_it)
{
	static const char *const flags[] = { "--reserve", "0:2M:16T", NULL };
	struct appliance appliance;
	char text[APPLIANCE_TEXT_BYTES] = "";
	struct topology topology;

	ck_assert_int_eq(topology_read(&topology), 0);
	if (!topology_node(&topology, 0) || !topology_pool(&topology.nodes[0], HUGE_BYTES)) {
		printf("SKIP: this kernel has no pages of 2 MiB on node 0\n");
		return;
	}
	appliance_init(&appliance);
	ck_assert_int_eq(appliance_refuse(&appliance, flags, text), EXIT_FAILURE);
	ck_assert_msg(strstr(text, "node 0 has too few free pages of 2 MiB: wanted 8388608, got ") &&
			      strstr(text, "; make more: echo ") && strstr(text, "nr_hugepages"),
		      "%s", text);
}
END_TEST

/* _i is whether it is kept for the daemon that comes next. */
START_TEST(models_have_the_pages_of_the_reserve_and_nobody_else_does)
{
	const char *const flags[] = { "--reserve", "0:2M:" RESERVED, "--load", "none", "--node",
				      "0", "--workers", "1", _i ? "--warm-restart" : NULL, NULL };
	long before = pool_free_pages();
	struct appliance appliance;
	struct manager manager;
	char text[APPLIANCE_TEXT_BYTES] = "";
	uint64_t drained_bytes;
	void *drained;

	if (!pool_is_ready())
		return;
	appliance_init(&appliance);
	manager_open(&manager, &appliance);
	appliance_start(&appliance, flags);
	ck_assert_int_le(pool_free_pages(), before - RESERVED_PAGES);
	ck_assert_uint_eq(reserved_bytes(&appliance), RESERVED_PAGES * HUGE_BYTES);
	drained = pool_drain(0, &drained_bytes);
	ck_assert_msg(appliance_change(&appliance, "load", "shoppers", 1, text) == 0, "%s", text);
	ck_assert_uint_lt(reserved_bytes(&appliance), RESERVED_PAGES * HUGE_BYTES);
	await(all_bytes(&appliance) == RESERVED_PAGES * HUGE_BYTES);
	if (_i) {
		await(manager_count(&manager, "weights.") == 1);
		appliance_kill(&appliance);
		appliance_start(&appliance, flags);
		manager_await_ready(&manager, 2);
		ck_assert_uint_lt(reserved_bytes(&appliance), RESERVED_PAGES * HUGE_BYTES);
		await(all_bytes(&appliance) == RESERVED_PAGES * HUGE_BYTES);
	}
	ck_assert_int_eq(appliance_change(&appliance, "unload", "shoppers", 0, text), 0);
	await(reserved_bytes(&appliance) == RESERVED_PAGES * HUGE_BYTES);
	pool_refill(drained, drained_bytes);
	ck_assert_int_le(pool_free_pages(), before - RESERVED_PAGES);
	appliance_close(&appliance);
	manager_close(&manager);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reserve");
	TCase *cases = tcase_create("reserve");

	tcase_set_timeout(cases, TIMEOUT_S);
	tcase_add_unchecked_fixture(cases, pool_grow, pool_shrink);
	tcase_add_test(cases, a_reserve_that_is_not_there_is_refused_with_what_mends_it);
	tcase_add_loop_test(cases, models_have_the_pages_of_the_reserve_and_nobody_else_does, 0, 2);
	suite_add_tcase(suite, cases);
	return appliance_check(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/serve/test_placement.c - what a version that goes leaves to the next one */
#include <check.h>

#include "serve/models/placement.h"
#include "tests/model/scratch.h"
#include "tests/serve/pair.h"
#include "tests/suite.h"

static struct shelf shelf;

static uint64_t weights_held(const struct version *version, bool is_drained)
{
	const struct placement_held held = placement_held(version, is_drained);
	uint64_t bytes = 0;

	for (int node = -1; node < TOPOLOGY_NODES_MAX; node++)
		bytes += span_share(&held.spans[0], node);
	ck_assert_uint_eq(bytes, held.spans[0].used_bytes);
	return bytes;
}

START_TEST(a_table_that_another_version_has_does_not_go_with_one_that_is_drained)
{
	struct version *first, *second;
	uint64_t bytes;

	shelf_init(&shelf, NULL);
	second = pair_version(2, &shelf);
	bytes = engine_memory(second->engine).weights->used_bytes;
	ck_assert_uint_gt(bytes, 2 * PAIR_TABLE_BYTES);
	ck_assert_uint_eq(weights_held(second, true), bytes);

	first = pair_version(1, &shelf);
	ck_assert_uint_eq(weights_held(second, true), bytes - PAIR_TABLE_BYTES);
	ck_assert_uint_eq(weights_held(second, false), bytes);
	ck_assert_uint_lt(weights_held(first, true), PAIR_TABLE_BYTES);

	version_free(first);
	ck_assert_uint_eq(weights_held(second, true), bytes);
	version_free(second);
	shelf_deinit(&shelf);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("placement");
	TCase *tests = tcase_create("placement");

	tcase_set_timeout(tests, 60);
	tcase_add_unchecked_fixture(tests, scratch_begin, scratch_end);
	tcase_add_test(tests, a_table_that_another_version_has_does_not_go_with_one_that_is_drained);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

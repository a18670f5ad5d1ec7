/* SPDX-License-Identifier: MIT */
/* tests/tools/test_feed.c - random offsets divide their values, however many bags there are */
#include <check.h>

#include "tests/suite.h"
#include "tools/hearthctl/requests/feed.h"

#define ROWS 40

enum symbol {
	SYMBOL_ROWS,
	SYMBOL_VALUES,
};

/* Places without the end of the last bag, and with it; as many as rows, and a fixed number. */
static const struct offsets {
	struct hearth_dim dim;
	uint32_t count;
	uint32_t bags;
} cases[] = {
	{ { SYMBOL_ROWS, 1, 0 }, ROWS, ROWS },
	{ { SYMBOL_ROWS, 1, 1 }, ROWS + 1, ROWS },
	{ { -1, 0, 5 }, 5, 4 },
	{ { -1, 0, 1 }, 1, 0 },
};

START_TEST(random_offsets_ascend_from_0_to_the_count_of_values)
{
	const struct offsets *offsets = &cases[_i];
	const struct hearth_dim values = { SYMBOL_VALUES, 1, 0 };
	const struct hearth_tensor_info inputs[] = {
		{ .name = "values", .dtype = HEARTH_I64, .rank = 1, .dims = &values },
		{ .name = "offsets", .dtype = HEARTH_I64, .rank = 1, .dims = &offsets->dim },
	};
	const int32_t offsets_into[] = { -1, SYMBOL_VALUES };
	const struct hearth_model_info model = {
		.name = "bags", .row_symbol = -1, .symbol_count = 2, .input_count = 2,
		.inputs = inputs, .offsets_into = offsets_into,
	};
	const int64_t *places;
	struct feed feed;

	ck_assert_int_eq(feed_from_chance(&model, ROWS, 2, 1, &feed), 0);
	places = (const int64_t *)(const void *)feed.inputs[1].data;
	ck_assert_uint_eq(feed.inputs[1].bytes, offsets->count * sizeof(*places));
	ck_assert_int_eq(places[0], 0);
	for (uint32_t place = 1; place < offsets->count; place++) {
		ck_assert_int_ge(places[place], places[place - 1]);
		ck_assert_int_le(places[place], ROWS);
	}
	if (offsets->bags > 0 && offsets->bags < offsets->count)
		ck_assert_int_eq(places[offsets->bags], ROWS);
	feed_deinit(&feed);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("feed");
	TCase *tests = tcase_create("feed");

	tcase_add_loop_test(tests, random_offsets_ascend_from_0_to_the_count_of_values, 0,
			    (int)(sizeof(cases) / sizeof(cases[0])));
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

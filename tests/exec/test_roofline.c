/* SPDX-License-Identifier: MIT */
/* tests/exec/test_roofline.c - what a step would take at the limits of one core */
#include <check.h>
#include <stdlib.h>

#include "base/sanitized.h"
#include "exec/roofline.h"
#include "graph/cost.h"
#include "kernels/limit.h"
#include "tests/suite.h"

#define BYTES (1 << 20)

static float *weights_new(void)
{
	float *weights = aligned_alloc(LIMIT_LINE_BYTES, BYTES);

	ck_assert_ptr_nonnull(weights);
	for (uint32_t index = 0; index < BYTES / sizeof(float); index++)
		weights[index] = 1.0f;
	return weights;
}

START_TEST(every_line_is_read)
{
	static const struct { enum limit limit; uint64_t bytes; float sum; } rows[] = {
		{ LIMIT_READ, LIMIT_LINE_BYTES, 1 },
		{ LIMIT_READ, 7 * LIMIT_LINE_BYTES, 7 },
		{ LIMIT_READ, 128 * LIMIT_LINE_BYTES, 128 },
	};
	float *weights = weights_new();

	for (uint32_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		float result = 0;
		const struct limit_args args = { .memory = weights, .bytes = rows[row].bytes,
						 .count = LIMIT_STEP, .result = &result };

		cpu_device()->limits[rows[row].limit](&args);
		/* One lane of a register: a sum of ones, as many as a line has registers. */
		ck_assert_float_ge(result, rows[row].sum);
		ck_assert(result / rows[row].sum == 1 || result / rows[row].sum == 2 ||
			  result / rows[row].sum == 4);
	}
	free(weights);
}
END_TEST

START_TEST(random_lines_stay_inside)
{
	float *weights = weights_new();
	float result = 0;
	/* One line: every draw is that one, and the sanitizer watches the rest. */
	struct limit_args args = { .memory = weights + BYTES / sizeof(float) - 16,
				   .bytes = LIMIT_LINE_BYTES, .count = 1000, .result = &result };

	cpu_device()->limits[LIMIT_ROWS](&args);
	ck_assert_float_ge(result, 1000);
	args.memory = weights;
	args.bytes = BYTES;
	result = 0;
	cpu_device()->limits[LIMIT_ROWS](&args);
	ck_assert_float_ge(result, 1000);
	free(weights);
}
END_TEST

START_TEST(a_step_takes_the_longer_of_its_limits_and_its_rows_beside)
{
	const struct roofline roofline = {
		.multiply_add_ns = 0.5, .weight_byte_ns = 0.25, .cached_byte_ns = 0.125, .row_ns = 8
	};
	static const struct { struct cost cost; uint64_t ns; } rows[] = {
		{ { .multiply_adds = 1000 }, 500 },
		{ { .multiply_adds = 1000, .bytes = 800, .weight_bytes = 800 }, 500 },
		{ { .multiply_adds = 100, .bytes = 800, .weight_bytes = 800 }, 200 },
		{ { .multiply_adds = 100, .bytes = 1600, .weight_bytes = 800 }, 300 },
		{ { .bytes = 64, .row_bytes = 64, .rows = 1 }, 8 },
		{ { .bytes = 256, .row_bytes = 256, .rows = 1 }, 56 },
		{ { .bytes = 32, .row_bytes = 32, .rows = 2 }, 16 },
		{ { .multiply_adds = 1000, .bytes = 64, .row_bytes = 64, .rows = 1 }, 508 },
		{ { .bytes = 0 }, 0 },
	};

	for (uint32_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++)
		ck_assert_uint_eq(roofline_predict(&roofline, &rows[row].cost), rows[row].ns);
}
END_TEST

START_TEST(limits_are_measured_where_a_clock_can_be_trusted)
{
	const struct cost cost = { .multiply_adds = 1000000 };
	struct roofline roofline;
	float *weights = weights_new();

	roofline_measure(&roofline, cpu_device(), weights, BYTES);
	if (IS_SANITIZED) {
		ck_assert_uint_eq(roofline_predict(&roofline, &cost), 0);
	} else {
		ck_assert_double_gt(roofline.multiply_add_ns, 0);
		ck_assert_double_gt(roofline.weight_byte_ns, 0);
		ck_assert_double_gt(roofline.cached_byte_ns, 0);
		ck_assert_double_gt(roofline.row_ns, 0);
	}
	roofline_measure(&roofline, cpu_device(), weights, 0);
	ck_assert_uint_eq(roofline_predict(&roofline, &cost), 0);
	free(weights);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("roofline");
	TCase *tests = tcase_create("roofline");

	tcase_add_test(tests, every_line_is_read);
	tcase_add_test(tests, random_lines_stay_inside);
	tcase_add_test(tests, a_step_takes_the_longer_of_its_limits_and_its_rows_beside);
	tcase_add_test(tests, limits_are_measured_where_a_clock_can_be_trusted);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_sequence_bags.c - nn.EmbeddingBag's loops that fill a sequence are bags: the steps
 * that Gather has, the oracle's answers, and no loop that is nearly one is taken for one
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/exec/engine_fixture.h"
#include "tests/exec/sequence_model.h"
#include "tests/graph/graph_fixture.h"
#include "tests/suite.h"

#define VALUES_MAX 256
#define ROWS_MAX 40
#define SEED 20250311u

static float table[LOOP_ROWS * LOOP_DIM];
static int64_t ids[VALUES_MAX];
static float weights[VALUES_MAX];
static int64_t offsets[ROWS_MAX + 1];
static float y[ROWS_MAX * LOOP_DIM];

static const char *const reductions[] = {"ReduceSum", "ReduceMean", "ReduceMax"};

static void fill(uint32_t seed)
{
	fixture_floats(table, LOOP_ROWS * LOOP_DIM, &seed);
	fixture_floats(weights, VALUES_MAX, &seed);
	fixture_ids(ids, VALUES_MAX, LOOP_ROWS, &seed);
}

static void check_rows(const struct sequence_variant *variant, int64_t rows, int64_t values)
{
	for (int64_t row = 0; row < rows; row++) {
		int64_t begin = variant->hot > 0 ? row * variant->hot : offsets[row];
		int64_t end = variant->hot > 0 ? begin + variant->hot
			      : row + 1 < rows || (variant->include_last && !variant->padded)
				      ? offsets[row + 1]
				      : values;

		for (int column = 0; column < LOOP_DIM; column++) {
			double wanted = loop_answer(table, variant->reduce, ids,
						    variant->weighted ? weights : NULL, begin, end,
						    variant->padded ? variant->padding_idx : -1, column);
			double got = (double)y[row * LOOP_DIM + column];

			ck_assert_msg(fabs(got - wanted) <= 1e-5,
				      "%s, row %lld of %lld, [%lld, %lld): %.9g, wanted %.9g",
				      variant->reduce, (long long)row, (long long)rows,
				      (long long)begin, (long long)end, got, wanted);
		}
	}
}

static struct engine *engine_of(struct onnx_writer *writer)
{
	struct engine *engine = fixture_engine(writer, NULL);

	ck_assert_msg(engine != NULL, "%s", err_message());
	return engine;
}

/* Bags of 0, 1, 2, 3, 0, 1, ... ids, the last one takes what is left. */
static int64_t offsets_fill(int64_t rows, int64_t left)
{
	int64_t at = 0;

	for (int64_t row = 0; row < rows; row++) {
		offsets[row] = at;
		at += (row * 7 + (rows > 1)) % 4;
	}
	offsets[rows] = at + left;
	return at + left;
}

/* Of any row. */
static bool is_told(const struct row_status status[ROWS_MAX])
{
	uint32_t error = 0;

	for (int row = 0; row < ROWS_MAX; row++)
		error |= status[row].error;
	return error != 0;
}

/* Does the free size of the offsets count rows, so that requests are joined by them? */
static bool counts_rows(const struct sequence_variant *variant)
{
	return !variant->include_last || (!variant->padded && variant->reduce[6] == 'S');
}

static void run_jagged(const struct sequence_variant *variant, struct engine *engine, int64_t rows,
		       int64_t values, struct row_status *status)
{
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {values, rows + !counts_rows(variant)};
	const void *inputs[] = {ids, offsets, weights};
	void *outputs[] = {y};

	ck_assert(engine_fits(engine, symbols));
	memset(y, 0xff, sizeof(y));
	memset(status, 0, ROWS_MAX * sizeof(*status));
	fixture_run(engine, symbols, inputs, outputs, status);
}

static void check_jagged(const struct sequence_variant *variant)
{
	static const int64_t rows[] = {1, 2, 3, 8, 13};
	struct engine *engine = engine_of(sequence_model(variant, table));
	struct row_status status[ROWS_MAX];

	for (size_t size = 0; size < sizeof(rows) / sizeof(rows[0]); size++) {
		for (int64_t left = 0; left < 3; left += 2) {
			int64_t values = offsets_fill(rows[size], left);

			if (values == 0)
				continue;
			run_jagged(variant, engine, rows[size], values, status);
			check_rows(variant, rows[size], values);
			ck_assert(!is_told(status));
		}
	}
	engine_free(engine);
}

/* `slices`: of offsets, which are no part of the bag. */
static void check_one_step(const struct sequence_variant *variant, uint32_t slices)
{
	struct built built;

	ck_assert_msg(built_init(&built, sequence_model(variant, table)), "%s", err_message());
	ck_assert_uint_eq(built.lowering.step_count, 1 + slices);
	ck_assert_uint_eq(built_count(&built, KERNEL_EMBED), 1);
	ck_assert_int_eq(built.proof.symbol, counts_rows(variant) ? 1 : -1);
	built_deinit(&built);
}

START_TEST(values_and_offsets_are_one_step_with_the_oracles_answers)
{
	fill(SEED);
	for (int choice = 0; choice < 3 * 2 * 2 * 2; choice++) {
		struct sequence_variant variant = {
			.opset = choice % 2 ? 18 : 20,
			.reduce = reductions[choice / 2 % 3],
			.weighted = choice / 6 % 2,
			.include_last = choice / 12,
		};

		check_one_step(&variant, 0);
		check_jagged(&variant);
	}
}
END_TEST

/* Also one that is outside the table, which no id is. */
START_TEST(padding_does_not_count)
{
	static const int64_t paddings[] = {0, 3, LOOP_ROWS - 1, LOOP_ROWS};

	fill(SEED + 1);
	for (int choice = 0; choice < 3 * 2 * 2 * 2 * 4; choice++) {
		struct sequence_variant variant = {
			.opset = choice % 2 ? 18 : 20,
			.reduce = reductions[choice / 2 % 3],
			.weighted = choice / 6 % 2,
			.include_last = choice / 12 % 2,
			.padded = true,
			.wraps = choice % 2,
			.padding_idx = paddings[choice / 24],
		};

		check_one_step(&variant, variant.include_last);
		check_jagged(&variant);
	}
}
END_TEST

START_TEST(ids_and_offsets_that_are_wrong_are_told)
{
	for (int mode = 0; mode < 3; mode++) {
		struct sequence_variant variant = {.opset = 18, .reduce = reductions[mode]};
		struct row_status status[ROWS_MAX];
		struct engine *engine;
		int64_t values;

		fill(SEED + 2);
		engine = engine_of(sequence_model(&variant, table));
		values = offsets_fill(8, 2);
		ids[3] = -1;
		run_jagged(&variant, engine, 8, values, status);
		check_rows(&variant, 8, values);
		ck_assert(!is_told(status));
		ids[3] = LOOP_ROWS;
		run_jagged(&variant, engine, 8, values, status);
		ck_assert(is_told(status));
		ids[3] = 0;
		for (int wrong = 0; wrong < 3; wrong++) {
			(void)offsets_fill(8, 2);
			offsets[4] = (const int64_t[]){-1, values + 1, INT64_MAX}[wrong];
			run_jagged(&variant, engine, 8, values, status);
			ck_assert(is_told(status));
		}
		engine_free(engine);
	}
}
END_TEST

/* A mean and a maximum end the last bag with the ids, wherever the last offset is. */
START_TEST(a_last_offset_that_is_not_the_count_is_told_where_it_would_be_read_two_ways)
{
	fill(SEED + 3);
	for (int mode = 0; mode < 3; mode++) {
		struct sequence_variant variant = {
			.opset = 18, .reduce = reductions[mode], .include_last = true};
		struct row_status status[ROWS_MAX];
		struct engine *engine = engine_of(sequence_model(&variant, table));
		int64_t values = offsets_fill(8, 2);

		offsets[8]--;
		run_jagged(&variant, engine, 8, values, status);
		ck_assert_int_eq(is_told(status), mode != 0);
		if (mode == 0)
			check_rows(&variant, 8, values);
		engine_free(engine);
	}
}
END_TEST

/* Where padding is compared before an id counts from the end, such an id is an error. */
START_TEST(negative_ids_are_padding_or_are_told)
{
	fill(SEED + 4);
	for (int wraps = 0; wraps < 2; wraps++) {
		struct sequence_variant variant = {.opset = 18,
						   .reduce = "ReduceMean",
						   .padded = true,
						   .wraps = wraps,
						   .padding_idx = 3};
		struct row_status status[ROWS_MAX];
		struct engine *engine = engine_of(sequence_model(&variant, table));
		int64_t values = offsets_fill(8, 2);

		ids[3] = 3 - LOOP_ROWS;
		run_jagged(&variant, engine, 8, values, status);
		ck_assert_int_eq(!is_told(status), wraps);
		if (wraps)
			check_rows(&variant, 8, values);
		engine_free(engine);
	}
}
END_TEST

static void check_same_steps(struct onnx_writer *sequence, struct onnx_writer *gather)
{
	struct built left, right;

	ck_assert_msg(built_init(&left, sequence), "%s", err_message());
	ck_assert_msg(built_init(&right, gather), "%s", err_message());
	ck_assert_uint_eq(left.lowering.step_count, right.lowering.step_count);
	for (uint32_t step = 0; step < left.lowering.step_count; step++)
		ck_assert_int_eq((int)left.lowering.steps[step]->kernel,
				 (int)right.lowering.steps[step]->kernel);
	ck_assert_int_eq(left.proof.symbol, right.proof.symbol);
	built_deinit(&left);
	built_deinit(&right);
}

static void run_matrix(struct engine *engine, int64_t rows)
{
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {rows};
	struct row_status status[ROWS_MAX] = {{0, 0}};
	const void *inputs[] = {ids, weights};
	void *outputs[] = {y};

	memset(y, 0xff, sizeof(y));
	fixture_run(engine, symbols, inputs, outputs, status);
	ck_assert(!is_told(status));
}

/* Two dimensions: a batch that the exporter knew, and one that it did not. */
START_TEST(bags_of_one_length_are_the_gather_forms_steps_and_bits)
{
	static const int64_t batches[] = {1, 5, 16, 0};

	fill(SEED + 5);
	for (int choice = 0; choice < 3 * 2 * 4; choice++) {
		struct sequence_variant variant = {
			.opset = 18,
			.reduce = reductions[choice % 3],
			.weighted = choice / 3 % 2,
			.hot = 3,
			.fixed_batch = batches[choice / 6],
		};
		struct loop_variant gather = {
			.opset = 17,
			.reduce = variant.reduce,
			.weighted = variant.weighted,
			.hot = 3,
			.fixed_batch = variant.fixed_batch,
		};
		int64_t rows = variant.fixed_batch ? variant.fixed_batch : 7;
		float from_sequence[ROWS_MAX * LOOP_DIM];
		struct engine *engine;

		check_same_steps(sequence_model(&variant, table), loop_model_gather(&gather, table));
		engine = engine_of(sequence_model(&variant, table));
		run_matrix(engine, rows);
		check_rows(&variant, rows, rows * variant.hot);
		memcpy(from_sequence, y, sizeof(y));
		engine_free(engine);
		engine = engine_of(loop_model_gather(&gather, table));
		run_matrix(engine, rows);
		ck_assert_int_eq(memcmp(from_sequence, y, sizeof(y)), 0);
		engine_free(engine);
	}
}
END_TEST

static void check_slip(enum sequence_slip slip, const char *reduce, bool is_padded)
{
	struct sequence_variant variant = {
		.opset = 18,
		.reduce = reduce,
		.padded = is_padded,
		.wraps = is_padded,
		.padding_idx = 3,
		.slip = slip,
	};
	struct built built;
	bool loads = built_init(&built, sequence_model(&variant, table));

	ck_assert_msg(loads == (slip == SEQUENCE_RIGHT), "slip %d of %s: %s", (int)slip, reduce,
		      loads ? "it loads" : err_message());
	if (!loads)
		ck_assert_msg(strstr(err_message(), "model: ") == err_message(), "\"%s\"",
			      err_message());
	built_deinit(&built);
}

START_TEST(a_sequence_that_is_nearly_one_of_bags_is_refused)
{
	fill(SEED + 6);
	for (int mode = 0; mode < 3; mode++) {
		for (int slip = SEQUENCE_RIGHT; slip < SEQUENCE_LAST; slip++)
			check_slip((enum sequence_slip)slip, reductions[mode], false);
		for (int slip = SEQUENCE_NOT; slip < SEQUENCE_COUNT; slip++)
			check_slip((enum sequence_slip)slip, reductions[mode], true);
		for (int slip = SEQUENCE_RIGHT; slip < SEQUENCE_BEGIN; slip++)
			check_slip((enum sequence_slip)slip, reductions[mode], true);
	}
	for (int slip = SEQUENCE_LAST; slip < SEQUENCE_MAX; slip++)
		check_slip((enum sequence_slip)slip, "ReduceMean", false);
	check_slip(SEQUENCE_LAST, "ReduceMax", false);
	check_slip(SEQUENCE_MAX, "ReduceMax", false);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sequence bags");
	TCase *tests = tcase_create("sequence bags");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, values_and_offsets_are_one_step_with_the_oracles_answers);
	tcase_add_test(tests, padding_does_not_count);
	tcase_add_test(tests, ids_and_offsets_that_are_wrong_are_told);
	tcase_add_test(
		tests,
		a_last_offset_that_is_not_the_count_is_told_where_it_would_be_read_two_ways);
	tcase_add_test(tests, negative_ids_are_padding_or_are_told);
	tcase_add_test(tests, bags_of_one_length_are_the_gather_forms_steps_and_bits);
	tcase_add_test(tests, a_sequence_that_is_nearly_one_of_bags_is_refused);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_loop_bags.c - nn.EmbeddingBag's Loops are bags: the same steps as with Gather,
 * the oracle's answers, and no loop that is nearly one is taken for one
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/ops.h"
#include "tests/exec/engine_fixture.h"
#include "tests/exec/loop_model.h"
#include "tests/graph/graph_fixture.h"
#include "tests/suite.h"

#define VALUES_MAX 256
#define ROWS_MAX 40
#define SEED 20240715u

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

static void check_rows(const struct loop_variant *variant, int64_t rows, int64_t values)
{
	for (int64_t row = 0; row < rows; row++) {
		int64_t begin = variant->hot > 0 ? row * variant->hot : offsets[row];
		int64_t end = variant->hot > 0			       ? begin + variant->hot
			      : row + 1 < rows || variant->include_last ? offsets[row + 1]
									: values;

		for (int column = 0; column < LOOP_DIM; column++) {
			double wanted = loop_answer(table, variant->reduce, ids,
						    variant->weighted ? weights : NULL, begin, end,
						    -1, column);
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
static int64_t offsets_fill(int64_t rows)
{
	int64_t at = 0;

	for (int64_t row = 0; row < rows; row++) {
		offsets[row] = at;
		at += (row * 7 + 1) % 4;
	}
	offsets[rows] = at + 2;
	return at + 2;
}

static void run_jagged(struct engine *engine, int64_t rows, int64_t values,
		       struct row_status *status)
{
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {values, rows};
	const void *inputs[] = {ids, offsets, weights};
	void *outputs[] = {y};

	ck_assert(engine_fits(engine, symbols));
	memset(y, 0xff, sizeof(y));
	memset(status, 0, ROWS_MAX * sizeof(*status));
	fixture_run(engine, symbols, inputs, outputs, status);
}

START_TEST(values_and_offsets_are_one_step_with_the_oracles_answers)
{
	static const int64_t opsets[] = {11, 12, 13, 17};
	static const int64_t rows[] = {1, 2, 3, 8, 13};

	fill(SEED);
	for (int choice = 0; choice < 4 * 3 * 2 * 2; choice++) {
		struct loop_variant variant = {
			.opset = opsets[choice / 12],
			.reduce = reductions[choice % 3],
			.weighted = choice / 3 % 2,
			.include_last = choice / 6 % 2,
		};
		struct row_status status[ROWS_MAX];
		struct engine *engine;
		struct built built;

		ck_assert_msg(built_init(&built, loop_model(&variant, table)), "%s", err_message());
		ck_assert_uint_eq(built.lowering.step_count, 1);
		ck_assert_uint_eq(built_count(&built, KERNEL_EMBED), 1);
		ck_assert_msg(built.proof.symbol == 1, "%s", built.proof.why);
		built_deinit(&built);
		engine = engine_of(loop_model(&variant, table));
		for (size_t size = 0; size < sizeof(rows) / sizeof(rows[0]); size++) {
			int64_t values = offsets_fill(rows[size]);

			run_jagged(engine, rows[size], values, status);
			check_rows(&variant, rows[size], values);
			for (int64_t row = 0; row < rows[size]; row++)
				ck_assert_uint_eq(status[row].error, 0);
		}
		engine_free(engine);
	}
}
END_TEST

START_TEST(ids_and_offsets_that_are_wrong_are_told)
{
	struct loop_variant variant = {.opset = 13, .reduce = "ReduceSum"};
	struct row_status status[ROWS_MAX];
	struct engine *engine;
	int64_t values;

	fill(SEED + 1);
	engine = engine_of(loop_model(&variant, table));
	values = offsets_fill(8);
	ids[3] = -1;
	run_jagged(engine, 8, values, status);
	check_rows(&variant, 8, values);
	ck_assert_uint_eq(status[0].error, 0);
	ids[3] = LOOP_ROWS;
	run_jagged(engine, 8, values, status);
	for (int64_t row = 0; row < 8; row++)
		ck_assert_int_eq(status[row].error != 0, offsets[row] <= 3 && 3 < offsets[row + 1]);
	ids[3] = 0;
	for (int wrong = 0; wrong < 3; wrong++) {
		(void)offsets_fill(8);
		offsets[4] = (const int64_t[]){-1, values + 1, INT64_MAX}[wrong];
		run_jagged(engine, 8, values, status);
		ck_assert_uint_ne(status[3].error | status[4].error, 0);
		for (int64_t row = 0; row < 8; row++)
			ck_assert(status[row].error == 0 || row == 3 || row == 4);
	}
	engine_free(engine);
}
END_TEST

static void run_matrix(const struct loop_variant *variant, struct engine *engine, int64_t rows)
{
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {rows};
	struct row_status status[ROWS_MAX] = {{0, 0}};
	const void *inputs[] = {ids, weights};
	void *outputs[] = {y};

	(void)variant;
	memset(y, 0xff, sizeof(y));
	fixture_run(engine, symbols, inputs, outputs, status);
	ck_assert_uint_eq(status[0].error, 0);
}

static void check_same_steps(struct onnx_writer *loop, struct onnx_writer *gather)
{
	struct built left, right;

	ck_assert_msg(built_init(&left, loop), "%s", err_message());
	ck_assert_msg(built_init(&right, gather), "%s", err_message());
	ck_assert_uint_eq(left.lowering.step_count, right.lowering.step_count);
	for (uint32_t step = 0; step < left.lowering.step_count; step++)
		ck_assert_int_eq((int)left.lowering.steps[step]->kernel,
				 (int)right.lowering.steps[step]->kernel);
	ck_assert_int_eq(left.proof.symbol, right.proof.symbol);
	built_deinit(&left);
	built_deinit(&right);
}

/* Two dimensions: a batch that the exporter knew, and one that it did not. */
START_TEST(bags_of_one_length_are_the_gather_forms_steps_and_bits)
{
	static const int64_t batches[] = {1, 5, 16};

	fill(SEED + 2);
	for (int choice = 0; choice < 2 * 3 * 2 * 4; choice++) {
		struct loop_variant variant = {
			.opset = choice % 2 ? 17 : 11,
			.reduce = reductions[choice / 2 % 3],
			.weighted = choice / 6 % 2,
			.hot = 3,
			.fixed_batch = choice / 12 < 3 ? batches[choice / 12] : 0,
		};
		int64_t rows = variant.fixed_batch ? variant.fixed_batch : 7;
		float from_loop[ROWS_MAX * LOOP_DIM];
		struct engine *engine;

		if (!op_find(variant.reduce) || (variant.fixed_batch == 0 && !op_find("Range")))
			continue;
		check_same_steps(loop_model(&variant, table), loop_model_gather(&variant, table));
		engine = engine_of(loop_model(&variant, table));
		run_matrix(&variant, engine, rows);
		check_rows(&variant, rows, rows * variant.hot);
		memcpy(from_loop, y, sizeof(y));
		engine_free(engine);
		engine = engine_of(loop_model_gather(&variant, table));
		run_matrix(&variant, engine, rows);
		ck_assert_int_eq(memcmp(from_loop, y, sizeof(y)), 0);
		engine_free(engine);
	}
}
END_TEST

/* Two tables with their own ids, offsets and modes, joined: one step reads both. */
START_TEST(loops_of_several_tables_are_one_step)
{
	const struct loop_variant sum = {.opset = 13, .reduce = "ReduceSum"};
	const struct loop_variant mean = {.opset = 13, .reduce = "ReduceMean", .weighted = true};
	struct onnx_writer *writer = onnx_writer_new(13);
	struct built built;

	fill(SEED + 3);
	onnx_writer_input(writer, "ids", DTYPE_I64, "values");
	onnx_writer_input(writer, "offsets", DTYPE_I64, "batch");
	onnx_writer_input(writer, "other_ids", DTYPE_I64, "others");
	onnx_writer_input(writer, "other_offsets", DTYPE_I32, "batch");
	onnx_writer_input(writer, "weights", DTYPE_F32, "others");
	onnx_writer_tensor(writer, "table", DTYPE_F32, "11,5", table, sizeof(table));
	onnx_writer_tensor(writer, "other", DTYPE_F32, "5,11", table, sizeof(table));
	onnx_writer_node(writer, "Cast", "other_offsets", "wide_offsets");
	onnx_writer_int(writer, "to", DTYPE_I64);
	loop_model_bag(writer, &sum, "a_", "table", "ids", "offsets", NULL, "left");
	loop_model_bag(writer, &mean, "b_", "other", "other_ids", "wide_offsets", "weights",
		       "right");
	onnx_writer_node(writer, "Concat", "left,right", "y");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built.lowering.step_count, 1);
	ck_assert_int_eq((int)built.lowering.steps[0]->kernel, KERNEL_EMBED);
	ck_assert_int_eq(built.lowering.steps[0]->args->embed.table_count, 2);
	built_deinit(&built);
}
END_TEST

/* --- loops that are nearly bags ------------------------------------------------------------- */

enum slip {
	SLIP_NONE,
	SLIP_AXIS,      /* the sum is over the other axis */
	SLIP_KEEP,      /* the sum keeps its axis */
	SLIP_ENDS,      /* a bag ends where the next but one begins */
	SLIP_STARTS,    /* the first bag begins at offset 1 */
	SLIP_INDEX,     /* ids of the next bag */
	SLIP_TRIPS,     /* one iteration less than there are bags */
	SLIP_CONDITION, /* it ends after the first */
	SLIP_CARRIED,   /* a value goes from one iteration to the next */
	SLIP_COUNT,
};

static void put_loop(struct onnx_writer *writer, enum slip slip)
{
	onnx_writer_node(writer, "Loop",
			 slip == SLIP_CARRIED ? "trips,true,weight" : "trips,true",
			 slip == SLIP_CARRIED ? "last,y" : "y");
	onnx_writer_body(writer, "body");
	onnx_writer_input(writer, "i", DTYPE_I64, "");
	onnx_writer_input(writer, "go", DTYPE_BOOL, "");
	if (slip == SLIP_CARRIED)
		onnx_writer_input(writer, "carry", DTYPE_F32, "");
	onnx_writer_node(writer, "Add", "i,one", "i1");
	onnx_writer_node(writer, "Gather", slip == SLIP_INDEX ? "starts,i1" : "starts,i", "b");
	onnx_writer_node(writer, "Gather", "ends,i", "e");
	onnx_writer_node(writer, "Unsqueeze", "b,zero", "b1");
	onnx_writer_node(writer, "Unsqueeze", "e,zero", "e1");
	onnx_writer_node(writer, "Slice", "ids,b1,e1,zero", "bag");
	onnx_writer_node(writer, "Gather", "table,bag", "rows");
	onnx_writer_node(writer, "ReduceSum", slip == SLIP_AXIS ? "rows,one1" : "rows,zero",
			 "pooled");
	onnx_writer_int(writer, "keepdims", slip == SLIP_KEEP);
	onnx_writer_node(writer, "Cast", slip == SLIP_CONDITION ? "nothing" : "one", "again");
	onnx_writer_int(writer, "to", DTYPE_BOOL);
	onnx_writer_output(writer, "again", DTYPE_BOOL, "");
	if (slip == SLIP_CARRIED)
		onnx_writer_output(writer, "carry", DTYPE_F32, "");
	onnx_writer_output(writer, "pooled", DTYPE_F32, NULL);
	onnx_writer_body_end(writer);
}

static struct onnx_writer *slipped(enum slip slip)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	int64_t zero = 0, one = 1, two = 2, far = INT64_MAX;
	uint8_t truth = 1;
	float weight = 1;

	onnx_writer_input(writer, "ids", DTYPE_I64, "values");
	onnx_writer_input(writer, "offsets", DTYPE_I64, "batch");
	onnx_writer_tensor(writer, "table", DTYPE_F32, "11,5", table, sizeof(table));
	onnx_writer_tensor(writer, "weight", DTYPE_F32, "", &weight, sizeof(weight));
	onnx_writer_constant(writer, "true", DTYPE_BOOL, "", &truth, 1);
	put_i64(writer, "zero", "1", &zero, 1);
	put_i64(writer, "nothing", "", &zero, 1);
	put_i64(writer, "one", "", &one, 1);
	put_i64(writer, "one1", "1", &one, 1);
	put_i64(writer, "two", "1", &two, 1);
	put_i64(writer, "far", "1", &far, 1);
	onnx_writer_node(writer, "Shape", "ids", "count");
	onnx_writer_node(writer, "Concat", "offsets,count", "bounds");
	onnx_writer_int(writer, "axis", 0);
	onnx_writer_node(writer, "Slice", slip == SLIP_STARTS ? "bounds,one1,far" : "bounds,zero,far",
			 "starts");
	onnx_writer_node(writer, "Slice", slip == SLIP_ENDS ? "bounds,two,far" : "bounds,one1,far",
			 "ends");
	onnx_writer_node(writer, "Shape", "ends", "all");
	onnx_writer_node(writer, "Sub", "all,one1", "fewer");
	onnx_writer_node(writer, "Squeeze", slip == SLIP_TRIPS ? "fewer" : "all", "trips");
	put_loop(writer, slip);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	return writer;
}

START_TEST(a_loop_that_is_nearly_a_bag_is_refused)
{
	for (int slip = SLIP_NONE; slip < SLIP_COUNT; slip++) {
		struct built built;
		bool loads = built_init(&built, slipped((enum slip)slip));

		ck_assert_msg(loads == (slip == SLIP_NONE), "slip %d: %s", slip,
			      loads ? "it loads" : err_message());
		if (!loads)
			ck_assert_msg(strstr(err_message(), "(Loop, opset 13): its number of "
							    "iterations ('trips') depends on a "
							    "free size"),
				      "slip %d: %s", slip, err_message());
		built_deinit(&built);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("loop bags");
	TCase *tests = tcase_create("loop bags");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, values_and_offsets_are_one_step_with_the_oracles_answers);
	tcase_add_test(tests, ids_and_offsets_that_are_wrong_are_told);
	tcase_add_test(tests, bags_of_one_length_are_the_gather_forms_steps_and_bits);
	tcase_add_test(tests, loops_of_several_tables_are_one_step);
	tcase_add_test(tests, a_loop_that_is_nearly_a_bag_is_refused);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

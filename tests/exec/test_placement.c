/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_placement.c - weights and tables lie where the options say, and answer the same
 *
 * Of two nodes tests/places/test_guest.sh has more; here they lie apart where one kind is bound and
 * the other is not.
 */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "tests/exec/engine_fixture.h"
#include "tests/suite.h"

#define BATCH 8
#define ROWS 9000 /* of a table that is worth pages of its own */
#define DIM 4

/* y = table[ids] @ matrix, or x @ matrix; the matrix changes nothing. */
static struct onnx_writer *model(bool has_table, bool has_matrix)
{
	static float table[ROWS * DIM];
	static const float matrix[DIM * DIM] = { 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1 };
	struct onnx_writer *writer = onnx_writer_new(13);
	const char *last = "x";

	for (int place = 0; place < ROWS * DIM; place++)
		table[place] = (float)(place % 1000);
	if (has_table) {
		onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
		onnx_writer_external(writer, "table", DTYPE_F32, "9000,4", table, sizeof(table),
				     "table.bin", 4096);
		onnx_writer_node(writer, "Gather", "table,ids", "rows");
		last = "rows";
	} else {
		onnx_writer_input(writer, "x", DTYPE_F32, "batch,4");
	}
	if (has_matrix) {
		onnx_writer_tensor(writer, "matrix", DTYPE_F32, "4,4", matrix, sizeof(matrix));
		onnx_writer_node(writer, "MatMul", has_table ? "rows,matrix" : "x,matrix", "y");
		last = "y";
	}
	onnx_writer_output(writer, last, DTYPE_F32, "batch,4");
	return writer;
}

static struct engine_options options_of(uint64_t weights_nodes, uint64_t tables_nodes)
{
	return (struct engine_options){
		.rows_max = BATCH,
		.node = -1,
		.weights = { weights_nodes },
		.tables = { tables_nodes },
	};
}

static void answers_check(struct engine *engine)
{
	static const int64_t ids[3] = { 0, 8999, 251 };
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { 3 };
	const void *inputs[] = { ids };
	struct row_status status[3];
	float y[3 * DIM];
	void *outputs[] = { y };

	memset(status, 0, sizeof(status));
	fixture_run(engine, symbols, inputs, outputs, status);
	for (int row = 0; row < 3; row++)
		for (int column = 0; column < DIM; column++)
			ck_assert_float_eq(y[row * DIM + column],
					   (float)((ids[row] * DIM + column) % 1000));
}

START_TEST(weights_and_tables_on_one_node_are_one_part)
{
	const struct engine_options options = options_of(0x1, 0x1);
	struct engine *engine = fixture_engine(model(true, true), &options);
	const struct span *weights;

	ck_assert_msg(engine != NULL, "%s", err_message());
	weights = engine_memory(engine).weights;
	ck_assert_uint_eq(weights->part_count, 1);
	ck_assert_int_eq(weights->node, 0);
	ck_assert_uint_lt(weights->bytes, SPAN_PART_BYTES);
	answers_check(engine);
	engine_free(engine);
}
END_TEST

START_TEST(tables_that_lie_apart_begin_a_part_and_answer_the_same)
{
	const struct engine_options options = options_of(0x1, 0);
	struct engine *engine = fixture_engine(model(true, true), &options);
	const struct span *weights;

	ck_assert_msg(engine != NULL, "%s", err_message());
	weights = engine_memory(engine).weights;
	ck_assert_uint_eq(weights->part_count, 2);
	ck_assert_int_eq(weights->node, -1);
	ck_assert_uint_eq(weights->parts[0].bytes, SPAN_PART_BYTES);
	ck_assert_uint_eq(weights->parts[0].place.nodes, 0x1);
	ck_assert_uint_eq(weights->parts[1].place.nodes, 0);
	ck_assert_uint_ge(weights->parts[1].bytes, ROWS * DIM * sizeof(float));
	answers_check(engine);
	engine_free(engine);
}
END_TEST

START_TEST(what_a_model_has_not_takes_no_part)
{
	const struct engine_options options = options_of(0x1, 0);
	struct engine *engine = fixture_engine(model(true, false), &options);

	ck_assert_msg(engine != NULL, "%s", err_message());
	ck_assert_uint_eq(engine_memory(engine).weights->part_count, 1);
	ck_assert_int_eq(engine_memory(engine).weights->node, -1);
	answers_check(engine);
	engine_free(engine);
	engine = fixture_engine(model(false, true), &options);
	ck_assert_msg(engine != NULL, "%s", err_message());
	ck_assert_uint_eq(engine_memory(engine).weights->part_count, 1);
	ck_assert_int_eq(engine_memory(engine).weights->node, 0);
	engine_free(engine);
}
END_TEST

START_TEST(tables_for_a_node_that_is_not_there_are_refused)
{
	const struct engine_options options = options_of(0x1, UINT64_C(1) << 63);

	ck_assert_ptr_null(fixture_engine(model(true, true), &options));
	ck_assert_ptr_nonnull(strstr(err_message(), "node 63 has no memory to bind to"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("placement");
	TCase *parts = tcase_create("parts");

	tcase_add_test(parts, weights_and_tables_on_one_node_are_one_part);
	tcase_add_test(parts, tables_that_lie_apart_begin_a_part_and_answer_the_same);
	tcase_add_test(parts, what_a_model_has_not_takes_no_part);
	tcase_add_test(parts, tables_for_a_node_that_is_not_there_are_refused);
	suite_add_tcase(suite, parts);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/graph/test_jagged.c - rows of values and offsets: when they are independent, and who prevents it */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "graph/bag.h"
#include "tests/exec/loop_model.h"
#include "tests/graph/graph_fixture.h"
#include "tests/suite.h"

static const float table[LOOP_ROWS * LOOP_DIM] = {1, 2, 3};

static const struct loop_variant sum = {.opset = 13, .reduce = "ReduceSum"};
static const struct loop_variant last = {.opset = 13, .reduce = "ReduceMean", .include_last = true};

/* ids [values] and offsets [batch], and their bag "pooled" of "ids_read" by "offsets_read". */
static struct onnx_writer *put_bag(const char *ids_read, const char *offsets_read)
{
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "ids", DTYPE_I64, "values");
	onnx_writer_input(writer, "offsets", DTYPE_I64, "batch");
	onnx_writer_tensor(writer, "table", DTYPE_F32, "11,5", table, sizeof(table));
	put_i64(writer, "one", "1", (const int64_t[]){1}, 1);
	put_i64(writer, "axis", "1", (const int64_t[]){0}, 1);
	onnx_writer_node(writer, "Mul", "ids,one", "ids_computed");
	onnx_writer_node(writer, "Mul", "offsets,one", "offsets_computed");
	loop_model_bag(writer, &sum, "bag_", "table", ids_read, offsets_read, NULL, "pooled");
	return writer;
}

/* The proof fails, and says so with these words. */
static void check_prevented(struct onnx_writer *writer, const char *words)
{
	struct built built;

	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_int_eq(built.proof.symbol, -1);
	ck_assert_msg(strstr(built.proof.why, words) != NULL, "'%s' lacks '%s'", built.proof.why,
		      words);
	built_deinit(&built);
}

static void check_proven(struct onnx_writer *writer, const char *row_symbol)
{
	struct built built;

	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_msg(built.proof.symbol >= 0, "%s", built.proof.why);
	ck_assert_str_eq(built.proof.why, "");
	ck_assert_str_eq(built.graph.symbols[built.proof.symbol], row_symbol);
	built_deinit(&built);
}

START_TEST(a_bag_of_inputs_makes_rows)
{
	struct onnx_writer *writer = put_bag("ids", "offsets");

	onnx_writer_output(writer, "pooled", DTYPE_F32, NULL);
	check_proven(writer, "batch");
	/* What is computed of each value alone is the value's, too. */
	writer = put_bag("ids_computed", "offsets");
	onnx_writer_node(writer, "Relu", "pooled", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	check_proven(writer, "batch");
}
END_TEST

/* Dense rows, a user, two bags of their own ids, one with weights: all meet. */
START_TEST(bags_meet_dense_rows_and_what_a_request_has_once)
{
	const struct loop_variant weighted = {.opset = 13, .reduce = "ReduceSum", .weighted = true};
	struct onnx_writer *writer = put_bag("ids", "offsets");
	struct built built;

	onnx_writer_input(writer, "others", DTYPE_I32, "more");
	onnx_writer_input(writer, "weights", DTYPE_F32, "more");
	onnx_writer_input(writer, "starts", DTYPE_I32, "batch");
	onnx_writer_input(writer, "x", DTYPE_F32, "batch,5");
	onnx_writer_input(writer, "user", DTYPE_F32, "1,5");
	onnx_writer_node(writer, "Cast", "starts", "wide");
	onnx_writer_int(writer, "to", DTYPE_I64);
	onnx_writer_node(writer, "Sigmoid", "weights", "gates");
	loop_model_bag(writer, &weighted, "b_", "table", "others", "wide", "gates", "second");
	onnx_writer_node(writer, "Add", "pooled,second", "bags");
	onnx_writer_node(writer, "Add", "bags,x", "rows");
	onnx_writer_node(writer, "Mul", "rows,user", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_msg(built.proof.symbol == 1, "%s", built.proof.why);
	ck_assert_int_eq(built.proof.offsets_into[0], -1);
	ck_assert_int_eq(built.proof.offsets_into[1], 0);
	ck_assert_int_eq(built.proof.offsets_into[4], 2);
	ck_assert_int_ge(built.proof.request_symbol, 3);
	for (uint32_t step = 0; step < built.lowering.step_count; step++)
		if (built.lowering.steps[step]->kernel == KERNEL_EMBED)
			ck_assert_int_eq(built.lowering.steps[step]->args->embed.status_stride, 1);
	built_deinit(&built);
}
END_TEST

START_TEST(a_last_offset_that_ends_the_last_bag_is_one_more_than_rows)
{
	struct built built;
	uint32_t offsets;

	ck_assert_msg(built_init(&built, loop_model(&last, table)), "%s", err_message());
	ck_assert_msg(built.proof.symbol == 1, "%s", built.proof.why);
	offsets = built.graph.inputs[1];
	ck_assert(dim_equal(graph_value(&built.graph, offsets)->dims[0],
			    (struct dim){.symbol = 1, .factor = 1, .constant = 1}));
	ck_assert(dim_equal(built_value(&built, "y")->dims[0], dim_symbol(1)));
	ck_assert_str_eq(built.graph.symbols[1], "rows");
	built_deinit(&built);
}
END_TEST

/* Offsets of two bags that each end their last one, beside dense rows, as in any DLRM of such. _i: in
 * which order they meet, and how. */
START_TEST(last_offsets_are_one_more_than_the_rows_that_their_bags_meet)
{
	static const char *const orders[] = {"x,first,second", "first,second,x", "first,x,second"};
	struct onnx_writer *writer = onnx_writer_new(13);
	const struct value *inputs[5];
	struct built built;
	uint32_t rows;

	if (_i % 2)
		onnx_writer_input(writer, "x", DTYPE_F32, "batch,5");
	onnx_writer_input(writer, "ids", DTYPE_I64, "values");
	onnx_writer_input(writer, "offsets", DTYPE_I64, "bounds");
	onnx_writer_input(writer, "others", DTYPE_I64, "more");
	onnx_writer_input(writer, "starts", DTYPE_I64, "ends");
	if (_i % 2 == 0)
		onnx_writer_input(writer, "x", DTYPE_F32, "batch,5");
	onnx_writer_tensor(writer, "table", DTYPE_F32, "11,5", table, sizeof(table));
	loop_model_bag(writer, &last, "a_", "table", "ids", "offsets", NULL, "first");
	loop_model_bag(writer, &last, "b_", "table", "others", "starts", NULL, "second");
	onnx_writer_node(writer, _i < 6 ? "Concat" : "Sum", orders[_i / 2 % 3], "y");
	if (_i < 6)
		onnx_writer_int(writer, "axis", 1);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_msg(built.proof.symbol >= 0, "%s", built.proof.why);
	ck_assert_uint_eq(built.graph.symbol_count, 3);
	rows = (uint32_t)built.proof.symbol;
	ck_assert_str_eq(built.graph.symbols[rows], "batch");
	for (uint32_t input = 0; input < 5; input++)
		inputs[input] = graph_value(&built.graph, built.graph.inputs[input]);
	ck_assert(dim_equal(inputs[_i % 2 ? 0 : 4]->dims[0], dim_symbol(rows)));
	for (uint32_t bag = 0; bag < 2; bag++) {
		const struct value *offsets = inputs[2 * bag + 1 + (uint32_t)(_i % 2)];
		const struct value *ids = inputs[2 * bag + (uint32_t)(_i % 2)];

		ck_assert_int_eq(offsets->dims[0].symbol, (int32_t)rows);
		ck_assert_int_eq(offsets->dims[0].constant, 1);
		ck_assert_str_eq(built.graph.symbols[ids->dims[0].symbol], bag ? "more" : "values");
		ck_assert_int_eq(built.proof.offsets_into[offsets->input_index],
				 ids->dims[0].symbol);
	}
	built_deinit(&built);
}
END_TEST

/* What counts the offsets of no bag is not taken for rows and one. */
START_TEST(other_sizes_are_not_made_equal)
{
	struct onnx_writer *writer = put_bag("ids", "offsets");
	struct built built;

	onnx_writer_input(writer, "x", DTYPE_F32, "rows,5");
	onnx_writer_node(writer, "Concat", "x,pooled", "y");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert(!built_init(&built, writer));
	ck_assert_msg(strstr(err_message(), "does not continue") != NULL, "%s", err_message());
	built_deinit(&built);
}
END_TEST

START_TEST(offsets_and_values_that_are_read_otherwise_are_named)
{
	struct onnx_writer *writer = put_bag("ids", "offsets_computed");

	onnx_writer_output(writer, "pooled", DTYPE_F32, NULL);
	check_prevented(writer, "(Loop) gives 'pooled'");
	/* Where a bag begins is no row of numbers. */
	writer = put_bag("ids", "offsets");
	onnx_writer_output(writer, "pooled", DTYPE_F32, NULL);
	onnx_writer_output(writer, "offsets_computed", DTYPE_I64, NULL);
	check_prevented(writer, "(Mul) gives 'offsets_computed'");
	/* Over all values of all requests. */
	writer = put_bag("ids", "offsets");
	onnx_writer_node(writer, "ReduceSum", "ids,axis", "all");
	onnx_writer_node(writer, "Cast", "all", "number");
	onnx_writer_int(writer, "to", DTYPE_F32);
	onnx_writer_node(writer, "Add", "pooled,number", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	check_prevented(writer, "(ReduceSum) gives 'all'");
	/* Values do not come out again: nobody could give them back to their requests. */
	writer = put_bag("ids", "offsets");
	onnx_writer_output(writer, "pooled", DTYPE_F32, NULL);
	onnx_writer_output(writer, "ids_computed", DTYPE_I64, NULL);
	check_prevented(writer, "output 'ids_computed' of shape [values] has values or offsets");
	/* An id that is out of range there has no row to blame. */
	writer = put_bag("ids", "offsets");
	onnx_writer_node(writer, "Gather", "table,ids", "rows");
	onnx_writer_node(writer, "ReduceSum", "rows,one", "scores");
	onnx_writer_int(writer, "keepdims", 0);
	onnx_writer_output(writer, "pooled", DTYPE_F32, NULL);
	onnx_writer_output(writer, "scores", DTYPE_F32, NULL);
	check_prevented(writer, "(Gather) gives 'rows'");
}
END_TEST

START_TEST(one_offset_of_two_counts_of_values_is_no_row)
{
	struct onnx_writer *writer = put_bag("ids", "offsets");

	onnx_writer_input(writer, "others", DTYPE_I64, "more");
	loop_model_bag(writer, &sum, "b_", "table", "others", "offsets", NULL, "second");
	onnx_writer_node(writer, "Add", "pooled,second", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	check_prevented(writer, "(Loop) gives");
}
END_TEST

START_TEST(a_size_that_counts_something_else_is_named)
{
	struct onnx_writer *writer = put_bag("ids", "offsets");

	onnx_writer_input(writer, "history", DTYPE_F32, "batch,length");
	onnx_writer_node(writer, "ReduceMax", "history", "most");
	onnx_writer_ints(writer, "axes", (const int64_t[]){1}, 1);
	onnx_writer_node(writer, "Add", "pooled,most", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	check_prevented(writer, "agree on 'length', which counts neither");
}
END_TEST

START_TEST(more_free_sizes_than_there_can_be_are_refused)
{
	struct onnx_writer *writer = put_bag("ids", "offsets");
	struct built built;

	for (int input = 0; input < SIGNATURE_SYMBOLS_MAX; input++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "size%d", input);
		onnx_writer_input(writer, name, DTYPE_F32, name);
	}
	onnx_writer_output(writer, "pooled", DTYPE_F32, NULL);
	ck_assert(!built_init(&built, writer));
	ck_assert_msg(strstr(err_message(), "input 'size38': more than 40 free sizes") != NULL,
		      "%s", err_message());
	built_deinit(&built);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("jagged");
	TCase *tests = tcase_create("jagged");

	tcase_add_test(tests, a_bag_of_inputs_makes_rows);
	tcase_add_test(tests, bags_meet_dense_rows_and_what_a_request_has_once);
	tcase_add_test(tests, a_last_offset_that_ends_the_last_bag_is_one_more_than_rows);
	tcase_add_loop_test(tests, last_offsets_are_one_more_than_the_rows_that_their_bags_meet, 0,
			    12);
	tcase_add_test(tests, other_sizes_are_not_made_equal);
	tcase_add_test(tests, offsets_and_values_that_are_read_otherwise_are_named);
	tcase_add_test(tests, one_offset_of_two_counts_of_values_is_no_row);
	tcase_add_test(tests, more_free_sizes_than_there_can_be_are_refused);
	tcase_add_test(tests, a_size_that_counts_something_else_is_named);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/graph/test_passes.c - what folding, fusing and column gathers leave, and the rows proof */
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "graph/plan.h"
#include "tests/graph/graph_fixture.h"
#include "tests/suite.h"

static const float floats[64] = {1, 2, 3, 4, 5, 6, 7, 8};

static struct onnx_writer *put_input(const char *shape)
{
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "x", DTYPE_F32, shape);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	onnx_writer_tensor(writer, "w", DTYPE_F32, "4,4", floats, 64);
	onnx_writer_tensor(writer, "b", DTYPE_F32, "4", floats, 16);
	onnx_writer_tensor(writer, "b14", DTYPE_F32, "1,4", floats, 16);
	onnx_writer_tensor(writer, "one", DTYPE_F32, "", floats, 4);
	return writer;
}

START_TEST(products_take_in_bias_and_activation)
{
	static const char *const activations[] = {"Relu", "Sigmoid", "Tanh", "Clip"};
	static const char *const adds[] = {"xw,b", "b14,xw", "xw,one"};
	struct built built;

	for (size_t activation = 0; activation < 4; activation++) {
		for (size_t add = 0; add < 3; add++) {
			struct onnx_writer *writer = put_input("batch,4");

			onnx_writer_node(writer, "MatMul", "x,w", "xw");
			onnx_writer_node(writer, "Add", adds[add], "xwb");
			onnx_writer_node(writer, activations[activation], "xwb", "y");
			ck_assert_msg(built_init(&built, writer), "%s", err_message());
			ck_assert_uint_eq(built.lowering.step_count, 1);
			ck_assert_uint_eq(built_count(&built, KERNEL_GEMM), 1);
			ck_assert_int_eq((int)built.lowering.steps[0]->args->gemm.activation,
					 (int)activation + 1);
			built_deinit(&built);
		}
	}
}
END_TEST

START_TEST(a_product_that_others_read_stays)
{
	struct onnx_writer *writer = put_input("batch,4");
	struct built built;

	onnx_writer_node(writer, "Gemm", "x,w,b", "xw");
	onnx_writer_node(writer, "Relu", "xw", "r");
	onnx_writer_node(writer, "Add", "xw,r", "y");
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built.lowering.step_count, 2);
	ck_assert_uint_eq(built_count(&built, KERNEL_CHAIN), 1);
	built_deinit(&built);
	writer = put_input("batch,4");
	onnx_writer_node(writer, "MatMul", "x,w", "xw");
	onnx_writer_node(writer, "Relu", "xw", "y");
	onnx_writer_output(writer, "xw", DTYPE_F32, NULL);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built.lowering.step_count, 2);
	built_deinit(&built);
}
END_TEST

START_TEST(nodes_of_constants_are_computed_at_load)
{
	struct onnx_writer *writer = put_input("batch,4");
	struct built built;

	onnx_writer_node(writer, "Transpose", "w", "wt");
	onnx_writer_ints(writer, "perm", (const int64_t[]){1, 0}, 2);
	onnx_writer_node(writer, "Add", "wt,w", "sum");
	onnx_writer_node(writer, "MatMul", "sum,w", "product");
	onnx_writer_node(writer, "MatMul", "x,product", "y");
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built.lowering.step_count, 1);
	ck_assert_float_eq(((const float *)built_value(&built, "wt")->data)[1], floats[4]);
	ck_assert_float_eq(((const float *)built_value(&built, "sum")->data)[1],
			   floats[1] + floats[4]);
	built_deinit(&built);
}
END_TEST

START_TEST(a_column_of_ids_is_read_in_place)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	int64_t one = 1, two = 2;
	struct built built;

	onnx_writer_input(writer, "ids", DTYPE_I32, "batch,3");
	onnx_writer_tensor(writer, "t", DTYPE_F32, "4,4", floats, 64);
	put_i64(writer, "k", "", &one, 1);
	put_i64(writer, "from", "1", &one, 1);
	put_i64(writer, "to", "1", &two, 1);
	onnx_writer_node(writer, "Gather", "ids,k", "c");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "Cast", "c", "wide");
	onnx_writer_int(writer, "to", DTYPE_I64);
	onnx_writer_node(writer, "Gather", "t,wide", "y");
	onnx_writer_node(writer, "Slice", "ids,from,to,from", "s");
	onnx_writer_node(writer, "Squeeze", "s,from", "s1");
	onnx_writer_node(writer, "Gather", "t,s1", "z");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	onnx_writer_output(writer, "z", DTYPE_F32, NULL);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built.lowering.step_count, 1);
	ck_assert_int_eq((int)built.lowering.steps[0]->kernel, KERNEL_EMBED);
	ck_assert_int_eq(built.lowering.steps[0]->args->embed.table_count, 2);
	ck_assert_int_eq(built.lowering.steps[0]->args->embed.status_stride, 1);
	for (uint32_t index = 0; index < 2; index++) {
		const struct embed_table *table =
			&built.lowering.steps[0]->args->embed.tables[index];

		ck_assert_int_eq(table->ids_row_stride, 3);
		ck_assert_int_eq((int)table->ids_dtype, DTYPE_I32);
		ck_assert_int_eq(table->hot, 1);
	}
	built_deinit(&built);
}
END_TEST

START_TEST(arena_values_of_a_plan_do_not_overlap_while_they_live)
{
	struct onnx_writer *writer = onnx_writer_new(14);
	const int64_t capacity[SIGNATURE_SYMBOLS_MAX] = {100};
	struct built built;
	struct plan plan;

	/* Integers: no pass joins their operators. */
	onnx_writer_input(writer, "x", DTYPE_I32, "batch,4");
	onnx_writer_output(writer, "y", DTYPE_I32, NULL);
	onnx_writer_node(writer, "Relu", "x", "v0");
	for (int index = 0; index < 40; index++) {
		char inputs[32], output[16];

		(void)snprintf(inputs, sizeof(inputs), "v%d,v%d", index, index / 2);
		(void)snprintf(output, sizeof(output), index == 39 ? "y" : "v%d", index + 1);
		onnx_writer_node(writer, "Mul", inputs, output);
	}
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_int_eq(plan_init(&plan, &built.lowering, capacity), 0);
	ck_assert_uint_eq(plan.entry_count, 41);
	ck_assert_uint_ge(plan.arena_bytes, 11 * 1600);
	ck_assert_uint_le(plan.arena_bytes, 13 * 1600);
	for (uint32_t index = 0; index < plan.pointer_count; index++) {
		if (plan.pointers[index].base == PLAN_ARENA)
			ck_assert_uint_le(plan.pointers[index].offset_bytes + 1600,
					  plan.arena_bytes);
	}
	plan_deinit(&plan);
	built_deinit(&built);
}
END_TEST

/* --- rows --- */

static const struct {
	const char *shape;
	const char *op;
	const char *inputs;
	const char *attribute; /* ints, NULL: none; "int:" an int */
	int64_t values[3];
	size_t count;
	bool independent;
} row_cases[] = {
	{"batch,4", "Relu", "x", NULL, {0}, 0, true},
	{"batch,4", "MatMul", "x,w", NULL, {0}, 0, true},
	{"batch,4", "Add", "x,b", NULL, {0}, 0, true},
	{"batch,4", "Gemm", "x,x", "transB", {1}, 0, false},
	{"batch,4", "Gemm", "x,x", "transA", {1}, 0, false},
	{"batch,4", "Transpose", "x", "perm", {1, 0}, 2, false},
	{"batch,2,4", "Transpose", "x", "perm", {0, 2, 1}, 3, true},
	{"batch,2,4", "Transpose", "x", "perm", {1, 0, 2}, 3, false},
	{"batch,4", "Softmax", "x", "axis", {1}, 0, true},
	{"batch,4", "Softmax", "x", "axis", {0}, 0, false},
	{"batch,4", "ReduceMean", "x", "axes", {1}, 1, true},
	{"batch,4", "ReduceMean", "x", "axes", {0}, 1, false},
	{"batch,4", "ReduceMean", "x", NULL, {0}, 0, false},
	{"batch,4", "Concat", "x,x", "axis", {1}, 0, true},
	{"batch,4", "Concat", "x,x", "axis", {0}, 0, false},
	{"batch,4", "Gather", "x,index", "axis", {1}, 0, true},
	{"batch,4", "Gather", "x,index", "axis", {0}, 0, false},
	{"batch,4", "Unsqueeze", "x,axis0", NULL, {0}, 0, false},
	{"batch,4", "Unsqueeze", "x,axis1", NULL, {0}, 0, true},
	{"batch", "MatMul", "x,x", NULL, {0}, 0, false},
	{"4,4", "Relu", "x", NULL, {0}, 0, false},
	{"batch,length", "Relu", "x", NULL, {0}, 0, false},
	{"batch,2,4", "MatMul", "x,w", NULL, {0}, 0, true},
};

START_TEST(rows_are_independent_only_when_it_is_proven)
{
	struct onnx_writer *writer = put_input(row_cases[_i].shape);
	int64_t axes[] = {0, 1};
	struct built built;

	put_i64(writer, "index", "1", &axes[0], 1);
	put_i64(writer, "axis0", "1", &axes[0], 1);
	put_i64(writer, "axis1", "1", &axes[1], 1);
	onnx_writer_node(writer, row_cases[_i].op, row_cases[_i].inputs, "v");
	if (row_cases[_i].attribute && row_cases[_i].count > 0)
		onnx_writer_ints(writer, row_cases[_i].attribute, row_cases[_i].values,
				 row_cases[_i].count);
	else if (row_cases[_i].attribute)
		onnx_writer_int(writer, row_cases[_i].attribute, row_cases[_i].values[0]);
	onnx_writer_node(writer, "Sqrt", "v", "y");
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_int_eq(built.lowering.row_symbol, row_cases[_i].independent ? 0 : -1);
	built_deinit(&built);
}
END_TEST

START_TEST(a_value_that_counts_rows_is_no_row)
{
	struct onnx_writer *writer = put_input("batch,4");
	struct built built;

	/* y = x / batch */
	onnx_writer_node(writer, "Shape", "x", "shape");
	onnx_writer_node(writer, "Cast", "shape", "sizes");
	onnx_writer_int(writer, "to", DTYPE_F32);
	put_i64(writer, "zero", "", &(int64_t){0}, 1);
	onnx_writer_node(writer, "Gather", "sizes,zero", "rows");
	onnx_writer_node(writer, "Div", "x,rows", "y");
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_int_eq(built.lowering.row_symbol, -1);
	built_deinit(&built);
}
END_TEST

START_TEST(rows_that_are_broadcast_over_each_other_are_mixed)
{
	struct onnx_writer *writer = put_input("batch,4");
	struct built built;

	/* Pairwise: [batch, 1] + [batch] is [batch, batch]. */
	onnx_writer_node(writer, "ReduceMean", "x", "column");
	onnx_writer_ints(writer, "axes", (const int64_t[]){1}, 1);
	onnx_writer_node(writer, "ReduceMean", "x", "flat");
	onnx_writer_ints(writer, "axes", (const int64_t[]){1}, 1);
	onnx_writer_int(writer, "keepdims", 0);
	onnx_writer_node(writer, "Add", "column,flat", "y");
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_int_eq(built.lowering.row_symbol, -1);
	built_deinit(&built);
}
END_TEST

START_TEST(folding_takes_memory_in_proportion_to_its_nodes)
{
	enum { NODES = 4000 };
	struct onnx_writer *writer = put_input("batch,4");
	struct mallinfo2 before, after;
	struct built built;

	for (int node = 0; node < NODES; node++) {
		char x[16], y[16];

		(void)snprintf(x, sizeof(x), node ? "v%d" : "b", node - 1);
		(void)snprintf(y, sizeof(y), "v%d", node);
		onnx_writer_node(writer, "Sqrt", x, y);
	}
	onnx_writer_node(writer, "Add", "x,v0", "y");
	before = mallinfo2();
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	after = mallinfo2();
	ck_assert_uint_lt(after.uordblks + after.hblkhd,
			  before.uordblks + before.hblkhd + NODES * (16U << 10));
	built_deinit(&built);
}
END_TEST

/* _i: from a constant, or from within each row. */
START_TEST(what_is_cut_out_at_the_number_of_rows_is_no_row)
{
	struct onnx_writer *writer = put_input("batch,4");
	struct built built;

	put_i64(writer, "zero", "1", (const int64_t[]){0}, 1);
	put_i64(writer, "unit", "1", (const int64_t[]){1}, 1);
	onnx_writer_node(writer, "Shape", "x", "shape");
	onnx_writer_node(writer, "Slice", "shape,zero,unit", "rows");
	onnx_writer_node(writer, "Add", "rows,unit", "next");
	onnx_writer_node(writer, "Slice", _i ? "x,rows,next,unit" : "b,rows,next", "cut");
	onnx_writer_node(writer, "Add", "x,cut", "y");
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_int_eq(built.lowering.row_symbol, -1);
	built_deinit(&built);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("passes");
	TCase *tests = tcase_create("passes");

	tcase_add_test(tests, products_take_in_bias_and_activation);
	tcase_add_test(tests, a_product_that_others_read_stays);
	tcase_add_test(tests, nodes_of_constants_are_computed_at_load);
	tcase_add_test(tests, folding_takes_memory_in_proportion_to_its_nodes);
	tcase_add_test(tests, a_column_of_ids_is_read_in_place);
	tcase_add_test(tests, arena_values_of_a_plan_do_not_overlap_while_they_live);
	tcase_add_loop_test(tests, rows_are_independent_only_when_it_is_proven, 0,
			    (int)(sizeof(row_cases) / sizeof(row_cases[0])));
	tcase_add_test(tests, a_value_that_counts_rows_is_no_row);
	tcase_add_test(tests, rows_that_are_broadcast_over_each_other_are_mixed);
	tcase_add_loop_test(tests, what_is_cut_out_at_the_number_of_rows_is_no_row, 0, 2);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

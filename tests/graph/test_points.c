/* SPDX-License-Identifier: MIT */
/* tests/graph/test_points.c - GatherElements, GatherND, ScatterND, TopK: rows, sizes, refusals */
#include <check.h>
#include <string.h>

#include "tests/graph/graph_fixture.h"
#include "tests/suite.h"

static const float floats[64] = {1, 2, 3, 4, 5, 6, 7, 8};

static struct onnx_writer *put_inputs(int64_t opset)
{
	struct onnx_writer *writer = onnx_writer_new(opset);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,4");
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch,4");
	onnx_writer_tensor(writer, "w", DTYPE_F32, "4,4", floats, 64);
	put_i64(writer, "two", "1", (const int64_t[]){2}, 1);
	put_i64(writer, "points", "2,1", (const int64_t[]){3, -1}, 2);
	put_i64(writer, "wide", "1,5", (const int64_t[]){0, 0, 0, 0, 0}, 5);
	put_i64(writer, "far", "2,1", (const int64_t[]){3, 4}, 2);
	put_i64(writer, "shape", "3", (const int64_t[]){-1, 4, 1}, 3);
	onnx_writer_node(writer, "Reshape", "ids,shape", "singles");
	return writer;
}

/* --- rows --- */

static const struct {
	const char *op;
	const char *inputs;
	const char *attribute;
	int64_t value;
	bool independent;
} row_cases[] = {
	{"GatherElements", "x,ids", "axis", 1, true},
	{"GatherElements", "x,ids", "axis", 0, false},
	{"GatherElements", "w,ids", "axis", 0, true},
	{"GatherND", "x,singles", "batch_dims", 1, true},
	{"GatherND", "x,singles", "batch_dims", 0, false},
	{"GatherND", "w,singles", "batch_dims", 0, true},
	{"GatherND", "w,ids", "batch_dims", 0, true},
	{"TopK", "x,two", "axis", 1, true},
	{"TopK", "x,two", "axis", 0, false},
};

START_TEST(rows_are_independent_only_when_it_is_proven)
{
	struct onnx_writer *writer = put_inputs(13);
	struct built built;
	bool is_point = strcmp(row_cases[_i].inputs, "w,ids") == 0 &&
			strcmp(row_cases[_i].op, "GatherND") == 0;

	/* Two ids are a point of w. */
	if (is_point) {
		put_i64(writer, "zero", "1", (const int64_t[]){0}, 1);
		put_i64(writer, "one", "1", (const int64_t[]){1}, 1);
		onnx_writer_node(writer, "Slice", "ids,zero,two,one", "pair");
	}
	onnx_writer_node(writer, row_cases[_i].op, is_point ? "w,pair" : row_cases[_i].inputs, "y");
	onnx_writer_int(writer, row_cases[_i].attribute, row_cases[_i].value);
	/* Both inputs of the model have rows, of which some are not read. */
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_int_eq(built.lowering.row_symbol, row_cases[_i].independent ? 0 : -1);
	built_deinit(&built);
}
END_TEST

/* Each user's own features, picked by candidates of the same request: one of a request each. */
START_TEST(rows_of_a_request_are_gathered_by_ids_of_the_request)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	struct built built;

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,3");
	onnx_writer_input(writer, "user", DTYPE_F32, "1,8");
	onnx_writer_input(writer, "ids", DTYPE_I64, "1,3");
	onnx_writer_node(writer, "GatherElements", "user,ids", "own");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "Mul", "x,own", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_int_eq(built.lowering.row_symbol, 0);
	ck_assert_int_eq(built.lowering.request_symbol, 1);
	ck_assert_int_eq(built_value(&built, "own")->dims[0].symbol, 1);
	built_deinit(&built);
}
END_TEST

/* --- integers that are known --- */

/* _i: GatherND, GatherElements or ScatterND of a Shape; no step is left of them. */
START_TEST(sizes_are_followed_through_points)
{
	static const char *const ops[] = {"GatherND", "GatherElements", "ScatterND"};
	static const char *const inputs[] = {"sizes,first", "sizes,zero", "target,first,rows"};
	struct onnx_writer *writer = put_inputs(13);
	struct built built;

	put_i64(writer, "zero", "1", (const int64_t[]){0}, 1);
	put_i64(writer, "one", "1", (const int64_t[]){1}, 1);
	put_i64(writer, "first", "1,1", (const int64_t[]){_i == 2 ? -3 : -2}, 1);
	put_i64(writer, "target", "3", (const int64_t[]){7, 2, 2}, 3);
	put_i64(writer, "rest", "2", (const int64_t[]){2, 2}, 2);
	onnx_writer_node(writer, "Shape", "x", "sizes");
	onnx_writer_node(writer, "Slice", "sizes,zero,one", "rows");
	onnx_writer_node(writer, ops[_i], inputs[_i], "picked");
	onnx_writer_node(writer, "Concat", _i == 2 ? "picked" : "picked,rest", "whole");
	onnx_writer_int(writer, "axis", 0);
	onnx_writer_node(writer, "Reshape", "x,whole", "v");
	onnx_writer_node(writer, "Relu", "v", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built.lowering.step_count, 1);
	ck_assert_int_eq(built_value(&built, "y")->dims[0].symbol, 0);
	ck_assert(dim_is(built_value(&built, "y")->dims[2], 2));
	ck_assert_int_eq(built.lowering.row_symbol, 0);
	built_deinit(&built);
}
END_TEST

/* k may follow from a size, and then it is a condition on the run. */
START_TEST(k_follows_from_a_size)
{
	struct onnx_writer *writer = put_inputs(11);
	struct built built;

	put_i64(writer, "zero", "1", (const int64_t[]){0}, 1);
	onnx_writer_node(writer, "Shape", "x", "sizes");
	onnx_writer_node(writer, "Gather", "sizes,zero", "rows");
	onnx_writer_node(writer, "TopK", "x,rows", "y,");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built.graph.constraint_count, 1);
	ck_assert_int_eq(built.graph.constraints[0].factor, -1);
	ck_assert_int_eq(built.graph.constraints[0].constant, 4);
	ck_assert_int_eq(built.lowering.row_symbol, -1);
	built_deinit(&built);
}
END_TEST

/* --- refusals --- */

static const struct {
	int64_t opset;
	const char *op;
	const char *inputs;
	const char *outputs;
	const char *attribute; /* an integer, or reduction; NULL */
	int64_t value;
	const char *word; /* of reduction */
	const char *sentence;
} refusals[] = {
	{13, "GatherElements", "x,wide", "y", NULL, 0, NULL,
	 "indices 'wide' of shape [1, 5] do not fit into 'x' of shape [batch, 4] along axis 1"},
	{13, "GatherElements", "w,far", "y", NULL, 0, NULL, "an index (4) is outside the axis of 'w'"},
	{13, "GatherElements", "x,two", "y", NULL, 0, NULL,
	 "indices 'two' have rank 1; 'x' has rank 2"},
	{13, "GatherElements", "x,x", "y", NULL, 0, NULL, "indices ('x') are float32"},
	{13, "GatherElements", "x,ids", "y", "axis", 2, NULL, "axis"},
	{13, "GatherND", "w,far", "y", NULL, 0, NULL, "an index (4) is outside the axis of 'w'"},
	{13, "GatherND", "x,ids", "y", "batch_dims", 2, NULL, "batch_dims is 2"},
	{13, "GatherND", "x,ids", "y", "batch_dims", -1, NULL, "batch_dims is -1"},
	{13, "GatherND", "w,singles", "y", "batch_dims", 1, NULL,
	 "'w' of shape [4, 4] and indices 'singles' of shape [batch, 4, 1] do not have the same 1"},
	{13, "GatherND", "x,ids", "y", NULL, 0, NULL,
	 "the last dimension of indices 'ids' must be a constant from 1 to 2"},
	{13, "GatherND", "x,x", "y", NULL, 0, NULL, "indices ('x') are float32"},
	{16, "ScatterND", "w,far,w", "y", NULL, 0, NULL, "an index (4) is outside the axis of 'w'"},
	{16, "ScatterND", "w,points,w", "y", NULL, 0, NULL,
	 "updates 'w' have the shape [4, 4]; the indices and the data want [2, 4]"},
	{16, "ScatterND", "w,points,ids", "y", NULL, 0, NULL, "it mixes float32 and int64"},
	{16, "ScatterND", "w,points,w", "y", "reduction", 0, "max",
	 "reduction 'max' is of opset 18 and later"},
	{18, "ScatterND", "w,points,w", "y", "reduction", 0, "median",
	 "reduction 'median'; supported: none, add, mul, max, min"},
	{11, "TopK", "x,points", "y,i", NULL, 0, NULL, "k ('points')"},
	{11, "TopK", "x,x", "y,i", NULL, 0, NULL, "k must be int32 or int64"},
	{11, "TopK", "x", "y,i", NULL, 0, NULL, "k is missing"},
	{9, "TopK", "x", "y,i", "k", 5, NULL,
	 "k, 5, is not between 0 and what axis 1 of 'x' has, 4, in every batch"},
	{9, "TopK", "x", "y,i", "k", -1, NULL, "k, -1, is not between 0"},
	{11, "TopK", "x,two", "y,i", "axis", 2, NULL, "axis"},
};

START_TEST(what_the_specification_does_not_allow_is_refused_by_name)
{
	struct onnx_writer *writer = put_inputs(refusals[_i].opset);
	struct built built;

	onnx_writer_node(writer, refusals[_i].op, refusals[_i].inputs, refusals[_i].outputs);
	if (refusals[_i].word)
		onnx_writer_string(writer, "reduction", refusals[_i].word);
	else if (refusals[_i].attribute)
		onnx_writer_int(writer, refusals[_i].attribute, refusals[_i].value);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_msg(!built_init(&built, writer), "%s is accepted", refusals[_i].sentence);
	ck_assert_msg(strstr(err_message(), refusals[_i].sentence) != NULL &&
			      strstr(err_message(), refusals[_i].op) != NULL,
		      "\"%s\" is not in \"%s\"", refusals[_i].sentence, err_message());
	built_deinit(&built);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("points");
	TCase *tests = tcase_create("points");

	tcase_add_loop_test(tests, rows_are_independent_only_when_it_is_proven, 0,
			    sizeof(row_cases) / sizeof(row_cases[0]));
	tcase_add_test(tests, rows_of_a_request_are_gathered_by_ids_of_the_request);
	tcase_add_loop_test(tests, sizes_are_followed_through_points, 0, 3);
	tcase_add_test(tests, k_follows_from_a_size);
	tcase_add_loop_test(tests, what_the_specification_does_not_allow_is_refused_by_name, 0,
			    sizeof(refusals) / sizeof(refusals[0]));
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

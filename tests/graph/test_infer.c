/* SPDX-License-Identifier: MIT */
/* tests/graph/test_infer.c - shapes, integers known before a run, and what is refused */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/graph/graph_fixture.h"
#include "tests/suite.h"

static const float floats[64];

static struct onnx_writer *put_input(int64_t opset, const char *shape)
{
	struct onnx_writer *writer = onnx_writer_new(opset);

	onnx_writer_input(writer, "x", DTYPE_F32, shape);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	return writer;
}

static void shape_check(const struct built *built, const char *name, const char *wanted)
{
	char text[SHAPE_TEXT_BYTES];

	ck_assert_str_eq(shape_text(&built->graph, built_value(built, name), text), wanted);
}

START_TEST(a_chain_of_shape_arithmetic_vanishes)
{
	struct onnx_writer *writer = put_input(13, "batch,4,6");
	int64_t index[] = {0, 1, 2}, minus[] = {-1};
	struct built built;

	/* y = x.reshape(batch, 4 * 6).reshape(2 * batch, -1) */
	put_i64(writer, "i0", "", &index[0], 1);
	put_i64(writer, "i12", "2", &index[1], 2);
	put_i64(writer, "axis0", "1", &index[0], 1);
	put_i64(writer, "two", "1", &index[2], 1);
	put_i64(writer, "minus", "1", minus, 1);
	onnx_writer_node(writer, "Shape", "x", "shape");
	onnx_writer_node(writer, "Gather", "shape,i0", "batch");
	onnx_writer_node(writer, "Unsqueeze", "batch,axis0", "batch1");
	onnx_writer_node(writer, "Gather", "shape,i12", "inner");
	onnx_writer_node(writer, "Slice", "inner,axis0,two", "both");
	onnx_writer_node(writer, "Cast", "both", "narrow");
	onnx_writer_int(writer, "to", DTYPE_I32);
	onnx_writer_node(writer, "Cast", "narrow", "wide");
	onnx_writer_int(writer, "to", DTYPE_I64);
	onnx_writer_node(writer, "Squeeze", "batch1,axis0", "scalar");
	onnx_writer_node(writer, "Mul", "scalar,two", "twice");
	onnx_writer_node(writer, "Concat", "twice,minus", "sizes");
	onnx_writer_int(writer, "axis", 0);
	onnx_writer_node(writer, "Reshape", "x,sizes", "flat");
	onnx_writer_node(writer, "Relu", "flat", "y");
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	shape_check(&built, "flat", "[2*batch, 12]");
	ck_assert_uint_eq(built.lowering.step_count, 1);
	ck_assert_uint_eq(built_count(&built, KERNEL_UNARY), 1);
	ck_assert_int_eq(built_value(&built, "wide")->kind, VALUE_CONSTANT);
	built_deinit(&built);
}
END_TEST

START_TEST(a_size_that_is_computed_with_is_stored_by_the_run)
{
	struct onnx_writer *writer = put_input(13, "batch,4");
	struct built built;

	onnx_writer_node(writer, "Shape", "x", "shape");
	onnx_writer_node(writer, "Cast", "shape", "y");
	onnx_writer_int(writer, "to", DTYPE_F32);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built_count(&built, KERNEL_STORE), 1);
	ck_assert_uint_eq(built_count(&built, KERNEL_CAST), 1);
	built_deinit(&built);
}
END_TEST

START_TEST(shapes_follow_the_specification)
{
	static const struct {
		const char *op;
		const char *shape;
		const char *attribute;
		int64_t values[4];
		size_t count; /* 0: an int */
		const char *wanted;
	} cases[] = {
		{"Flatten", "batch,3,4", "axis", {2}, 0, "[3*batch, 4]"},
		{"Flatten", "batch,3,4", "axis", {-3}, 0, "[1, 12*batch]"},
		{"Squeeze", "batch,1,4,1", "axes", {-1, 1}, 2, "[batch, 4]"},
		{"Unsqueeze", "batch,3", "axes", {-1, 0}, 2, "[1, batch, 3, 1]"},
		{"Transpose", "batch,3,4", "perm", {2, 0, 1}, 3, "[4, batch, 3]"},
		{"ReduceMean", "batch,3,4", "axes", {-1}, 1, "[batch, 3, 1]"},
		{"ReduceSum", "batch,3,4", "axes", {0, 2}, 2, "[1, 3, 1]"},
		{"Softmax", "batch,3", "axis", {1}, 0, "[batch, 3]"},
	};
	struct built built;

	for (size_t index = 0; index < sizeof(cases) / sizeof(cases[0]); index++) {
		struct onnx_writer *writer = put_input(11, cases[index].shape);

		onnx_writer_node(writer, cases[index].op, "x", "v");
		if (cases[index].count == 0)
			onnx_writer_int(writer, cases[index].attribute, cases[index].values[0]);
		else
			onnx_writer_ints(writer, cases[index].attribute, cases[index].values,
					 cases[index].count);
		onnx_writer_node(writer, "Relu", "v", "y");
		ck_assert_msg(built_init(&built, writer), "%s", err_message());
		shape_check(&built, "y", cases[index].wanted);
		built_deinit(&built);
	}
}
END_TEST

START_TEST(slices_of_free_sizes_become_conditions)
{
	struct onnx_writer *writer = put_input(13, "batch,6");
	int64_t starts[] = {1, -4}, ends[] = {INT64_MAX, -1}, axes[] = {0, 1}, steps[] = {2, 2};
	struct built built;

	put_i64(writer, "starts", "2", starts, 2);
	put_i64(writer, "ends", "2", ends, 2);
	put_i64(writer, "axes", "2", axes, 2);
	put_i64(writer, "steps", "2", steps, 2);
	onnx_writer_node(writer, "Concat", "x,x", "twice");
	onnx_writer_int(writer, "axis", 0);
	onnx_writer_node(writer, "Slice", "twice,starts,ends,axes,steps", "y");
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	/* ceil((2 * batch - 1) / 2) = batch */
	shape_check(&built, "y", "[batch, 2]");
	ck_assert_uint_eq(built.graph.constraint_count, 1);
	ck_assert(dim_equal(built.graph.constraints[0],
			    (struct dim){.symbol = 0, .factor = 2, .constant = -1}));
	built_deinit(&built);
}
END_TEST

START_TEST(free_sizes_without_a_name_are_the_batch_when_outermost)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	struct built built;

	onnx_writer_input(writer, "a", DTYPE_F32, "?,3");
	onnx_writer_input(writer, "b", DTYPE_F32, "?,?");
	onnx_writer_node(writer, "Add", "a,a", "y");
	onnx_writer_node(writer, "Concat", "a,b", "z");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_output(writer, "y", DTYPE_F32, "?,3");
	onnx_writer_output(writer, "z", DTYPE_F32, "?,?");
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	shape_check(&built, "y", "[batch, 3]");
	shape_check(&built, "z", "[batch, b.1+3]");
	built_deinit(&built);
}
END_TEST

/* --- refusals: the sentence names the node, the operator, the opset --- */

static void refusal_check(struct onnx_writer *writer, const char *const parts[])
{
	struct built built;

	ck_assert(!built_init(&built, writer));
	for (; *parts; parts++)
		ck_assert_msg(strstr(err_message(), *parts) != NULL, "\"%s\" is not in \"%s\"",
			      *parts, err_message());
	built_deinit(&built);
}

START_TEST(unknown_operators_name_what_is_supported)
{
	struct onnx_writer *writer = put_input(13, "batch,4");

	onnx_writer_node(writer, "GridSample", "x", "y");
	refusal_check(writer, (const char *const[]){"model: node 'node_0' (GridSample, opset 13)",
						    "supported: Abs Add ", "Unsqueeze", NULL});
	writer = put_input(13, "batch,4");
	onnx_writer_node(writer, "Relu", "x", "y");
	onnx_writer_domain(writer, "com.microsoft");
	refusal_check(writer, (const char *const[]){"Relu", "'com.microsoft'", NULL});
	writer = put_input(16, "batch,4");
	onnx_writer_tensor(writer, "s", DTYPE_F32, "4", floats, 16);
	onnx_writer_node(writer, "LayerNormalization", "x,s", "y");
	refusal_check(writer, (const char *const[]){"LayerNormalization", "since opset 17", NULL});
	writer = put_input(13, "batch,4");
	onnx_writer_node(writer, "Relu", "x", "y");
	onnx_writer_int(writer, "alpha", 1);
	refusal_check(writer, (const char *const[]){"Relu", "attribute 'alpha'", NULL});
}
END_TEST

START_TEST(opsets_outside_9_to_21_are_refused)
{
	for (int64_t opset = 8; opset <= 22; opset += 14) {
		struct onnx_writer *writer = put_input(opset, "batch,4");

		onnx_writer_node(writer, "Relu", "x", "y");
		refusal_check(writer, (const char *const[]){"supported: 9 to 21", NULL});
	}
}
END_TEST

START_TEST(types_and_ranks_that_are_not_computed_are_refused)
{
	static const double doubles[4];
	struct onnx_writer *writer = put_input(13, "batch,4");

	onnx_writer_tensor(writer, "d", 11, "4", doubles, sizeof(doubles));
	onnx_writer_node(writer, "Add", "x,d", "y");
	refusal_check(writer,
		      (const char *const[]){"node 'node_0' (Add, opset 13)", "'d' is float64",
					    "supported: float32, float16", NULL});
	writer = put_input(13, "batch,1,1,1,1,1,4");
	onnx_writer_node(writer, "Relu", "x", "y");
	refusal_check(writer, (const char *const[]){"input 'x' has 7 dimensions", NULL});
	writer = put_input(11, "batch,4");
	onnx_writer_node(writer, "Unsqueeze", "x", "v");
	onnx_writer_ints(writer, "axes", (const int64_t[]){0, 1, 2, 3, 4}, 5);
	onnx_writer_node(writer, "Relu", "v", "y");
	refusal_check(writer, (const char *const[]){"Unsqueeze", "7 dimensions", NULL});
	writer = put_input(13, NULL);
	onnx_writer_node(writer, "Relu", "x", "y");
	refusal_check(writer, (const char *const[]){"input 'x' has no shape", NULL});
	writer = onnx_writer_new(13);
	onnx_writer_input(writer, "i", DTYPE_I64, "batch,4");
	onnx_writer_output(writer, "y", DTYPE_I64, "batch,4");
	onnx_writer_node(writer, "Sigmoid", "i", "y");
	refusal_check(writer, (const char *const[]){"Sigmoid", "'i'", "int64", NULL});
}
END_TEST

START_TEST(what_must_be_known_at_load_is_refused_when_it_is_not)
{
	struct onnx_writer *writer = put_input(13, "batch,4");

	onnx_writer_input(writer, "shape", DTYPE_I64, "2");
	onnx_writer_node(writer, "Reshape", "x,shape", "y");
	refusal_check(writer, (const char *const[]){"Reshape", "shape ('shape') must be a constant",
						    NULL});
	writer = put_input(13, "batch,4");
	onnx_writer_input(writer, "low", DTYPE_F32, "");
	onnx_writer_node(writer, "Clip", "x,low", "y");
	refusal_check(writer,
		      (const char *const[]){"Clip", "min ('low') must be a constant", NULL});
}
END_TEST

START_TEST(shapes_that_do_not_fit_in_every_batch_are_refused)
{
	struct onnx_writer *writer = put_input(13, "batch,4");
	int64_t sizes[] = {-1, 8, 5, 4};

	onnx_writer_tensor(writer, "w", DTYPE_F32, "5,2", floats, 40);
	onnx_writer_node(writer, "MatMul", "x,w", "y");
	refusal_check(writer, (const char *const[]){"MatMul", "[batch, 4]", "[5, 2]", NULL});
	writer = put_input(13, "batch,4");
	put_i64(writer, "sizes", "2", sizes, 2);
	onnx_writer_node(writer, "Reshape", "x,sizes", "y");
	refusal_check(writer, (const char *const[]){"Reshape", "every batch", NULL});
	writer = put_input(13, "batch,4");
	put_i64(writer, "sizes", "2", sizes + 2, 2);
	onnx_writer_node(writer, "Reshape", "x,sizes", "y");
	refusal_check(writer, (const char *const[]){"Reshape", "every batch", NULL});
	writer = put_input(13, "batch,4");
	onnx_writer_input(writer, "z", DTYPE_F32, "other,4");
	onnx_writer_node(writer, "Add", "x,z", "y");
	refusal_check(writer, (const char *const[]){"Add", "[other, 4]", "broadcast", NULL});
	writer = put_input(13, "batch,4");
	onnx_writer_node(writer, "Concat", "x,x", "y");
	onnx_writer_int(writer, "axis", 2);
	refusal_check(writer, (const char *const[]){"Concat", "axis 2 is outside rank 2", NULL});
}
END_TEST

START_TEST(hostile_sizes_are_refused_before_memory_is_asked_for)
{
	struct onnx_writer *writer = put_input(13, "2000000000,2000000000");
	int64_t sizes[] = {INT64_MIN, INT64_MAX}, far = 1LL << 60;

	onnx_writer_node(writer, "Add", "x,x", "y");
	refusal_check(writer, (const char *const[]){"too large", NULL});
	writer = put_input(13, "batch,4");
	put_i64(writer, "sizes", "2", sizes, 2);
	onnx_writer_node(writer, "Reshape", "x,sizes", "y");
	refusal_check(writer, (const char *const[]){"Reshape", NULL});
	writer = put_input(13, "batch,4");
	put_i64(writer, "far", "", &far, 1);
	onnx_writer_node(writer, "Gather", "x,far", "y");
	refusal_check(writer, (const char *const[]){"Gather", "index", NULL});
	writer = put_input(13, "batch,4");
	onnx_writer_node(writer, "Relu", "nowhere", "y");
	refusal_check(writer, (const char *const[]){"nowhere", NULL});
	writer = put_input(13, "batch,4");
	onnx_writer_node(writer, "Relu", "x", "v");
	refusal_check(writer, (const char *const[]){"y", "model", NULL});
}
END_TEST

START_TEST(an_operator_of_constants_whose_output_has_no_name_is_left_alone)
{
	static const char *const ops[] = {"Relu", "MatMul", "Concat", "LayerNormalization"};

	for (size_t index = 0; index < sizeof(ops) / sizeof(ops[0]); index++) {
		struct onnx_writer *writer = put_input(17, "batch,4");
		struct built built;

		onnx_writer_tensor(writer, "w", DTYPE_F32, "4,4", floats, 64);
		onnx_writer_tensor(writer, "s", DTYPE_F32, "4", floats, 16);
		onnx_writer_node(writer, ops[index], index == 0 ? "w" : index == 3 ? "w,s" : "w,w",
				 "v");
		onnx_writer_unwanted(writer);
		if (index == 2)
			onnx_writer_int(writer, "axis", 0);
		onnx_writer_node(writer, "Relu", "x", "y");
		ck_assert_msg(built_init(&built, writer), "%s", err_message());
		ck_assert_uint_eq(built.lowering.step_count, 1);
		built_deinit(&built);
	}
}
END_TEST

START_TEST(an_offset_of_too_many_free_sizes_is_refused)
{
	struct onnx_writer *writer = put_input(17, "a,b,c,d,e,f");
	int64_t ones[] = {1, 1, 1, 1, 1, 1};
	struct built built;

	/* w[a+1, b+1, ...]: the offset has a term for each free size, and a constant. */
	onnx_writer_tensor(writer, "w", DTYPE_F32, "2,2,2,2,2,2", floats, 256);
	put_i64(writer, "ones", "6", ones, 6);
	onnx_writer_node(writer, "Shape", "x", "sizes");
	onnx_writer_node(writer, "Add", "sizes,ones", "starts");
	onnx_writer_node(writer, "Add", "starts,ones", "ends");
	onnx_writer_node(writer, "Slice", "w,starts,ends", "y");
	ck_assert(!built_init(&built, writer));
	ck_assert_ptr_nonnull(strstr(err_message(), "offset"));
	built_deinit(&built);
}
END_TEST

START_TEST(a_slice_that_names_an_axis_twice_is_refused)
{
	struct onnx_writer *writer = put_input(13, "batch,8");
	int64_t starts[] = {4, 1}, ends[] = {8, 3}, axes[] = {1, -1};

	put_i64(writer, "starts", "2", starts, 2);
	put_i64(writer, "ends", "2", ends, 2);
	put_i64(writer, "axes", "2", axes, 2);
	onnx_writer_node(writer, "Slice", "x,starts,ends,axes", "y");
	refusal_check(writer, (const char *const[]){"Slice", "axis 1 is given twice", NULL});
}
END_TEST

START_TEST(an_empty_constant_of_huge_dims_has_no_elements)
{
	struct onnx_writer *writer = put_input(13, "batch,4");
	struct built built;

	onnx_writer_tensor(writer, "none", DTYPE_F32, "1099511627776,1099511627776,0", floats, 0);
	onnx_writer_node(writer, "Shape", "none", "sizes");
	onnx_writer_node(writer, "Relu", "none", "r");
	onnx_writer_node(writer, "Relu", "x", "y");
	(void)built_init(&built, writer);
	if (built.graph.value_count > 0)
		ck_assert_int_eq(constant_elements(built_value(&built, "none")), 0);
	built_deinit(&built);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("infer");
	TCase *tests = tcase_create("infer");

	tcase_add_test(tests, a_chain_of_shape_arithmetic_vanishes);
	tcase_add_test(tests, a_size_that_is_computed_with_is_stored_by_the_run);
	tcase_add_test(tests, shapes_follow_the_specification);
	tcase_add_test(tests, slices_of_free_sizes_become_conditions);
	tcase_add_test(tests, free_sizes_without_a_name_are_the_batch_when_outermost);
	tcase_add_test(tests, unknown_operators_name_what_is_supported);
	tcase_add_test(tests, opsets_outside_9_to_21_are_refused);
	tcase_add_test(tests, types_and_ranks_that_are_not_computed_are_refused);
	tcase_add_test(tests, what_must_be_known_at_load_is_refused_when_it_is_not);
	tcase_add_test(tests, shapes_that_do_not_fit_in_every_batch_are_refused);
	tcase_add_test(tests, hostile_sizes_are_refused_before_memory_is_asked_for);
	tcase_add_test(tests, an_operator_of_constants_whose_output_has_no_name_is_left_alone);
	tcase_add_test(tests, an_offset_of_too_many_free_sizes_is_refused);
	tcase_add_test(tests, a_slice_that_names_an_axis_twice_is_refused);
	tcase_add_test(tests, an_empty_constant_of_huge_dims_has_no_elements);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/exec/test_cse.c - what is computed twice, or not at all, leaves no step, and no other bits */
#include <check.h>

#include "tests/exec/twins.h"
#include "tests/graph/graph_fixture.h"
#include "tests/suite.h"

static const float floats[64] = {1, 2, 3, 4, 5, 6, 7, 8};

static struct onnx_writer *put_input(const char *shape)
{
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "x", DTYPE_F32, shape);
	onnx_writer_tensor(writer, "w", DTYPE_F32, "4,4", floats, 64);
	onnx_writer_tensor(writer, "b", DTYPE_F32, "4", floats, 16);
	return writer;
}

static void output(struct onnx_writer *writer, const char *name)
{
	onnx_writer_output(writer, name, DTYPE_F32, NULL);
}

static void compare(struct twins *twins)
{
	for (int64_t rows = 0; rows <= 5; rows++)
		twins_compare(twins, rows, 2.0f, 0, 1 + (uint32_t)rows);
}

/* The steps that the passes leave of the model, which is then gone. */
static uint32_t steps_of(struct onnx_writer *writer)
{
	struct twins twins;
	uint32_t count;

	twins_init(&twins, writer, 5);
	compare(&twins);
	count = twins.fused.lowering.step_count;
	twins_deinit(&twins);
	return count;
}

START_TEST(equal_nodes_are_computed_once)
{
	struct onnx_writer *writer = put_input("batch,4");
	int64_t axis = 1;

	put_i64(writer, "axis", "1", &axis, 1);
	put_i64(writer, "same_axis", "1", &axis, 1);
	onnx_writer_node(writer, "ReduceSum", "x,axis", "s");
	onnx_writer_node(writer, "ReduceSum", "x,same_axis", "t");
	onnx_writer_node(writer, "Sqrt", "s", "ss");
	onnx_writer_node(writer, "Sqrt", "t", "tt");
	onnx_writer_node(writer, "Softmax", "ss", "a");
	onnx_writer_node(writer, "Softmax", "tt", "y");
	onnx_writer_node(writer, "Concat", "a,y", "z");
	onnx_writer_int(writer, "axis", 1);
	output(writer, "z");
	ck_assert_uint_eq(steps_of(writer), 3 + 2);
}
END_TEST

START_TEST(nodes_of_other_attributes_or_shapes_are_others)
{
	struct onnx_writer *writer = put_input("batch,2,4");
	int64_t shape[] = {-1, 4, 2};

	/* The same bytes, flattened at the same axis of another shape. */
	put_i64(writer, "shape", "3", shape, 3);
	onnx_writer_node(writer, "Flatten", "x", "f");
	onnx_writer_int(writer, "axis", 2);
	onnx_writer_node(writer, "Reshape", "x,shape", "r");
	onnx_writer_node(writer, "Flatten", "r", "g");
	onnx_writer_int(writer, "axis", 2);
	onnx_writer_node(writer, "Softmax", "f", "y");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "Softmax", "g", "z");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "Softmax", "g", "v");
	onnx_writer_int(writer, "axis", 0);
	output(writer, "y");
	output(writer, "z");
	output(writer, "v");
	ck_assert_uint_eq(steps_of(writer), 3);
}
END_TEST

START_TEST(an_output_that_equals_another_value_is_still_an_output)
{
	struct onnx_writer *writer = put_input("batch,4");
	struct twins twins;

	onnx_writer_node(writer, "Softmax", "x", "a");
	onnx_writer_node(writer, "Softmax", "x", "y");
	onnx_writer_node(writer, "Softmax", "x", "z");
	output(writer, "y");
	output(writer, "z");
	/* One softmax, and a copy of it to the second output. */
	twins_init(&twins, writer, 5);
	compare(&twins);
	ck_assert_uint_eq(twins.fused.lowering.step_count, 2);
	ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_COPY), 1);
	twins_deinit(&twins);
}
END_TEST

START_TEST(a_value_that_an_output_views_is_not_fused_away)
{
	struct onnx_writer *writer = put_input("batch,4");
	struct twins twins;

	onnx_writer_node(writer, "MatMul", "x,w", "a");
	onnx_writer_node(writer, "MatMul", "x,w", "y");
	onnx_writer_node(writer, "Relu", "a", "z");
	output(writer, "y");
	output(writer, "z");
	twins_init(&twins, writer, 5);
	compare(&twins);
	ck_assert_uint_eq(twins.fused.lowering.step_count, 2);
	twins_deinit(&twins);
}
END_TEST

START_TEST(transpositions_cancel_or_become_one)
{
	struct onnx_writer *writer = put_input("batch,2,4");

	onnx_writer_node(writer, "Transpose", "x", "t");
	onnx_writer_ints(writer, "perm", (const int64_t[]){1, 2, 0}, 3);
	onnx_writer_node(writer, "Transpose", "t", "u");
	onnx_writer_ints(writer, "perm", (const int64_t[]){2, 0, 1}, 3);
	onnx_writer_node(writer, "Softmax", "u", "y");
	output(writer, "y");
	ck_assert_uint_eq(steps_of(writer), 1);
	writer = put_input("batch,2,4");
	onnx_writer_node(writer, "Transpose", "x", "t");
	onnx_writer_ints(writer, "perm", (const int64_t[]){1, 2, 0}, 3);
	onnx_writer_node(writer, "Transpose", "t", "y");
	onnx_writer_ints(writer, "perm", (const int64_t[]){2, 1, 0}, 3);
	output(writer, "y");
	ck_assert_uint_eq(steps_of(writer), 1);
}
END_TEST

/* Each stands between a product and its bias or activation. */
START_TEST(what_exporters_leave_between_does_not_keep_nodes_apart)
{
	struct onnx_writer *writer = put_input("batch,4");
	int64_t zero = 0, far = INT64_MAX, shape[] = {0, 4};
	struct twins twins;

	put_i64(writer, "zero", "1", &zero, 1);
	put_i64(writer, "far", "1", &far, 1);
	put_i64(writer, "shape", "2", shape, 2);
	onnx_writer_node(writer, "MatMul", "x,w", "v0");
	onnx_writer_node(writer, "Identity", "v0", "v1");
	onnx_writer_node(writer, "Slice", "v1,zero,far,zero", "v2");
	onnx_writer_node(writer, "Concat", "v2", "v3");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "Cast", "v3", "v4");
	onnx_writer_int(writer, "to", DTYPE_F32);
	onnx_writer_node(writer, "Add", "v4,b", "v5");
	onnx_writer_node(writer, "Reshape", "v5,shape", "v6");
	onnx_writer_node(writer, "Softmax", "v6", "unread");
	onnx_writer_node(writer, "Shape", "v6", "sizes");
	onnx_writer_node(writer, "Relu", "v6", "v7");
	onnx_writer_node(writer, "Reshape", "v7,sizes", "y");
	output(writer, "y");
	twins_init(&twins, writer, 5);
	compare(&twins);
	ck_assert_uint_eq(twins.fused.lowering.step_count, 1);
	ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_GEMM), 1);
	ck_assert_int_eq((int)twins.fused.lowering.steps[0]->args->gemm.activation, ACTIVATION_RELU);
	twins_deinit(&twins);
}
END_TEST

START_TEST(known_sizes_that_a_kernel_reads_are_still_stored)
{
	struct onnx_writer *writer = put_input("batch,4");
	struct twins twins;

	onnx_writer_node(writer, "Shape", "x", "sizes");
	onnx_writer_node(writer, "Shape", "x", "sizes_too");
	onnx_writer_node(writer, "Cast", "sizes_too", "y");
	onnx_writer_int(writer, "to", DTYPE_F32);
	onnx_writer_output(writer, "sizes", DTYPE_I64, NULL);
	output(writer, "y");
	twins_init(&twins, writer, 5);
	compare(&twins);
	ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_STORE), 2);
	ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_CAST), 1);
	twins_deinit(&twins);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cse");
	TCase *tests = tcase_create("cse");

	tcase_add_test(tests, equal_nodes_are_computed_once);
	tcase_add_test(tests, nodes_of_other_attributes_or_shapes_are_others);
	tcase_add_test(tests, an_output_that_equals_another_value_is_still_an_output);
	tcase_add_test(tests, a_value_that_an_output_views_is_not_fused_away);
	tcase_add_test(tests, transpositions_cancel_or_become_one);
	tcase_add_test(tests, what_exporters_leave_between_does_not_keep_nodes_apart);
	tcase_add_test(tests, known_sizes_that_a_kernel_reads_are_still_stored);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

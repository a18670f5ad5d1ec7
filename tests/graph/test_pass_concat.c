/* SPDX-License-Identifier: MIT */
/* tests/graph/test_pass_concat.c - parts of a Concat are computed in their places */
#include <check.h>

#include "graph/plan.h"
#include "tests/graph/graph_fixture.h"
#include "tests/graph/shown.h"
#include "tests/suite.h"

#define SEEDS 6

static void build(struct built *built, shown_write write, uint32_t seed)
{
	struct onnx_writer *writer = onnx_writer_new(13);

	write(writer, seed);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_msg(built_init(built, writer), "%s", err_message());
}

static void put_concat(struct onnx_writer *writer, const char *inputs, const char *output,
		       int64_t axis)
{
	onnx_writer_node(writer, "Concat", inputs, output);
	onnx_writer_int(writer, "axis", axis);
}

/* Two products and the input itself, joined for a third: the last in the file comes first. */
static void put_products(struct onnx_writer *writer, uint32_t seed)
{
	int64_t k = shown_width(&seed, 3, 40), n = shown_width(&seed, 1, 40);
	int64_t m = shown_width(&seed, 1, 70);

	shown_input(writer, "x", k);
	shown_matrix(writer, "w1", k, n, &seed);
	shown_matrix(writer, "w2", k, m, &seed);
	shown_matrix(writer, "b2", 0, m, &seed);
	shown_matrix(writer, "w3", n + k + m, 5, &seed);
	onnx_writer_node(writer, "Gemm", "x,w2,b2", "p2");
	onnx_writer_node(writer, "Relu", "p2", "r2");
	onnx_writer_node(writer, "MatMul", "x,w1", "p1");
	put_concat(writer, "p1,x,r2", "joined", 1);
	onnx_writer_node(writer, "MatMul", "joined,w3", "y");
}

START_TEST(products_write_their_columns_and_inputs_are_copied)
{
	struct built built;

	build(&built, put_products, (uint32_t)_i);
	ck_assert_uint_eq(built_count(&built, KERNEL_GEMM), 3);
	ck_assert_uint_eq(built_count(&built, KERNEL_COPY), 1);
	ck_assert_uint_eq(built.lowering.step_count, 4);
	ck_assert_int_eq(built_value(&built, "r2")->part_stride,
			 built_value(&built, "joined")->dims[1].constant);
	built_deinit(&built);
	shown_check(put_products, (uint32_t)_i, "p1,p2,r2,joined");
}
END_TEST

/* A Concat of a Concat; what lies within is read by a product, by sums and as [rows, 3, d]. */
static void put_nested(struct onnx_writer *writer, uint32_t seed)
{
	int64_t k = shown_width(&seed, 3, 30), d = shown_width(&seed, 1, 20);
	int64_t shape[] = {-1, 3, d}, axis = 1;

	shown_input(writer, "x", k);
	shown_matrix(writer, "w1", k, d, &seed);
	shown_matrix(writer, "w2", d, d, &seed);
	shown_matrix(writer, "w3", d, d, &seed);
	put_i64(writer, "shape", "3", shape, 3);
	put_i64(writer, "axis", "1", &axis, 1);
	onnx_writer_node(writer, "MatMul", "x,w1", "p1");
	onnx_writer_node(writer, "MatMul", "p1,w2", "p2");
	onnx_writer_node(writer, "MatMul", "p2,w3", "p3");
	put_concat(writer, "p1,p2,p3", "inner", -1);
	onnx_writer_node(writer, "Reshape", "inner,shape", "stacked");
	onnx_writer_node(writer, "ReduceSum", "stacked,axis", "sum");
	onnx_writer_int(writer, "keepdims", 0);
	onnx_writer_node(writer, "Mul", "stacked,stacked", "square");
	onnx_writer_node(writer, "ReduceSum", "square,axis", "squares");
	onnx_writer_int(writer, "keepdims", 0);
	onnx_writer_node(writer, "Sub", "sum,squares", "difference");
	put_concat(writer, "x,inner,difference", "y", 1);
}

START_TEST(parts_of_parts_lie_in_the_outermost)
{
	struct built built;

	build(&built, put_nested, (uint32_t)_i);
	/* x, an input */
	ck_assert_uint_eq(built_count(&built, KERNEL_COPY), 1);
	ck_assert_uint_eq(built_count(&built, KERNEL_GEMM), 3);
	ck_assert_uint_eq(built_value(&built, "p2")->part_of, built_value(&built, "inner")->part_of);
	ck_assert_int_eq(built_value(&built, "stacked")->part_width,
			 3 * built_value(&built, "p1")->dims[1].constant);
	built_deinit(&built);
	shown_check(put_nested, (uint32_t)_i, "p1,p2,p3,inner,stacked,sum,square,squares");
}
END_TEST

/* [rows, 1, d] each, joined along axis 1. */
static void put_stacked(struct onnx_writer *writer, uint32_t seed)
{
	int64_t k = shown_width(&seed, 3, 30), d = shown_width(&seed, 1, 20);
	int64_t axis = 1, shape[] = {0, 1, d};

	shown_input(writer, "x", k);
	shown_matrix(writer, "w1", k, d, &seed);
	shown_matrix(writer, "w2", k, d, &seed);
	put_i64(writer, "axis", "1", &axis, 1);
	put_i64(writer, "shape", "3", shape, 3);
	onnx_writer_node(writer, "MatMul", "x,w2", "p2");
	onnx_writer_node(writer, "Reshape", "p2,shape", "s2");
	onnx_writer_node(writer, "MatMul", "x,w1", "p1");
	onnx_writer_node(writer, "Unsqueeze", "p1,axis", "s1");
	put_concat(writer, "s1,s2", "stacked", 1);
	onnx_writer_node(writer, "Softmax", "stacked", "y");
}

START_TEST(stacked_rows_are_written_in_place)
{
	struct built built;

	build(&built, put_stacked, (uint32_t)_i);
	ck_assert_uint_eq(built_count(&built, KERNEL_COPY), 0);
	ck_assert_uint_eq(built.lowering.step_count, 3);
	built_deinit(&built);
	shown_check(put_stacked, (uint32_t)_i, "p1,p2,s1,s2");
}
END_TEST

/* p1 is read by a kernel without strides, p2 goes into two Concats and twice into one. */
static void put_shared(struct onnx_writer *writer, uint32_t seed)
{
	int64_t k = shown_width(&seed, 3, 30), d = shown_width(&seed, 1, 20);

	shown_input(writer, "x", k);
	shown_matrix(writer, "w1", k, d, &seed);
	shown_matrix(writer, "w2", k, d, &seed);
	shown_matrix(writer, "w3", 3 * d, d, &seed);
	onnx_writer_node(writer, "MatMul", "x,w1", "p1");
	onnx_writer_node(writer, "MatMul", "x,w2", "p2");
	onnx_writer_node(writer, "Softmax", "p1", "soft");
	put_concat(writer, "p2,p1,p2", "joined", 1);
	onnx_writer_node(writer, "MatMul", "joined,w3", "p3");
	put_concat(writer, "p3,soft,p2", "y", 1);
}

START_TEST(what_cannot_lie_in_two_places_is_copied)
{
	struct built built;

	build(&built, put_shared, (uint32_t)_i);
	/* p1, the second p2, soft, the third p2 */
	ck_assert_uint_eq(built_count(&built, KERNEL_COPY), 4);
	ck_assert_uint_eq(built_value(&built, "p1")->part_of, GRAPH_NONE);
	built_deinit(&built);
	shown_check(put_shared, (uint32_t)_i, "p1,p2,p3,soft,joined");
}
END_TEST

START_TEST(a_whole_lives_from_its_first_part_on)
{
	const int64_t capacity[SIGNATURE_SYMBOLS_MAX] = {10};
	struct onnx_writer *writer = onnx_writer_new(13);
	struct built built;
	struct plan plan;
	uint32_t seed = 5;

	shown_input(writer, "x", 3);
	shown_matrix(writer, "w", 3, 3, &seed);
	shown_matrix(writer, "w2", 6, 3, &seed);
	onnx_writer_node(writer, "MatMul", "x,w", "p1");
	onnx_writer_node(writer, "MatMul", "p1,w", "a");
	onnx_writer_node(writer, "MatMul", "a,w", "b");
	onnx_writer_node(writer, "MatMul", "b,w", "p2");
	put_concat(writer, "p1,p2", "joined", 1);
	onnx_writer_node(writer, "MatMul", "joined,w2", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built.lowering.step_count, 5);
	ck_assert_int_eq(plan_init(&plan, &built.lowering, capacity), 0);
	/* 10 rows of 6, and of 3 twice, never one upon the other */
	ck_assert_uint_ge(plan.arena_bytes, 10 * (6 + 3 + 3) * sizeof(float));
	plan_deinit(&plan);
	built_deinit(&built);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pass_concat");
	TCase *tests = tcase_create("pass_concat");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, products_write_their_columns_and_inputs_are_copied, 0, SEEDS);
	tcase_add_loop_test(tests, parts_of_parts_lie_in_the_outermost, 0, SEEDS);
	tcase_add_loop_test(tests, stacked_rows_are_written_in_place, 0, SEEDS);
	tcase_add_loop_test(tests, what_cannot_lie_in_two_places_is_copied, 0, SEEDS);
	tcase_add_test(tests, a_whole_lives_from_its_first_part_on);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

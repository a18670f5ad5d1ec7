/* SPDX-License-Identifier: MIT */
/* tests/graph/test_pass_cross.c - cross layers, residuals and gates within a product, bit for bit */
#include <check.h>
#include <stdio.h>

#include "tests/graph/graph_fixture.h"
#include "tests/graph/shown.h"
#include "tests/suite.h"

#define SEEDS 4

static void build(struct built *built, shown_write write, uint32_t seed)
{
	struct onnx_writer *writer = onnx_writer_new(13);

	write(writer, seed);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_msg(built_init(built, writer), "%s", err_message());
}

/* The last product's args. */
static const struct gemm_args *last_gemm(const struct built *built)
{
	const struct step *step = built->lowering.steps[built->lowering.step_count - 1];

	ck_assert_int_eq((int)step->kernel, KERNEL_GEMM);
	return &step->args->gemm;
}

/* DCN-v2: x0 * (W x + b) + x, the bias within the Gemm or beside a MatMul, of low rank or not. */
static void put_cross(struct onnx_writer *writer, uint32_t seed)
{
	bool is_low = seed % 2 == 0;
	int64_t n = shown_width(&seed, 3, 90), rank = shown_width(&seed, 1, 20);

	shown_input(writer, "x", n);
	shown_matrix(writer, "v", n, rank, &seed);
	shown_matrix(writer, "u", rank, n, &seed);
	shown_matrix(writer, "w", n, n, &seed);
	shown_matrix(writer, "b", 0, n, &seed);
	onnx_writer_node(writer, "Relu", "x", "x0");
	if (is_low) {
		onnx_writer_node(writer, "MatMul", "x0,v", "xv");
		onnx_writer_node(writer, "MatMul", "xv,u", "xw");
		onnx_writer_node(writer, "Add", "b,xw", "xb");
	} else {
		onnx_writer_node(writer, "Gemm", "x0,w,b", "xb");
	}
	onnx_writer_node(writer, "Mul", "x0,xb", "product");
	onnx_writer_node(writer, "Add", "product,x0", "x1");
	onnx_writer_node(writer, "MatMul", "x1,w", "x1w");
	onnx_writer_node(writer, "Mul", "x1w,x0", "product2");
	onnx_writer_node(writer, "Add", "x1,product2", "y");
}

START_TEST(a_cross_layer_is_its_products_alone)
{
	struct built built;

	build(&built, put_cross, (uint32_t)_i);
	ck_assert_uint_eq(built_count(&built, KERNEL_GEMM), _i % 2 == 0 ? 3 : 2);
	ck_assert_uint_eq(built.lowering.step_count, _i % 2 == 0 ? 4 : 3); /* and the Relu */
	built_deinit(&built);
	shown_check(put_cross, (uint32_t)_i, "xb,product,x1,x1w,product2");
}
END_TEST

/* Residuals, whose second operand is computed after the product, and a gate. */
static void put_residual(struct onnx_writer *writer, uint32_t seed)
{
	static const char *const activations[] = {"Relu", "Sigmoid", "Tanh"};
	const char *activation = activations[seed % 3];
	int64_t k = shown_width(&seed, 3, 50), n = shown_width(&seed, 1, 70);

	shown_input(writer, "x", k);
	shown_matrix(writer, "w1", k, n, &seed);
	shown_matrix(writer, "w2", k, n, &seed);
	shown_matrix(writer, "w3", n, n, &seed);
	shown_matrix(writer, "b", 0, n, &seed);
	onnx_writer_node(writer, "Gemm", "x,w1,b", "p1");
	onnx_writer_node(writer, activation, "p1", "gate");
	onnx_writer_node(writer, "MatMul", "x,w2", "p2");
	onnx_writer_node(writer, "Mul", "gate,p2", "gated");
	onnx_writer_node(writer, "MatMul", "gated,w3", "p3");
	onnx_writer_node(writer, "Add", "gated,p3", "sum");
	onnx_writer_node(writer, activation, "sum", "y");
}

START_TEST(residuals_and_gates_are_taken_in)
{
	struct built built;

	build(&built, put_residual, (uint32_t)_i);
	ck_assert_uint_eq(built_count(&built, KERNEL_GEMM), 3);
	ck_assert_uint_eq(built.lowering.step_count, 3);
	ck_assert_int_eq((int)last_gemm(&built)->post_activation, ACTIVATION_RELU + _i % 3);
	ck_assert_int_eq((int)last_gemm(&built)->activation, ACTIVATION_NONE);
	built_deinit(&built);
	shown_check(put_residual, (uint32_t)_i, "p1,gate,p2,gated,p3,sum");
}
END_TEST

/* A Gemm whose addend has as many rows as it gives. */
static void put_addend(struct onnx_writer *writer, uint32_t seed)
{
	int64_t k = shown_width(&seed, 3, 50), n = shown_width(&seed, 1, 40);

	shown_input(writer, "x", k);
	shown_input(writer, "addend", n);
	shown_matrix(writer, "w", k, n, &seed);
	onnx_writer_node(writer, "Gemm", "x,w,addend", "sum");
	onnx_writer_node(writer, "Relu", "sum", "y");
}

START_TEST(an_addend_of_rows_is_a_residual)
{
	struct built built;

	build(&built, put_addend, (uint32_t)_i);
	ck_assert_uint_eq(built.lowering.step_count, 1);
	ck_assert_int_eq((int)last_gemm(&built)->post_activation, ACTIVATION_RELU);
	built_deinit(&built);
	shown_check(put_addend, (uint32_t)_i, "sum");
}
END_TEST

/* A cross layer over what a Concat joins in place, into a Concat. */
static void put_strided(struct onnx_writer *writer, uint32_t seed)
{
	int64_t k = shown_width(&seed, 3, 50), n = shown_width(&seed, 1, 40);

	shown_input(writer, "x", k);
	shown_matrix(writer, "w1", k, n, &seed);
	shown_matrix(writer, "w2", n, n, &seed);
	onnx_writer_node(writer, "MatMul", "x,w1", "x0");
	onnx_writer_node(writer, "MatMul", "x0,w2", "p");
	onnx_writer_node(writer, "Mul", "p,x0", "m");
	onnx_writer_node(writer, "Add", "x0,m", "x1");
	onnx_writer_node(writer, "Concat", "x1,x0", "y");
	onnx_writer_int(writer, "axis", 1);
}

START_TEST(what_it_multiplies_and_adds_may_have_a_stride)
{
	struct built built;

	build(&built, put_strided, (uint32_t)_i);
	ck_assert_uint_eq(built.lowering.step_count, 2);
	ck_assert_int_eq(last_gemm(&built)->multiplier_stride, 2 * last_gemm(&built)->n);
	built_deinit(&built);
	shown_check(put_strided, (uint32_t)_i, "p,m,x0");
}
END_TEST

/* Broadcast operands and products that others read are no epilogue. */
static const struct {
	const char *op;
	const char *inputs;
	const char *output;
	uint32_t gemm_count;
	uint32_t step_count;
} plain_cases[] = {
	{"Mul", "p,row", "y", 1, 2},
	{"Mul", "p,column", "y", 1, 2},
	{"Mul", "p,p", "y", 1, 2},
	{"Sub", "x,p", "y", 1, 2},
};

START_TEST(other_operands_stay_outside)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	struct built built;
	uint32_t seed = 3;

	shown_input(writer, "x", 4);
	shown_input(writer, "column", 1);
	shown_matrix(writer, "w", 4, 4, &seed);
	shown_matrix(writer, "row", 0, 4, &seed);
	onnx_writer_node(writer, "MatMul", "x,w", "p");
	onnx_writer_node(writer, plain_cases[_i].op, plain_cases[_i].inputs,
			 plain_cases[_i].output);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built_count(&built, KERNEL_GEMM), plain_cases[_i].gemm_count);
	ck_assert_uint_eq(built.lowering.step_count, plain_cases[_i].step_count);
	built_deinit(&built);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pass_cross");
	TCase *tests = tcase_create("pass_cross");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, a_cross_layer_is_its_products_alone, 0, SEEDS);
	tcase_add_loop_test(tests, residuals_and_gates_are_taken_in, 0, SEEDS);
	tcase_add_loop_test(tests, an_addend_of_rows_is_a_residual, 0, SEEDS);
	tcase_add_loop_test(tests, what_it_multiplies_and_adds_may_have_a_stride, 0, SEEDS);
	tcase_add_loop_test(tests, other_operands_stay_outside, 0,
			    (int)(sizeof(plain_cases) / sizeof(plain_cases[0])));
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_patterns.c - what exporters spell out becomes one kernel, in any order of operands
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/exec/engine_fixture.h"
#include "tests/exec/twins.h"
#include "tests/suite.h"

#define COLS 20

static const float half = 0.5f, one = 1.0f, two = 2.0f, three = 3.0f, epsilon = 1e-5f;
static const float root_two = 1.41421356f, inverse_root_two = 0.70710678f;
static const float cube = 0.044715f, inner = 0.79788456f, minus_half = -0.5f;
static unsigned int seed;

static struct onnx_writer *put_input(const char *shape)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	float scale[COLS], bias[COLS];
	uint32_t state = 5;

	fixture_floats(scale, COLS, &state);
	fixture_floats(bias, COLS, &state);
	onnx_writer_input(writer, "x", DTYPE_F32, shape);
	onnx_writer_tensor(writer, "scale", DTYPE_F32, "20", scale, sizeof(scale));
	onnx_writer_tensor(writer, "bias", DTYPE_F32, "1,20", bias, sizeof(bias));
	onnx_writer_tensor(writer, "half", DTYPE_F32, "", &half, 4);
	onnx_writer_tensor(writer, "minus_half", DTYPE_F32, "", &minus_half, 4);
	onnx_writer_tensor(writer, "one", DTYPE_F32, "1", &one, 4);
	onnx_writer_tensor(writer, "two", DTYPE_F32, "", &two, 4);
	onnx_writer_tensor(writer, "three", DTYPE_F32, "", &three, 4);
	onnx_writer_tensor(writer, "epsilon", DTYPE_F32, "", &epsilon, 4);
	onnx_writer_tensor(writer, "root_two", DTYPE_F32, "", &root_two, 4);
	onnx_writer_tensor(writer, "inverse_root_two", DTYPE_F32, "", &inverse_root_two, 4);
	onnx_writer_tensor(writer, "cube", DTYPE_F32, "", &cube, 4);
	onnx_writer_tensor(writer, "inner", DTYPE_F32, "", &inner, 4);
	return writer;
}

/* op(a, b) or op(b, a). */
static void commuted(struct onnx_writer *writer, const char *op, const char *a, const char *b,
		     const char *y)
{
	char inputs[64];
	bool swaps = rand_r(&seed) % 2 == 0;

	(void)snprintf(inputs, sizeof(inputs), "%s,%s", swaps ? b : a, swaps ? a : b);
	onnx_writer_node(writer, op, inputs, y);
}

static void mean(struct onnx_writer *writer, const char *x, const char *y)
{
	onnx_writer_node(writer, "ReduceMean", x, y);
	onnx_writer_ints(writer, "axes", (const int64_t[]){-1}, 1);
}

static void compare(struct twins *twins, double error)
{
	for (int64_t rows = 0; rows <= 5; rows++)
		twins_compare(twins, rows, 3.0f, error, 1 + (uint32_t)rows);
}

/* --- layer normalization --- */

enum {
	LAYERNORM_POW = 1,     /* the square is a power */
	LAYERNORM_TWICE = 2,   /* x - mean is computed again for the quotient */
	LAYERNORM_SCALE = 4,
	LAYERNORM_BIAS = 8,
	LAYERNORM_INVERSE = 16, /* a product with 1 / root */
	LAYERNORM_POWER = 32,   /* a product with variance^-0.5 */
	LAYERNORM_RELU = 64,
	LAYERNORM_FORMS = 128,
};

/* Gives the name of the last value. */
static const char *put_layernorm(struct onnx_writer *writer, int form)
{
	const char *y = "normal";

	mean(writer, "x", "mean");
	onnx_writer_node(writer, "Sub", "x,mean", "centred");
	if (form & LAYERNORM_TWICE) {
		mean(writer, "x", "mean_again");
		onnx_writer_node(writer, "Sub", "x,mean_again", "centred_again");
	}
	onnx_writer_node(writer, form & LAYERNORM_POW ? "Pow" : "Mul",
			 form & LAYERNORM_POW ? "centred,two" : "centred,centred", "square");
	mean(writer, "square", "variance");
	commuted(writer, "Add", "variance", "epsilon", "sum");
	if (form & LAYERNORM_POWER)
		onnx_writer_node(writer, "Pow", "sum,minus_half", "inverse");
	else
		onnx_writer_node(writer, "Sqrt", "sum", "root");
	if ((form & LAYERNORM_INVERSE) && !(form & LAYERNORM_POWER))
		onnx_writer_node(writer, "Div", "one,root", "inverse");
	if (form & (LAYERNORM_INVERSE | LAYERNORM_POWER))
		commuted(writer, "Mul", form & LAYERNORM_TWICE ? "centred_again" : "centred",
			 "inverse", "normal");
	else
		onnx_writer_node(writer, "Div",
				 form & LAYERNORM_TWICE ? "centred_again,root" : "centred,root",
				 "normal");
	if (form & LAYERNORM_SCALE) {
		commuted(writer, "Mul", y, "scale", "scaled");
		y = "scaled";
	}
	if (form & LAYERNORM_BIAS) {
		commuted(writer, "Add", y, "bias", "biased");
		y = "biased";
	}
	return y;
}

static void put_layernorm_model(struct onnx_writer *writer, int form)
{
	const char *y = put_layernorm(writer, form);

	onnx_writer_node(writer, form & LAYERNORM_RELU ? "Relu" : "Identity", y, "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
}

/* _i is the form. */
START_TEST(layer_normalizations_become_one_kernel)
{
	bool has_addend = (_i & LAYERNORM_BIAS) && !(_i & LAYERNORM_SCALE);
	struct twins twins;

	for (int batch = 0; batch < 2; batch++) {
		struct onnx_writer *writer = put_input(batch ? "batch,3,20" : "batch,20");

		seed = 77 + (unsigned int)_i;
		put_layernorm_model(writer, _i);
		twins_init(&twins, writer, 5);
		compare(&twins, 2e-5);
		ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_LAYERNORM), 1);
		/* A bias without a scale is an operator of its own. */
		if (!has_addend)
			ck_assert_uint_eq(twins.fused.lowering.step_count, 1);
		twins_deinit(&twins);
	}
}
END_TEST

START_TEST(a_normalization_whose_parts_are_read_elsewhere_stays)
{
	static const char *const parts[] = {"mean", "centred", "variance", "root", "normal"};
	struct twins twins;

	for (size_t part = 0; part < 5; part++) {
		struct onnx_writer *writer = put_input("batch,20");

		put_layernorm_model(writer, LAYERNORM_SCALE | LAYERNORM_BIAS);
		onnx_writer_output(writer, parts[part], DTYPE_F32, NULL);
		twins_init(&twins, writer, 5);
		/* The last one is a normalization by itself. */
		compare(&twins, part == 4 ? 2e-5 : 0);
		ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_LAYERNORM), part == 4);
		twins_deinit(&twins);
	}
}
END_TEST

START_TEST(what_normalizes_other_axes_or_other_values_stays)
{
	struct twins twins;

	for (int form = 0; form < 3; form++) {
		struct onnx_writer *writer = put_input("batch,3,20");

		onnx_writer_node(writer, "ReduceMean", "x", "mean");
		onnx_writer_ints(writer, "axes", (const int64_t[]){form == 0 ? 1 : 2}, 1);
		onnx_writer_node(writer, "Sub", form == 1 ? "mean,x" : "x,mean", "centred");
		onnx_writer_node(writer, "Mul", form == 2 ? "centred,x" : "centred,centred", "s");
		onnx_writer_node(writer, "ReduceMean", "s", "variance");
		onnx_writer_ints(writer, "axes", (const int64_t[]){form == 0 ? 1 : 2}, 1);
		onnx_writer_node(writer, "Add", "variance,three", "sum");
		onnx_writer_node(writer, "Sqrt", "sum", "root");
		onnx_writer_node(writer, "Div", "centred,root", "y");
		onnx_writer_output(writer, "y", DTYPE_F32, NULL);
		twins_init(&twins, writer, 5);
		compare(&twins, 0);
		ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_LAYERNORM), 0);
		twins_deinit(&twins);
	}
}
END_TEST

/* --- activations --- */

/* Which of x, 0.5 and the curve are multiplied first. */
static void put_product(struct onnx_writer *writer, int order, const char *curve)
{
	static const char *const half_names[] = {"half", "two"};
	const char *factors[3] = {"x", half_names[order >= 3], curve};
	int first = order % 3;
	const char *late = factors[first];
	char op[8] = "Mul";

	factors[first] = factors[2];
	if (order < 3) {
		commuted(writer, op, factors[0], factors[1], "product");
		commuted(writer, op, "product", late, "y");
		return;
	}
	/* By two instead of a product with a half. */
	commuted(writer, "Mul", "x", curve, "product");
	onnx_writer_node(writer, "Div", "product,two", "y");
}

/* _i: the order of the factors, and three forms of the curve. */
START_TEST(the_tanh_form_of_gelu_is_one_operation)
{
	struct onnx_writer *writer = put_input("batch,20");
	int order = _i % 4, form = _i / 4;
	struct twins twins;

	seed = 99 + (unsigned int)_i;
	if (form == 0) {
		onnx_writer_node(writer, "Pow", "x,three", "xxx");
	} else {
		onnx_writer_node(writer, "Mul", "x,x", "xx");
		if (form == 1)
			commuted(writer, "Mul", "xx", "x", "xxx");
	}
	commuted(writer, "Mul", form == 2 ? "xx" : "xxx", "cube", "cubic");
	commuted(writer, "Add", "cubic", form == 2 ? "one" : "x", "sum");
	if (form == 2) {
		commuted(writer, "Mul", "inner", "x", "scaled");
		commuted(writer, "Mul", "scaled", "sum", "argument");
	} else {
		commuted(writer, "Mul", "sum", "inner", "argument");
	}
	onnx_writer_node(writer, "Tanh", "argument", "tanh");
	commuted(writer, "Add", "tanh", "one", "curve");
	put_product(writer, order, "curve");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	twins_init(&twins, writer, 5);
	compare(&twins, 1e-6);
	ck_assert_uint_eq(twins.fused.lowering.step_count, 1);
	ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_UNARY), 1);
	twins_deinit(&twins);
}
END_TEST

/* _i: the order of the factors, and a quotient or a product inside. */
START_TEST(gelu_is_one_operation)
{
	struct onnx_writer *writer = put_input("batch,20");
	int order = _i % 4;
	struct twins twins;

	seed = 55 + (unsigned int)_i;
	if (_i < 4)
		onnx_writer_node(writer, "Div", "x,root_two", "argument");
	else
		commuted(writer, "Mul", "x", "inverse_root_two", "argument");
	onnx_writer_node(writer, "Erf", "argument", "erf");
	commuted(writer, "Add", "erf", "one", "curve");
	put_product(writer, order, "curve");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	twins_init(&twins, writer, 5);
	compare(&twins, _i < 4 ? 1e-6 : 2e-6);
	ck_assert_uint_eq(twins.fused.lowering.step_count, 1);
	ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_UNARY), 1);
	twins_deinit(&twins);
}
END_TEST

START_TEST(layer_normalization_and_gelu_are_one_kernel)
{
	struct onnx_writer *writer = put_input("batch,20");
	struct twins twins;

	(void)put_layernorm(writer, LAYERNORM_SCALE | LAYERNORM_BIAS);
	onnx_writer_node(writer, "Div", "biased,root_two", "argument");
	onnx_writer_node(writer, "Erf", "argument", "erf");
	onnx_writer_node(writer, "Add", "erf,one", "curve");
	onnx_writer_node(writer, "Mul", "biased,curve", "product");
	onnx_writer_node(writer, "Mul", "product,half", "gelu");
	onnx_writer_output(writer, "gelu", DTYPE_F32, NULL);
	twins_init(&twins, writer, 5);
	compare(&twins, 4e-5);
	ck_assert_uint_eq(twins.fused.lowering.step_count, 1);
	ck_assert_int_eq((int)twins.fused.lowering.steps[0]->args->layernorm.activation,
			 ACTIVATION_GELU);
	twins_deinit(&twins);
}
END_TEST

/* A block of an encoder as the exporter writes it since opset 17. */
START_TEST(a_product_its_residual_and_their_normalization_are_two_kernels)
{
	static const char *const inputs[] = {"batch,20", "batch,3,20"};
	static float w[COLS * COLS];
	struct twins twins;

	for (int form = 0; form < 2; form++) {
		struct onnx_writer *writer = onnx_writer_new(17);
		float scale[COLS], bias[COLS];
		uint32_t state = 9;

		fixture_floats(w, COLS * COLS, &state);
		fixture_floats(scale, COLS, &state);
		fixture_floats(bias, COLS, &state);
		onnx_writer_input(writer, "x", DTYPE_F32, inputs[form]);
		onnx_writer_tensor(writer, "w", DTYPE_F32, "20,20", w, sizeof(w));
		onnx_writer_tensor(writer, "scale", DTYPE_F32, "20", scale, sizeof(scale));
		onnx_writer_tensor(writer, "bias", DTYPE_F32, "20", bias, sizeof(bias));
		onnx_writer_node(writer, "MatMul", "x,w", "xw");
		onnx_writer_node(writer, "Add", "bias,xw", "z");
		onnx_writer_node(writer, "Add", form ? "x,z" : "z,x", "sum");
		onnx_writer_node(writer, "LayerNormalization", "sum,scale,bias", "normal");
		onnx_writer_node(writer, "Relu", "normal", "y");
		onnx_writer_output(writer, "y", DTYPE_F32, NULL);
		twins_init(&twins, writer, 5);
		compare(&twins, 0);
		ck_assert_uint_eq(twins.fused.lowering.step_count, 2);
		ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_GEMM), 1);
		ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_LAYERNORM), 1);
		twins_deinit(&twins);
	}
}
END_TEST

START_TEST(a_product_with_its_own_sigmoid_is_silu)
{
	struct twins twins;

	for (int round = 0; round < 4; round++) {
		struct onnx_writer *writer = put_input("batch,20");
		bool is_read = round == 3;

		seed = (unsigned int)round;
		onnx_writer_node(writer, "Sigmoid", round == 2 ? "scale" : "x", "s");
		commuted(writer, "Mul", "x", "s", "y");
		onnx_writer_output(writer, "y", DTYPE_F32, NULL);
		if (is_read)
			onnx_writer_output(writer, "s", DTYPE_F32, NULL);
		twins_init(&twins, writer, 5);
		compare(&twins, 0);
		ck_assert_uint_eq(twins.fused.lowering.step_count, 1);
		ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_UNARY), round < 2);
		ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_CHAIN), is_read);
		twins_deinit(&twins);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("patterns");
	TCase *tests = tcase_create("patterns");

	tcase_add_loop_test(tests, layer_normalizations_become_one_kernel, 0, LAYERNORM_FORMS);
	tcase_add_test(tests, a_normalization_whose_parts_are_read_elsewhere_stays);
	tcase_add_test(tests, what_normalizes_other_axes_or_other_values_stays);
	tcase_add_loop_test(tests, the_tanh_form_of_gelu_is_one_operation, 0, 12);
	tcase_add_loop_test(tests, gelu_is_one_operation, 0, 8);
	tcase_add_test(tests, layer_normalization_and_gelu_are_one_kernel);
	tcase_add_test(tests, a_product_its_residual_and_their_normalization_are_two_kernels);
	tcase_add_test(tests, a_product_with_its_own_sigmoid_is_silu);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

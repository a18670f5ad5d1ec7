/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_batchnorm.c - nn.BatchNorm1d of an exported model is part of a product beside it
 */
#include <check.h>
#include <stdio.h>

#include "tests/exec/engine_fixture.h"
#include "tests/exec/twins.h"
#include "tests/suite.h"

#define WIDTH 21
#define ERROR 2e-5

/* x [batch, 21], a matrix w [21, 21], bias b, and normalizations of 21 columns. */
static struct onnx_writer *put_input(const char *shape)
{
	struct onnx_writer *writer = onnx_writer_new(15);
	static float w[WIDTH * WIDTH], numbers[5][WIDTH];
	static const char *const names[] = {"b", "scale", "shift", "mean", "variance"};
	uint32_t seed = 11;

	fixture_floats(w, WIDTH * WIDTH, &seed);
	onnx_writer_input(writer, "x", DTYPE_F32, shape);
	onnx_writer_tensor(writer, "w", DTYPE_F32, "21,21", w, sizeof(w));
	for (int index = 0; index < 5; index++) {
		fixture_floats(numbers[index], WIDTH, &seed);
		for (int column = 0; index == 4 && column < WIDTH; column++)
			numbers[index][column] = 0.3f + numbers[index][column] * numbers[index][column];
		onnx_writer_tensor(writer, names[index], DTYPE_F32, "21", numbers[index],
				   sizeof(numbers[index]));
	}
	return writer;
}

static void put_norm(struct onnx_writer *writer, const char *x, const char *y)
{
	char inputs[64];

	(void)snprintf(inputs, sizeof(inputs), "%s,scale,shift,mean,variance", x);
	onnx_writer_node(writer, "BatchNormalization", inputs, y);
	onnx_writer_float(writer, "epsilon", 1e-3f);
}

/* Linear as the exporter writes it: of a matrix, transposed or not, or a product and a sum. */
static void put_linear(struct onnx_writer *writer, int form, const char *x, const char *y)
{
	char inputs[32];

	(void)snprintf(inputs, sizeof(inputs), form < 2 ? "%s,w,b" : "%s,w", x);
	if (form < 2) {
		onnx_writer_node(writer, "Gemm", inputs, y);
		onnx_writer_int(writer, "transB", form);
		onnx_writer_float(writer, "alpha", form ? 1.0f : 0.5f);
		onnx_writer_float(writer, "beta", form ? 1.0f : 2.0f);
		return;
	}
	onnx_writer_node(writer, "MatMul", inputs, form == 2 ? "product" : y);
	if (form == 2)
		onnx_writer_node(writer, "Add", "b,product", y);
}

static void check(struct onnx_writer *writer, double error, enum kernel kernel, uint32_t steps)
{
	struct twins twins;

	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	twins_init(&twins, writer, 5);
	for (int64_t rows = 0; rows <= 5; rows++)
		twins_compare(&twins, rows, 2.0f, error, 1 + (uint32_t)rows);
	ck_assert_uint_eq(twins.fused.lowering.step_count, steps);
	ck_assert_uint_eq(twin_count(&twins.fused, kernel), steps);
	twins_deinit(&twins);
}

/* _i is the form of the Linear. */
START_TEST(a_product_takes_in_the_normalization_behind_it_and_its_activation)
{
	struct onnx_writer *writer = put_input("batch,21");

	put_linear(writer, _i, "x", "z");
	put_norm(writer, "z", "normal");
	onnx_writer_node(writer, "Relu", "normal", "y");
	check(writer, ERROR, KERNEL_GEMM, 1);
}
END_TEST

START_TEST(a_product_takes_in_the_normalization_before_it)
{
	struct onnx_writer *writer = put_input("batch,21");

	put_norm(writer, "x", "normal");
	put_linear(writer, _i, "normal", "z");
	onnx_writer_node(writer, "Sigmoid", "z", "y");
	check(writer, ERROR, KERNEL_GEMM, 1);
}
END_TEST

/* Linear, ReLU, BatchNorm, Linear, BatchNorm: each belongs to the second product. */
START_TEST(a_normalization_behind_an_activation_belongs_to_the_next_product)
{
	struct onnx_writer *writer = put_input("batch,21");

	put_linear(writer, 1, "x", "first");
	onnx_writer_node(writer, "Relu", "first", "active");
	put_norm(writer, "active", "normal");
	put_linear(writer, _i, "normal", "z");
	put_norm(writer, "z", "y");
	check(writer, ERROR, KERNEL_GEMM, 2);
}
END_TEST

/* By itself, and where others read what it reads, as in the Dice of DIN: one pass, its bits. */
START_TEST(a_normalization_that_no_product_takes_is_one_pass)
{
	struct onnx_writer *writer = put_input("batch,21");

	put_norm(writer, "x", "y");
	check(writer, 0, KERNEL_CHAIN, 1);
	writer = put_input("batch,21,2");
	put_norm(writer, "x", "y");
	check(writer, 0, KERNEL_CHAIN, 1);
	writer = put_input("batch,21");
	put_norm(writer, "x", "normal");
	onnx_writer_node(writer, "Sigmoid", "normal", "p");
	onnx_writer_node(writer, "Mul", "p,x", "px");
	onnx_writer_node(writer, "Sub", "x,px", "rest");
	onnx_writer_node(writer, "Mul", "rest,scale", "scaled");
	onnx_writer_node(writer, "Add", "px,scaled", "y");
	check(writer, 0, KERNEL_CHAIN, 1);
}
END_TEST

/* A product or a normalization that others read stays what it is, to the bit. */
START_TEST(what_others_read_stays)
{
	for (int before = 0; before < 2; before++) {
		struct onnx_writer *writer = put_input("batch,21");
		struct twins twins;

		if (before)
			put_norm(writer, "x", "z");
		else
			put_linear(writer, 1, "x", "z");
		if (before)
			put_linear(writer, 1, "z", "y");
		else
			put_norm(writer, "z", "y");
		onnx_writer_output(writer, "y", DTYPE_F32, NULL);
		onnx_writer_output(writer, "z", DTYPE_F32, NULL);
		twins_init(&twins, writer, 5);
		for (int64_t rows = 0; rows <= 5; rows++)
			twins_compare(&twins, rows, 2.0f, 0, 1 + (uint32_t)rows);
		ck_assert_uint_eq(twins.fused.lowering.step_count, 2);
		twins_deinit(&twins);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("batchnorm");
	TCase *tests = tcase_create("batchnorm");

	tcase_add_loop_test(tests, a_product_takes_in_the_normalization_behind_it_and_its_activation,
			    0, 4);
	tcase_add_loop_test(tests, a_product_takes_in_the_normalization_before_it, 0, 4);
	tcase_add_loop_test(tests, a_normalization_behind_an_activation_belongs_to_the_next_product,
			    0, 4);
	tcase_add_test(tests, a_normalization_that_no_product_takes_is_one_pass);
	tcase_add_test(tests, what_others_read_stays);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/exec/test_gemm_activations.c - a product takes its activation in, with the same bits */
#include <check.h>

#include "tests/exec/engine_fixture.h"
#include "tests/exec/twins.h"
#include "tests/suite.h"

#define K 23
#define N 37
#define ROWS 21

static const struct {
	const char *op;
	const char *attribute; /* NULL: none */
	float value;
	const char *text;
} cases[] = {
	{"Relu", NULL, 0, NULL},
	{"Sigmoid", NULL, 0, NULL},
	{"Tanh", NULL, 0, NULL},
	{"LeakyRelu", "alpha", 0.125f, NULL},
	{"LeakyRelu", NULL, 0, NULL},
	{"Elu", "alpha", 0.75f, NULL},
	{"Elu", NULL, 0, NULL},
	{"Gelu", "approximate", 0, "none"},
	{"Gelu", "approximate", 0, "tanh"},
};

#define CASES (int)(sizeof(cases) / sizeof(cases[0]))

START_TEST(bias_and_activation_are_part_of_the_product)
{
	static float w[K * N], b[N];
	struct onnx_writer *writer = onnx_writer_new(20);
	struct twins twins;
	uint32_t seed = 9;

	fixture_floats(w, K * N, &seed);
	fixture_floats(b, N, &seed);
	onnx_writer_input(writer, "x", DTYPE_F32, "batch,23");
	onnx_writer_tensor(writer, "w", DTYPE_F32, "23,37", w, sizeof(w));
	onnx_writer_tensor(writer, "b", DTYPE_F32, "37", b, sizeof(b));
	onnx_writer_node(writer, "MatMul", "x,w", "product");
	onnx_writer_node(writer, "Add", "product,b", "sum");
	onnx_writer_node(writer, cases[_i].op, "sum", "y");
	if (cases[_i].text)
		onnx_writer_string(writer, cases[_i].attribute, cases[_i].text);
	else if (cases[_i].attribute)
		onnx_writer_float(writer, cases[_i].attribute, cases[_i].value);
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,37");
	twins_init(&twins, writer, ROWS);
	ck_assert_uint_eq(twins.fused.lowering.step_count, 1);
	ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_GEMM), 1);
	ck_assert_uint_gt(twins.plain.lowering.step_count, 1);
	for (int64_t rows = 0; rows <= ROWS; rows++)
		twins_compare(&twins, rows, 3.0f, 0, 1 + (uint32_t)rows);
	twins_deinit(&twins);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gemm activations");
	TCase *tests = tcase_create("gemm activations");

	tcase_add_loop_test(tests, bias_and_activation_are_part_of_the_product, 0, CASES);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

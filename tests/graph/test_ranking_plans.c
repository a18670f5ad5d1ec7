/* SPDX-License-Identifier: MIT */
/*
 * tests/graph/test_ranking_plans.c - a ranking model's plan is what a person would write by hand
 *
 * Small networks of odd widths, in two orders of nodes: products, one pass over the tables, the
 * interaction, and nothing that only moves bytes, but for the copy of an input.
 */
#include <check.h>
#include <stdio.h>

#include "tests/graph/graph_fixture.h"
#include "tests/graph/shown.h"
#include "tests/suite.h"

#define SEEDS 6
#define TABLES 5

static void check_plan(shown_write write, uint32_t seed, const enum kernel kernels[],
		       uint32_t count)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	struct built built;

	write(writer, seed);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	ck_assert_msg(built_init(&built, writer), "%s", err_message());
	ck_assert_uint_eq(built.lowering.step_count, count);
	for (uint32_t step = 0; step < count; step++)
		ck_assert_int_eq((int)built.lowering.steps[step]->kernel, (int)kernels[step]);
	ck_assert_int_eq(built.lowering.row_symbol, 0);
	built_deinit(&built);
}

/* y = activation(x * w + b) of k by n, w and b named after y; no activation: NULL */
static void put_layer(struct onnx_writer *writer, const char *x, const char *y, int64_t k,
		      int64_t n, const char *activation, uint32_t *seed)
{
	char w[32], b[32], sum[32], inputs[96];

	(void)snprintf(w, sizeof(w), "%s_w", y);
	(void)snprintf(b, sizeof(b), "%s_b", y);
	(void)snprintf(sum, sizeof(sum), "%s_sum", y);
	(void)snprintf(inputs, sizeof(inputs), "%s,%s,%s", x, w, b);
	shown_matrix(writer, w, k, n, seed);
	shown_matrix(writer, b, 0, n, seed);
	onnx_writer_node(writer, "Gemm", inputs, activation ? sum : y);
	if (activation)
		onnx_writer_node(writer, activation, sum, y);
}

/* e0, e1, ... [rows, depth] by columns of the input "ids". */
static void put_tables(struct onnx_writer *writer, int64_t depth, uint32_t *seed)
{
	for (int64_t table = 0; table < TABLES; table++) {
		char data[16], column[16], ids[16], inputs[48], y[16];

		(void)snprintf(data, sizeof(data), "t%d", (int)table);
		(void)snprintf(column, sizeof(column), "c%d", (int)table);
		(void)snprintf(ids, sizeof(ids), "i%d", (int)table);
		(void)snprintf(y, sizeof(y), "e%d", (int)table);
		shown_matrix(writer, data, SHOWN_IDS + table, depth, seed);
		put_i64(writer, column, "", &table, 1);
		(void)snprintf(inputs, sizeof(inputs), "ids,%s", column);
		onnx_writer_node(writer, "Gather", inputs, ids);
		onnx_writer_int(writer, "axis", 1);
		(void)snprintf(inputs, sizeof(inputs), "%s,%s", data, ids);
		onnx_writer_node(writer, "Gather", inputs, y);
	}
}

static void put_concat(struct onnx_writer *writer, const char *inputs, const char *output)
{
	onnx_writer_node(writer, "Concat", inputs, output);
	onnx_writer_int(writer, "axis", 1);
}

static void put_dlrm(struct onnx_writer *writer, uint32_t seed)
{
	bool is_tables_first = seed % 2 == 0;
	int64_t depth = shown_width(&seed, 3, 20), vectors = TABLES + 1;
	int64_t stack[] = {-1, vectors, depth}, flat[] = {-1, vectors * vectors}, pairs[15];
	int64_t count = 0;

	shown_input(writer, "dense", 13);
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch,5");
	if (is_tables_first)
		put_tables(writer, depth, &seed);
	put_layer(writer, "dense", "bottom", 13, 33, "Relu", &seed);
	put_layer(writer, "bottom", "x", 33, depth, "Relu", &seed);
	if (!is_tables_first)
		put_tables(writer, depth, &seed);
	for (int64_t left = 0; left < vectors; left++)
		for (int64_t right = 0; right < left; right++)
			pairs[count++] = left * vectors + right;
	put_i64(writer, "stack", "3", stack, 3);
	put_i64(writer, "flat", "2", flat, 2);
	put_i64(writer, "pairs", "15", pairs, 15);
	put_concat(writer, "x,e0,e1,e2,e3,e4", "joined");
	onnx_writer_node(writer, "Reshape", "joined,stack", "t");
	onnx_writer_node(writer, "Transpose", "t", "tt");
	onnx_writer_ints(writer, "perm", (const int64_t[]){0, 2, 1}, 3);
	onnx_writer_node(writer, "MatMul", "t,tt", "z");
	onnx_writer_node(writer, "Reshape", "z,flat", "square");
	onnx_writer_node(writer, "Gather", "square,pairs", "triangle");
	onnx_writer_int(writer, "axis", 1);
	put_concat(writer, "x,triangle", "features");
	put_layer(writer, "features", "top", depth + 15, 21, "Relu", &seed);
	put_layer(writer, "top", "y", 21, 1, "Sigmoid", &seed);
}

START_TEST(dlrm_is_products_tables_and_an_interaction)
{
	static const enum kernel kernels[] = {KERNEL_GEMM,     KERNEL_GEMM, KERNEL_EMBED,
					      KERNEL_INTERACT, KERNEL_GEMM, KERNEL_GEMM};

	check_plan(put_dlrm, (uint32_t)_i, kernels, 6);
	shown_check(put_dlrm, (uint32_t)_i,
		    "x,e0,e1,e2,e3,e4,joined,z,square,triangle,features,top");
}
END_TEST

static void put_dcn(struct onnx_writer *writer, uint32_t seed)
{
	bool is_deep_first = seed % 2 == 0;
	int64_t depth = shown_width(&seed, 3, 20), n = 13 + TABLES * depth;

	shown_input(writer, "dense", 13);
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch,5");
	put_tables(writer, depth, &seed);
	put_concat(writer, "dense,e0,e1,e2,e3,e4", "x0");
	if (is_deep_first)
		put_layer(writer, "x0", "deep", n, 37, "Relu", &seed);
	put_layer(writer, "x0", "g1", n, n, NULL, &seed);
	onnx_writer_node(writer, "Mul", "x0,g1", "m1");
	onnx_writer_node(writer, "Add", "m1,x0", "x1");
	put_layer(writer, "x1", "g2", n, n, NULL, &seed);
	onnx_writer_node(writer, "Mul", "g2,x0", "m2");
	onnx_writer_node(writer, "Add", "x1,m2", "x2");
	if (!is_deep_first)
		put_layer(writer, "x0", "deep", n, 37, "Relu", &seed);
	put_concat(writer, "x2,deep", "both");
	put_layer(writer, "both", "y", n + 37, 1, "Sigmoid", &seed);
}

START_TEST(dcn_is_a_copy_tables_and_products)
{
	static const enum kernel kernels[] = {KERNEL_COPY, KERNEL_EMBED, KERNEL_GEMM,
					      KERNEL_GEMM, KERNEL_GEMM,  KERNEL_GEMM};

	check_plan(put_dcn, (uint32_t)_i, kernels, 6);
	shown_check(put_dcn, (uint32_t)_i, "x0,deep,g1,m1,x1,g2,m2,x2,both,e0,e1,e2,e3,e4");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ranking_plans");
	TCase *tests = tcase_create("ranking_plans");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, dlrm_is_products_tables_and_an_interaction, 0, SEEDS);
	tcase_add_loop_test(tests, dcn_is_a_copy_tables_and_products, 0, SEEDS);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

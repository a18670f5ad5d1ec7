/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_pairs.c - an attention's first layer becomes a product over the keys alone
 *
 * The parts of its Concat in orders of a seed, and what only looks like such a layer.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/exec/engine_fixture.h"
#include "tests/exec/twins.h"
#include "tests/suite.h"

#define DEPTH 12
#define COUNT 10
#define WIDTH 21
#define PARTS_MAX 6
#define ORDERS 24
#define ERROR 2e-5

enum slip {
	SLIP_NONE,
	SLIP_FOREIGN, /* a part is of another vector */
	SLIP_READ,    /* somebody else reads a part */
	SLIP_SUM,     /* a part is a sum */
	SLIP_FEW,     /* there are too few keys */
	SLIP_KEYS,    /* no part has the query */
	SLIP_COUNT,
};

/* Names of parts; each may come more than once. */
static const char *const parts[] = {"query", "keys", "left", "right", "product", "swapped"};

static void put_repeat(struct onnx_writer *writer, bool tiles, int64_t count)
{
	const int64_t repeats[] = {1, count, 1}, shape[] = {1, count, 1};
	const int64_t axis = 1;

	onnx_writer_constant(writer, "axis", DTYPE_I64, "1", &axis, sizeof(axis));
	onnx_writer_node(writer, "Unsqueeze", "q,axis", "narrow");
	onnx_writer_constant(writer, "repeats", DTYPE_I64, "3", tiles ? repeats : shape,
			     sizeof(repeats));
	onnx_writer_node(writer, tiles ? "Tile" : "Expand", "narrow,repeats", "query");
}

/* "left" and "right" are the differences; where `broadcasts`, of the query as it is. */
static void put_parts(struct onnx_writer *writer, enum slip slip, bool broadcasts)
{
	const char *query = broadcasts ? "narrow" : "query";
	char inputs[32];

	onnx_writer_node(writer, "Relu", "k", "keys");
	(void)snprintf(inputs, sizeof(inputs), "%s,keys", query);
	onnx_writer_node(writer, slip == SLIP_SUM ? "Add" : "Sub", inputs, "left");
	onnx_writer_node(writer, "Mul", inputs, "product");
	(void)snprintf(inputs, sizeof(inputs), "keys,%s", query);
	onnx_writer_node(writer, "Sub", inputs, "right");
	onnx_writer_node(writer, "Mul", inputs, "swapped");
	onnx_writer_node(writer, "Sigmoid", "k", "foreign");
}

static struct onnx_writer *put_model(enum slip slip, unsigned int seed)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	static float w[PARTS_MAX * DEPTH * WIDTH], b[WIDTH];
	const int64_t count = slip == SLIP_FEW ? 4 : COUNT;
	uint32_t state = 7 + seed, part_count = 4 + seed % 3;
	char joined[128] = "", shape[32];

	fixture_floats(w, PARTS_MAX * DEPTH * WIDTH, &state);
	fixture_floats(b, WIDTH, &state);
	(void)snprintf(shape, sizeof(shape), "batch,%d,%d", (int)count, DEPTH);
	onnx_writer_input(writer, "q", DTYPE_F32, "batch,12");
	onnx_writer_input(writer, "k", DTYPE_F32, shape);
	(void)snprintf(shape, sizeof(shape), "%u,%d", part_count * DEPTH, WIDTH);
	onnx_writer_tensor(writer, "w", DTYPE_F32, shape, w,
			   part_count * DEPTH * WIDTH * sizeof(float));
	onnx_writer_tensor(writer, "b", DTYPE_F32, "21", b, sizeof(b));
	put_repeat(writer, seed % 2 == 0, count);
	put_parts(writer, slip, seed % 4 >= 2 && slip == SLIP_NONE);
	for (uint32_t part = 0; part < part_count; part++) {
		const char *name = parts[(part + (uint32_t)rand_r(&seed) % 2 * 3) % 6];

		/* One of each kind first. */
		if (part == 0)
			name = slip == SLIP_KEYS ? "keys" : "left";
		else if (part == 1)
			name = slip == SLIP_FOREIGN ? "foreign" : "product";
		if (slip == SLIP_KEYS && part > 0)
			name = "keys";
		(void)snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%s",
			       part ? "," : "", name);
	}
	onnx_writer_node(writer, "Concat", joined, "x");
	onnx_writer_int(writer, "axis", 2);
	onnx_writer_node(writer, "MatMul", "x,w", "xw");
	onnx_writer_node(writer, "Add", "b,xw", "sum");
	onnx_writer_node(writer, "Sigmoid", "sum", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	if (slip == SLIP_READ)
		onnx_writer_output(writer, "left", DTYPE_F32, NULL);
	return writer;
}

static void compare(struct twins *twins, double error)
{
	for (int64_t rows = 0; rows <= 5; rows++)
		twins_compare(twins, rows, 3.0f, error, 1 + (uint32_t)rows);
}

/* _i is the seed. */
START_TEST(a_layer_over_a_query_and_its_keys_is_a_product_of_the_keys)
{
	struct twins twins;

	twins_init(&twins, put_model(SLIP_NONE, (unsigned int)_i), 5);
	compare(&twins, ERROR);
	/* The keys, what the query adds, the layer. */
	ck_assert_uint_eq(twins.fused.lowering.step_count, 3);
	ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_PAIR), 1);
	ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_GEMM), 1);
	twins_deinit(&twins);
}
END_TEST

/* _i is the slip: the layer stays, and so do its bits. */
START_TEST(what_only_looks_like_such_a_layer_stays)
{
	struct twins twins;

	for (unsigned int seed = 0; seed < 4; seed++) {
		twins_init(&twins, put_model((enum slip)_i, seed), 5);
		compare(&twins, 0);
		ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_PAIR), 0);
		twins_deinit(&twins);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pairs");
	TCase *tests = tcase_create("pairs");

	tcase_add_loop_test(tests, a_layer_over_a_query_and_its_keys_is_a_product_of_the_keys, 0,
			    ORDERS);
	tcase_add_loop_test(tests, what_only_looks_like_such_a_layer_stays, SLIP_FOREIGN,
			    SLIP_COUNT);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/exec/test_chain.c - elementwise operators in one pass have the bits of one after the other */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/exec/engine_fixture.h"
#include "tests/exec/twins.h"
#include "tests/suite.h"

static const float two = 2.0f, half = 0.5f;

static struct onnx_writer *put_input(const char *shape)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	uint32_t state = 3;
	float values[64];

	fixture_floats(values, 64, &state);
	onnx_writer_input(writer, "x", DTYPE_F32, shape);
	onnx_writer_tensor(writer, "w", DTYPE_F32, "6,6", values, 36 * sizeof(float));
	onnx_writer_tensor(writer, "row", DTYPE_F32, "6", values, 6 * sizeof(float));
	onnx_writer_tensor(writer, "two", DTYPE_F32, "", &two, sizeof(two));
	onnx_writer_tensor(writer, "half", DTYPE_F32, "1", &half, sizeof(half));
	return writer;
}

static void output(struct onnx_writer *writer, const char *name)
{
	onnx_writer_output(writer, name, DTYPE_F32, NULL);
}

static void compare(struct twins *twins)
{
	for (int64_t rows = 0; rows <= 7; rows++)
		twins_compare(twins, rows, 2.0f, 0, 1 + (uint32_t)rows);
}

/* Steps of all, and how many of them are chains. */
static void expect_steps(struct onnx_writer *writer, uint32_t steps, uint32_t chains)
{
	struct twins twins;

	twins_init(&twins, writer, 7);
	compare(&twins);
	ck_assert_uint_eq(twins.fused.lowering.step_count, steps);
	ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_CHAIN), chains);
	twins_deinit(&twins);
}

START_TEST(a_line_of_operators_is_one_step)
{
	struct onnx_writer *writer = put_input("batch,6");

	onnx_writer_node(writer, "Mul", "x,row", "a");
	onnx_writer_node(writer, "Add", "half,a", "b");
	onnx_writer_node(writer, "Sigmoid", "b", "c");
	onnx_writer_node(writer, "Pow", "c,two", "d");
	onnx_writer_node(writer, "Sub", "x,d", "e");
	onnx_writer_node(writer, "Max", "e,x,row", "f");
	onnx_writer_node(writer, "Clip", "f,half,two", "y");
	output(writer, "y");
	expect_steps(writer, 1, 1);
}
END_TEST

START_TEST(values_that_others_read_are_outputs_of_the_chain)
{
	struct onnx_writer *writer = put_input("batch,6");

	/* a for a later softmax, b for the caller. */
	onnx_writer_node(writer, "Mul", "x,row", "a");
	onnx_writer_node(writer, "Tanh", "a", "b");
	onnx_writer_node(writer, "Add", "a,b", "y");
	onnx_writer_node(writer, "Softmax", "a", "z");
	output(writer, "y");
	output(writer, "b");
	output(writer, "z");
	expect_steps(writer, 2, 1);
}
END_TEST

START_TEST(what_is_read_before_the_last_operator_is_computed_there)
{
	struct onnx_writer *writer = put_input("batch,6");

	/* a feeds a product on whose result the last operator waits. */
	onnx_writer_node(writer, "Mul", "x,row", "a");
	onnx_writer_node(writer, "Sigmoid", "a", "b");
	onnx_writer_node(writer, "MatMul", "a,w", "c");
	onnx_writer_node(writer, "Relu", "c", "d");
	onnx_writer_node(writer, "Sub", "b,d", "e");
	onnx_writer_node(writer, "Mul", "e,e", "y");
	output(writer, "y");
	expect_steps(writer, 3, 1);
}
END_TEST

START_TEST(smaller_shapes_are_broadcast)
{
	struct onnx_writer *writer = put_input("batch,3,6");

	/* [batch, 1, 6], [batch, 3, 1] and [batch, 1, 1] over [batch, 3, 6]. */
	onnx_writer_node(writer, "ReduceMean", "x", "r");
	onnx_writer_ints(writer, "axes", (const int64_t[]){1}, 1);
	onnx_writer_node(writer, "ReduceSum", "x,last", "s");
	onnx_writer_node(writer, "ReduceMean", "r", "t");
	onnx_writer_ints(writer, "axes", (const int64_t[]){2}, 1);
	onnx_writer_tensor(writer, "last", DTYPE_I64, "1", (const int64_t[]){2}, 8);
	onnx_writer_node(writer, "Sub", "x,r", "a");
	onnx_writer_node(writer, "Mul", "s,a", "b");
	onnx_writer_node(writer, "Add", "b,t", "c");
	onnx_writer_node(writer, "Add", "r,s", "d");
	onnx_writer_node(writer, "Sub", "c,d", "e");
	onnx_writer_node(writer, "Mul", "row,e", "y");
	output(writer, "y");
	expect_steps(writer, 4, 1);
}
END_TEST

START_TEST(shapes_of_too_many_axes_stay_apart)
{
	struct onnx_writer *writer = put_input("batch,2,3,2,6");

	onnx_writer_node(writer, "ReduceMean", "x", "r");
	onnx_writer_ints(writer, "axes", (const int64_t[]){1, 3}, 2);
	onnx_writer_node(writer, "Sub", "x,r", "a");
	onnx_writer_node(writer, "Relu", "a", "y");
	output(writer, "y");
	expect_steps(writer, 3, 0);
}
END_TEST

/* _i: the candidate is repeated by Add, Tile or Expand. */
START_TEST(the_parts_of_an_attention_are_written_in_their_places)
{
	static const char *const repeats[] = {"Add", "Tile", "Expand"};
	static const char *const inputs[] = {"q,zeros", "q,counts", "q,sizes"};
	struct onnx_writer *writer = onnx_writer_new(13);
	struct twins twins;

	onnx_writer_input(writer, "k", DTYPE_F32, "batch,5,6");
	onnx_writer_input(writer, "q", DTYPE_F32, "batch,1,6");
	onnx_writer_tensor(writer, "counts", DTYPE_I64, "3", (const int64_t[]){1, 5, 1}, 24);
	onnx_writer_tensor(writer, "sizes", DTYPE_I64, "2", (const int64_t[]){5, 1}, 16);
	onnx_writer_node(writer, repeats[_i], inputs[_i], "qq");
	onnx_writer_tensor(writer, "zeros", DTYPE_F32, "5,6", (const float[30]){0}, 120);
	onnx_writer_node(writer, "Sub", "qq,k", "difference");
	onnx_writer_node(writer, "Mul", "qq,k", "product");
	onnx_writer_node(writer, "Concat", "qq,k,difference,product", "y");
	onnx_writer_int(writer, "axis", -1);
	output(writer, "y");
	twins_init(&twins, writer, 7);
	compare(&twins);
	ck_assert_uint_eq(twins.fused.lowering.step_count, 1);
	ck_assert_uint_eq(twin_count(&twins.fused, KERNEL_CHAIN), 1);
	twins_deinit(&twins);
}
END_TEST

START_TEST(parts_of_a_concat_are_written_and_read_there)
{
	struct onnx_writer *writer = put_input("batch,6");

	/* b is read again where it lies; one operator alone is a chain, too. */
	onnx_writer_node(writer, "Mul", "x,row", "a");
	onnx_writer_node(writer, "Sigmoid", "a", "b");
	onnx_writer_node(writer, "Tanh", "x", "c");
	onnx_writer_node(writer, "ReduceMean", "x", "mean");
	onnx_writer_ints(writer, "axes", (const int64_t[]){1}, 1);
	onnx_writer_node(writer, "Add", "mean,half", "one");
	onnx_writer_node(writer, "Concat", "b,one,c", "y");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "Sub", "b,one", "d");
	onnx_writer_node(writer, "Mul", "d,d", "z");
	output(writer, "y");
	output(writer, "z");
	expect_steps(writer, 5, 4);
}
END_TEST

/* --- random ones --- */

static unsigned int seed;

static int pick(int bound)
{
	return rand_r(&seed) % bound;
}

static void pick_name(char name[16], int count)
{
	static const char *const others[] = {"x", "row", "two", "half", "column", "sums"};

	if (count > 0 && pick(3) > 0)
		(void)snprintf(name, 16, "v%d", pick(count));
	else
		(void)snprintf(name, 16, "%s", others[pick(6)]);
}

/* _i is the seed: unary and binary operators on whatever there is, some products and softmaxes
 * between, several outputs. */
START_TEST(random_operators_keep_their_bits)
{
	static const char *const unaries[] = {"Relu", "Sigmoid", "Tanh", "Sqrt"};
	static const char *const binaries[] = {"Add", "Sub", "Mul", "Div", "Max", "Min"};
	struct onnx_writer *writer = put_input(_i % 2 ? "batch,6" : "batch,3,6");
	struct twins twins;
	int count = 0;

	seed = 40 + (unsigned int)_i;
	onnx_writer_node(writer, "ReduceMean", "x", "column");
	onnx_writer_ints(writer, "axes", (const int64_t[]){-1}, 1);
	onnx_writer_node(writer, "Softmax", "x", "sums");
	for (; count < 30; count++) {
		char a[16], b[16], c[16], inputs[64], y[16];
		int form = pick(12);

		pick_name(a, count);
		pick_name(b, count);
		pick_name(c, count);
		(void)snprintf(y, sizeof(y), "v%d", count);
		(void)snprintf(inputs, sizeof(inputs), "%s,%s", a, b);
		if (form < 4) {
			onnx_writer_node(writer, unaries[pick(4)], a, y);
		} else if (form == 4) {
			(void)snprintf(inputs, sizeof(inputs), "%s,%s,%s", a, b, c);
			onnx_writer_node(writer, pick(2) ? "Max" : "Min", inputs, y);
		} else if (form == 5) {
			/* Of at least the shape of a softmax: a scalar has no axis. */
			char wide[16];

			(void)snprintf(wide, sizeof(wide), "wide%d", count);
			(void)snprintf(inputs, sizeof(inputs), "x,%s", a);
			onnx_writer_node(writer, "Add", inputs, wide);
			onnx_writer_node(writer, "Softmax", wide, y);
			onnx_writer_int(writer, "axis", -1);
		} else {
			onnx_writer_node(writer, binaries[pick(6)], inputs, y);
		}
		if (pick(6) == 0 && strcmp(a, "x") != 0)
			output(writer, y);
	}
	onnx_writer_node(writer, "Add", "v29,x", "last");
	output(writer, "last");
	twins_init(&twins, writer, 7);
	compare(&twins);
	twins_deinit(&twins);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("chain");
	TCase *tests = tcase_create("chain");

	tcase_add_test(tests, a_line_of_operators_is_one_step);
	tcase_add_test(tests, values_that_others_read_are_outputs_of_the_chain);
	tcase_add_test(tests, what_is_read_before_the_last_operator_is_computed_there);
	tcase_add_test(tests, smaller_shapes_are_broadcast);
	tcase_add_test(tests, shapes_of_too_many_axes_stay_apart);
	tcase_add_loop_test(tests, the_parts_of_an_attention_are_written_in_their_places, 0, 3);
	tcase_add_test(tests, parts_of_a_concat_are_written_and_read_there);
	tcase_add_loop_test(tests, random_operators_keep_their_bits, 0, 200);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/exec/test_bags.c - pooled tables of a whole model against the same operators one by one */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/exec/engine_fixture.h"
#include "tests/suite.h"

#define TABLES 5
#define AXIS 50
#define BATCH 37

static const int hots[TABLES] = {1, 2, 3, 9, 40};
static const int dims[TABLES] = {16, 4, 8, 16, 33};

/* ids_t [batch, hot] of each table; each bag beside the others in y. `is_split` lets an output
 * read the gathered rows, so that nothing may be fused. */
static struct onnx_writer *put_bags(const float *table, const char *reduce, bool is_weighted,
				    bool is_split)
{
	struct onnx_writer *writer = onnx_writer_new(11);
	char parts[128] = "";

	for (int index = 0; index < TABLES; index++) {
		char ids[16], name[16], rows[16], weights[16], both[40], bag[16], shape[32];

		(void)snprintf(ids, sizeof(ids), "ids%d", index);
		(void)snprintf(name, sizeof(name), "t%d", index);
		(void)snprintf(rows, sizeof(rows), "rows%d", index);
		(void)snprintf(weights, sizeof(weights), "w%d", index);
		(void)snprintf(bag, sizeof(bag), "bag%d", index);
		(void)snprintf(shape, sizeof(shape), "batch,%d", hots[index]);
		onnx_writer_input(writer, ids, DTYPE_I64, shape);
		(void)snprintf(shape, sizeof(shape), "%d,%d", AXIS, dims[index]);
		onnx_writer_tensor(writer, name, DTYPE_F32, shape, table,
				   (uint64_t)(AXIS * dims[index]) * sizeof(float));
		(void)snprintf(both, sizeof(both), "%s,%s", name, ids);
		onnx_writer_node(writer, "Gather", both, rows);
		if (is_weighted) {
			(void)snprintf(shape, sizeof(shape), "batch,%d,1", hots[index]);
			onnx_writer_input(writer, weights, DTYPE_F32, shape);
			(void)snprintf(both, sizeof(both), "%s,%s", rows, weights);
			(void)snprintf(rows, sizeof(rows), "weighted%d", index);
			onnx_writer_node(writer, "Mul", both, rows);
		}
		onnx_writer_node(writer, reduce, rows, bag);
		onnx_writer_ints(writer, "axes", (const int64_t[]){1}, 1);
		onnx_writer_int(writer, "keepdims", 0);
		(void)snprintf(parts + strlen(parts), sizeof(parts) - strlen(parts), "%s%s",
			       index ? "," : "", bag);
		if (is_split)
			onnx_writer_output(writer, rows, DTYPE_F32, NULL);
	}
	onnx_writer_node(writer, "Concat", parts, "y");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	return writer;
}

/* Inputs by the signature's order; y is the last output. */
static void run_bags(struct engine *engine, const int64_t *ids, const float *weights, float *y,
		     struct row_status *status)
{
	const struct signature *signature = engine_signature(engine);
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {BATCH};
	const void *inputs[SIGNATURE_TENSORS_MAX];
	void *outputs[SIGNATURE_TENSORS_MAX];
	uint32_t last = signature->output_count - 1;

	for (uint32_t input = 0; input < signature->input_count; input++)
		inputs[input] = signature->inputs[input].dtype == DTYPE_I64 ? (const void *)ids
									    : weights;
	for (uint32_t output = 0; output < last; output++)
		outputs[output] = malloc((size_t)signature_elements(&signature->outputs[output],
								     symbols) * sizeof(float) + 1);
	outputs[last] = y;
	memset(status, 0, BATCH * sizeof(*status));
	fixture_run(engine, symbols, inputs, outputs, status);
	for (uint32_t output = 0; output < last; output++)
		free(outputs[output]);
}

/* _i: sums, means, weighted sums. */
START_TEST(bags_have_the_bits_of_their_operators_one_by_one)
{
	enum { WIDTH = 16 + 4 + 8 + 16 + 33 };
	static float table[AXIS * 33], weights[BATCH * 40];
	static float fused[BATCH * WIDTH], split[BATCH * WIDTH];
	static int64_t ids[BATCH * 40];
	struct row_status fused_status[BATCH], split_status[BATCH];
	const char *reduce = _i == 1 ? "ReduceMean" : "ReduceSum";
	struct engine *engine;
	uint32_t seed = 7;

	fixture_floats(table, AXIS * 33, &seed);
	fixture_floats(weights, BATCH * 40, &seed);
	fixture_ids(ids, BATCH * 40, AXIS, &seed);
	ids[17] = -1;
	ids[40] = AXIS;
	ids[77] = INT64_MIN;
	engine = fixture_engine(put_bags(table, reduce, _i == 2, false), NULL);
	ck_assert_msg(engine != NULL, "%s", err_message());
	run_bags(engine, ids, weights, fused, fused_status);
	engine_free(engine);
	engine = fixture_engine(put_bags(table, reduce, _i == 2, true), NULL);
	ck_assert_msg(engine != NULL, "%s", err_message());
	run_bags(engine, ids, weights, split, split_status);
	engine_free(engine);
	ck_assert_int_eq(memcmp(fused, split, sizeof(fused)), 0);
	for (int row = 0; row < BATCH; row++)
		ck_assert_int_eq(fused_status[row].error != 0, split_status[row].error != 0);
}
END_TEST

/* A row alone has the bits that it has among others. */
START_TEST(a_bag_does_not_depend_on_the_batch)
{
	enum { WIDTH = 16 + 4 + 8 + 16 + 33 };
	static float table[AXIS * 33], together[BATCH * WIDTH], alone[WIDTH];
	static int64_t ids[BATCH * 40];
	const int64_t one[SIGNATURE_SYMBOLS_MAX] = {1};
	struct row_status status[BATCH];
	struct engine *engine;
	uint32_t seed = 8;

	fixture_floats(table, AXIS * 33, &seed);
	fixture_ids(ids, BATCH * 40, AXIS, &seed);
	engine = fixture_engine(put_bags(table, "ReduceSum", false, false), NULL);
	ck_assert_msg(engine != NULL, "%s", err_message());
	run_bags(engine, ids, NULL, together, status);
	for (int row = 0; row < BATCH; row++) {
		const void *inputs[TABLES];
		void *outputs[] = {alone};

		for (int index = 0; index < TABLES; index++)
			inputs[index] = ids + row * hots[index];
		fixture_run(engine, one, inputs, outputs, status);
		ck_assert_int_eq(memcmp(alone, together + row * WIDTH, sizeof(alone)), 0);
	}
	engine_free(engine);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bags");
	TCase *tests = tcase_create("bags");

	tcase_add_loop_test(tests, bags_have_the_bits_of_their_operators_one_by_one, 0, 3);
	tcase_add_test(tests, a_bag_does_not_depend_on_the_batch);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

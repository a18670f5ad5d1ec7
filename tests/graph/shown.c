/* SPDX-License-Identifier: MIT */
/* tests/graph/shown.c - a pass must not change an answer: a model and its twin, run side by side */
#include "tests/graph/shown.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/exec/engine_fixture.h"

#define ROWS_MAX 64
#define OPSET 13

static struct engine *engine_of(shown_write write, uint32_t seed, const char *shown)
{
	struct onnx_writer *writer = onnx_writer_new(OPSET);
	struct engine *engine;
	char names[256];

	write(writer, seed);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	(void)snprintf(names, sizeof(names), "%s", shown);
	for (char *name = strtok(names, ","); name; name = strtok(NULL, ","))
		onnx_writer_output(writer, name, DTYPE_F32, NULL);
	engine = fixture_engine(writer, NULL);
	ck_assert_msg(engine != NULL, "seed %u: %s", seed, err_message());
	return engine;
}

static int64_t elements_of(const struct signature_tensor *tensor, int64_t rows)
{
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {rows};

	return signature_elements(tensor, symbols);
}

/* The first output; the caller frees it. */
static float *run(struct engine *engine, int64_t rows, uint32_t seed)
{
	const struct signature *signature = engine_signature(engine);
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {rows};
	struct row_status status[ROWS_MAX] = {0};
	void *inputs[SIGNATURE_TENSORS_MAX];
	void *outputs[SIGNATURE_TENSORS_MAX];

	for (uint32_t input = 0; input < signature->input_count; input++) {
		int64_t count = elements_of(&signature->inputs[input], rows);

		inputs[input] = calloc((size_t)count + 1, sizeof(int64_t));
		if (signature->inputs[input].dtype == DTYPE_I64)
			fixture_ids(inputs[input], count, SHOWN_IDS, &seed);
		else
			fixture_floats(inputs[input], count, &seed);
	}
	for (uint32_t output = 0; output < signature->output_count; output++)
		outputs[output] =
			calloc((size_t)elements_of(&signature->outputs[output], rows) + 1, 8);
	fixture_run(engine, symbols, (const void *const *)inputs, outputs, status);
	for (uint32_t input = 0; input < signature->input_count; input++)
		free(inputs[input]);
	for (uint32_t output = 1; output < signature->output_count; output++)
		free(outputs[output]);
	return outputs[0];
}

void shown_check(shown_write write, uint32_t seed, const char *shown)
{
	static const int64_t rows[] = {1, 2, 7, 13, ROWS_MAX};
	struct engine *fused = engine_of(write, seed, "");
	struct engine *plain = engine_of(write, seed, shown);

	for (size_t index = 0; index < sizeof(rows) / sizeof(rows[0]); index++) {
		int64_t count = elements_of(&engine_signature(fused)->outputs[0], rows[index]);
		float *answer = run(fused, rows[index], seed);
		float *expected = run(plain, rows[index], seed);

		ck_assert_int_gt(count, 0);
		ck_assert_msg(memcmp(answer, expected, (size_t)count * sizeof(float)) == 0,
			      "seed %u, %d rows: the answers differ", seed, (int)rows[index]);
		free(answer);
		free(expected);
	}
	engine_free(fused);
	engine_free(plain);
}

int64_t shown_width(uint32_t *seed, int64_t least, int64_t most)
{
	int64_t width;

	fixture_ids(&width, 1, most - least + 1, seed);
	return (width + least) | 1;
}

void shown_matrix(struct onnx_writer *writer, const char *name, int64_t rows, int64_t columns,
		  uint32_t *seed)
{
	int64_t count = (rows > 0 ? rows : 1) * columns;
	float *values = malloc((size_t)count * sizeof(float));
	char shape[48];

	ck_assert_ptr_nonnull(values);
	fixture_floats(values, count, seed);
	(void)snprintf(shape, sizeof(shape), rows > 0 ? "%lld,%lld" : "%.0lld%lld",
		       (long long)rows, (long long)columns);
	onnx_writer_tensor(writer, name, DTYPE_F32, shape, values, (uint64_t)count * sizeof(float));
	free(values);
}

void shown_input(struct onnx_writer *writer, const char *name, int64_t columns)
{
	char shape[48];

	(void)snprintf(shape, sizeof(shape), "batch,%lld", (long long)columns);
	onnx_writer_input(writer, name, DTYPE_F32, shape);
}

/* SPDX-License-Identifier: MIT */
/* tests/exec/engine_fixture.c - engines of small models that a test writes */
#include "tests/exec/engine_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/onnx_folder.h"

struct engine *fixture_engine(struct onnx_writer *writer, const struct engine_options *options)
{
	struct engine_options defaults = {.node = -1, .rows_max = 64};
	struct engine *engine = NULL;
	int directory_fd = onnx_folder_open(writer);

	if (engine_new(directory_fd, "model", options ? options : &defaults, &engine) < 0)
		engine = NULL;
	onnx_folder_close(directory_fd);
	return engine;
}

static size_t tensor_bytes(const struct signature_tensor *tensor, const int64_t symbols[])
{
	return (size_t)signature_elements(tensor, symbols) * dtype_bytes(tensor->dtype);
}

static void *exact(size_t bytes)
{
	void *memory = NULL;

	if (posix_memalign(&memory, 64, bytes ? bytes : 1) != 0)
		exit(EXIT_FAILURE);
	return memory;
}

void fixture_run(struct engine *engine, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
		 const void *const inputs[], void *const outputs[], struct row_status status[])
{
	const struct signature *signature = engine_signature(engine);
	void *copies[SIGNATURE_TENSORS_MAX];
	void *results[SIGNATURE_TENSORS_MAX];

	for (uint32_t input = 0; input < signature->input_count; input++) {
		size_t bytes = tensor_bytes(&signature->inputs[input], symbols);

		copies[input] = exact(bytes);
		if (bytes > 0)
			memcpy(copies[input], inputs[input], bytes);
	}
	for (uint32_t output = 0; output < signature->output_count; output++)
		results[output] = exact(tensor_bytes(&signature->outputs[output], symbols));
	engine_run(engine, symbols, (const void *const *)copies, results, status);
	for (uint32_t output = 0; output < signature->output_count; output++) {
		size_t bytes = tensor_bytes(&signature->outputs[output], symbols);

		if (bytes > 0)
			memcpy(outputs[output], results[output], bytes);
		free(results[output]);
	}
	for (uint32_t input = 0; input < signature->input_count; input++)
		free(copies[input]);
}

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525U + 1013904223U; /* Numerical Recipes */
	return *seed >> 8;
}

struct workers *fixture_workers(uint32_t count)
{
	return fixture_workers_of(count, 0);
}

struct workers *fixture_workers_of(uint32_t count, uint64_t further)
{
	const struct workers_options options = {
		.count = count,
		.node = -1,
		.further = { further },
		.spin_ns = 50000,
		.wake_ns = 1000,
	};
	struct workers *workers = NULL;

	if (workers_new(&options, &workers) < 0) {
		fprintf(stderr, "%s\n", err_message());
		exit(EXIT_FAILURE);
	}
	return workers;
}

void fixture_floats(float *values, int64_t count, uint32_t *seed)
{
	for (int64_t index = 0; index < count; index++)
		values[index] = (float)next(seed) / (float)(1U << 23) - 1.0f;
}

void fixture_ids(int64_t *ids, int64_t count, int64_t bound, uint32_t *seed)
{
	for (int64_t index = 0; index < count; index++)
		ids[index] = (int64_t)next(seed) % bound;
}

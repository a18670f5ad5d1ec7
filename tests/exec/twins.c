/* SPDX-License-Identifier: MIT */
/* tests/exec/twins.c - one model as its file says, and as the passes rewrote it */
#include "tests/exec/twins.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exec/weights.h"
#include "graph/rows.h"
#include "tests/exec/engine_fixture.h"
#include "tests/model/onnx_folder.h"

static void *memory_new(uint64_t bytes)
{
	void *memory = NULL;

	if (posix_memalign(&memory, 4096, bytes ? bytes : 1) != 0)
		abort();
	return memset(memory, 0xa5, bytes);
}

static int twin_load(struct twin *twin, const struct onnx_model *model, int64_t rows_max,
		     bool fuses)
{
	struct lowering *lowering = &twin->lowering;
	int64_t capacity[SIGNATURE_SYMBOLS_MAX];
	const struct weights_options options = {.reader = NULL};
	struct weights_arrival arrival;
	struct rows_proof proof = {0};
	struct weights_extent extent = { .bytes = 0 };
	struct run_memory memory = { .tables_offset = 0 };
	int r;

	for (uint32_t symbol = 0; symbol < SIGNATURE_SYMBOLS_MAX; symbol++)
		capacity[symbol] = rows_max;
	lowering->graph = &twin->graph;
	r = graph_init(&twin->graph, "model", model, cpu_device());
	if (r == 0)
		r = rows_prove(&twin->graph, &proof);
	lowering->rows = proof.rows;
	lowering->row_symbol = proof.symbol;
	lowering->request_symbol = -1;
	lowering->followed_symbol = -1;
	if (r == 0 && fuses)
		r = graph_fuse(&twin->graph);
	if (r == 0)
		r = lower(lowering);
	if (r == 0)
		r = weights_place(lowering, false, false, &extent);
	twin->weights = memory_new(extent.bytes);
	if (r == 0)
		r = weights_load(lowering, &options, twin->weights, extent.bytes, &arrival);
	if (r == 0)
		r = plan_init(&twin->plan, lowering, capacity);
	twin->arena = memory_new(twin->plan.arena_bytes);
	memory.whole = twin->weights;
	memory.arena = twin->arena;
	if (r == 0)
		r = run_init(&twin->run, &twin->plan, cpu_device(), &memory);
	return r;
}

void twins_init(struct twins *twins, struct onnx_writer *writer, int64_t rows_max)
{
	int directory_fd = onnx_folder_open(writer);

	*twins = (struct twins){.rows_max = rows_max};
	ck_assert_msg(onnx_open(directory_fd, "model", &twins->model) == 0, "%s", err_message());
	onnx_folder_close(directory_fd);
	ck_assert_msg(twin_load(&twins->plain, twins->model, rows_max, false) == 0, "%s",
		      err_message());
	ck_assert_msg(twin_load(&twins->fused, twins->model, rows_max, true) == 0, "%s",
		      err_message());
}

static void twin_deinit(struct twin *twin)
{
	run_deinit(&twin->run);
	plan_deinit(&twin->plan);
	graph_deinit(&twin->graph);
	free(twin->weights);
	free(twin->arena);
}

void twins_deinit(struct twins *twins)
{
	twin_deinit(&twins->plain);
	twin_deinit(&twins->fused);
	onnx_close(twins->model);
}

uint32_t twin_count(const struct twin *twin, enum kernel kernel)
{
	uint32_t count = 0;

	for (uint32_t step = 0; step < twin->lowering.step_count; step++)
		count += twin->lowering.steps[step]->kernel == kernel;
	return count;
}

static int64_t elements_of(const struct value *value, const int64_t symbols[])
{
	struct poly elements = value_elements(value);

	return poly_value(&elements, symbols);
}

static void *input_new(const struct value *value, const int64_t symbols[], float scale,
		       uint32_t *seed)
{
	int64_t count = elements_of(value, symbols);
	void *data = memory_new((uint64_t)count * dtype_bytes(value->dtype));

	if (value->dtype == DTYPE_F32) {
		fixture_floats(data, count, seed);
		for (int64_t index = 0; index < count; index++)
			((float *)data)[index] *= scale;
	} else if (value->dtype == DTYPE_I64) {
		fixture_ids(data, count, 4, seed);
	} else {
		for (int64_t index = 0; index < count; index++) {
			int64_t id;

			fixture_ids(&id, 1, 4, seed);
			((int32_t *)data)[index] = (int32_t)id;
		}
	}
	return data;
}

static void output_compare(const struct value *value, const void *plain, const void *fused,
			   int64_t count, double error)
{
	const float *expected = plain, *y = fused;

	if (value->dtype != DTYPE_F32) {
		ck_assert_msg(count == 0 || memcmp(plain, fused,
						   (size_t)count * dtype_bytes(value->dtype)) == 0,
			      "'%s' has other bits", value->name);
		return;
	}
	for (int64_t index = 0; index < count; index++) {
		double distance = fabs((double)y[index] - (double)expected[index]);

		if (memcmp(&y[index], &expected[index], sizeof(y[index])) != 0 &&
		    !(isnan(y[index]) && isnan(expected[index])) &&
		    !(error > 0 && distance <= error * (1 + fabs((double)expected[index]))))
			ck_abort_msg("'%s' at %lld: %a, not %a", value->name, (long long)index,
				     (double)y[index], (double)expected[index]);
	}
}

void twins_compare(struct twins *twins, int64_t rows, float scale, double error, uint32_t seed)
{
	const struct graph *graph = &twins->plain.graph;
	void *inputs[SIGNATURE_TENSORS_MAX], *plain[SIGNATURE_TENSORS_MAX];
	void *fused[SIGNATURE_TENSORS_MAX];
	struct row_status *status = calloc((size_t)rows + 1, sizeof(*status));
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];

	ck_assert_int_le(rows, twins->rows_max);
	for (uint32_t symbol = 0; symbol < SIGNATURE_SYMBOLS_MAX; symbol++)
		symbols[symbol] = rows;
	for (uint32_t input = 0; input < graph->input_count; input++)
		inputs[input] = input_new(graph_value(graph, graph->inputs[input]), symbols, scale,
					  &seed);
	for (uint32_t output = 0; output < graph->output_count; output++) {
		const struct value *value = graph_value(graph, graph->outputs[output]);
		uint64_t bytes = (uint64_t)elements_of(value, symbols) * dtype_bytes(value->dtype);

		plain[output] = memory_new(bytes);
		fused[output] = memory_new(bytes);
	}
	run_execute(&twins->plain.run, symbols, (const void *const *)inputs, plain, status);
	run_execute(&twins->fused.run, symbols, (const void *const *)inputs, fused, status);
	for (uint32_t output = 0; output < graph->output_count; output++) {
		const struct value *value = graph_value(graph, graph->outputs[output]);

		output_compare(value, plain[output], fused[output], elements_of(value, symbols),
			       error);
		free(plain[output]);
		free(fused[output]);
	}
	for (uint32_t input = 0; input < graph->input_count; input++)
		free(inputs[input]);
	free(status);
}

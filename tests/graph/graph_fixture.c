/* SPDX-License-Identifier: MIT */
/* tests/graph/graph_fixture.c - the graph, rows and steps of a model that a test writes */
#include "tests/graph/graph_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/rows.h"
#include "tests/model/onnx_folder.h"

bool built_init(struct built *built, struct onnx_writer *writer)
{
	int directory_fd = onnx_folder_open(writer);
	int r;

	*built = (struct built){0};
	r = onnx_open(directory_fd, "model", &built->model);
	onnx_folder_close(directory_fd);
	if (r == 0)
		r = graph_init(&built->graph, "model", built->model, cpu_device());
	if (r == 0)
		r = lowering_init(&built->lowering, &built->graph, &built->proof);
	if (r == 0)
		r = lower(&built->lowering);
	return r == 0;
}

void built_deinit(struct built *built)
{
	graph_deinit(&built->graph);
	onnx_close(built->model);
	*built = (struct built){0};
}

const struct value *built_value(const struct built *built, const char *name)
{
	for (uint32_t index = 0; index < built->graph.value_count; index++) {
		if (strcmp(graph_value(&built->graph, index)->name, name) == 0)
			return graph_value(&built->graph, index);
	}
	fprintf(stderr, "no value is named %s\n", name);
	abort();
}

uint32_t built_count(const struct built *built, enum kernel kernel)
{
	uint32_t count = 0;

	for (uint32_t step = 0; step < built->lowering.step_count; step++)
		count += built->lowering.steps[step]->kernel == kernel;
	return count;
}

void put_i64(struct onnx_writer *writer, const char *name, const char *shape,
	     const int64_t *values, uint64_t count)
{
	onnx_writer_constant(writer, name, DTYPE_I64, shape, values, count * sizeof(int64_t));
}

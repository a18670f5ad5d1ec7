/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/widen.c - operators on types that no kernel computes in
 *
 * f16 and bf16 become f32 before an operator and are rounded after it; i8 and u8 become i32 and
 * wrap. Operators that only move bytes, or have kernels for such types, are not concerned
 * (TYPES_ANY). Constants are widened once, at load.
 */
#include <errno.h>

#include "graph/lower.h"
#include "graph/ops.h"

static bool is_narrow(const struct value *value)
{
	return dtype_wide(value->dtype) != value->dtype;
}

bool node_is_widened(const struct graph *graph, const struct node *node)
{
	if (node->op->types == TYPES_ANY ||
	    (node_has_output(node, 0) && node_output(graph, node, 0)->view_of != GRAPH_NONE))
		return false;
	for (uint32_t input = 0; input < node->input_count; input++) {
		if (node_has_input(node, input) && is_narrow(node_input(graph, node, input)))
			return true;
	}
	return false;
}

/* The constant's numbers in their wide type; GRAPH_NONE where that takes too much memory. */
static int constant_widen(struct graph *graph, uint32_t index, uint32_t *ret_wide)
{
	struct value *value = graph_value(graph, index);
	enum dtype wide = dtype_wide(value->dtype);
	struct cast_args cast = {
		.count = constant_elements(value),
		.from = value->dtype,
		.to = wide,
	};
	uint64_t bytes = (uint64_t)cast.count * dtype_bytes(wide);
	int r;

	*ret_wide = value->widened;
	if (value->widened != GRAPH_NONE || bytes > GRAPH_LOADED_BYTES_MAX - graph->loaded_bytes)
		return 0;
	r = graph_constant_data(graph, value, &cast.x);
	if (r < 0)
		return err_trace(r);
	graph->loaded_bytes += bytes;
	cast.y = graph_allocate(graph, (size_t)cast.count, dtype_bytes(wide));
	if (!cast.y)
		return err_trace(-ENOMEM);
	graph->device->kernels[KERNEL_CAST](&cast);
	r = graph_constant_new(graph, wide, value->rank, value->dims, cast.y, &value->widened);
	if (r < 0)
		return err_trace(r);
	graph_value(graph, value->widened)->name = value->name;
	*ret_wide = value->widened;
	return 0;
}

static int input_widen(struct lowering *lowering, uint32_t index, uint32_t *ret_wide)
{
	struct graph *graph = lowering->graph;
	const struct value *value = graph_value(graph, index);
	int r;

	*ret_wide = index;
	if (!is_narrow(value))
		return 0;
	if (value->kind == VALUE_CONSTANT) {
		r = constant_widen(graph, index, ret_wide);
		if (r < 0 || *ret_wide != GRAPH_NONE)
			return r < 0 ? err_trace(r) : 0;
	}
	r = lower_temporary(lowering, dtype_wide(value->dtype), value->rank, value->dims, ret_wide);
	if (r < 0)
		return err_trace(r);
	return lower_cast_value(lowering, index, *ret_wide);
}

static int output_widen(struct lowering *lowering, uint32_t index, uint32_t *ret_wide)
{
	const struct value *value = graph_value(lowering->graph, index);
	int r;

	*ret_wide = index;
	if (!is_narrow(value))
		return 0;
	r = lower_temporary(lowering, dtype_wide(value->dtype), value->rank, value->dims, ret_wide);
	if (r < 0)
		return err_trace(r);
	if (!lowering->folding)
		lowering->needed[*ret_wide] = lowering->needed[index];
	return 0;
}

int lower_widened(struct lowering *lowering, const struct node *node)
{
	struct node wide = *node;
	int r;

	wide.inputs = graph_allocate(lowering->graph, node->input_count + 1, sizeof(uint32_t));
	wide.outputs = graph_allocate(lowering->graph, node->output_count + 1, sizeof(uint32_t));
	if (!wide.inputs || !wide.outputs)
		return err_trace(-ENOMEM);
	for (uint32_t input = 0; input < node->input_count; input++) {
		wide.inputs[input] = GRAPH_NONE;
		if (!node_has_input(node, input))
			continue;
		r = input_widen(lowering, node->inputs[input], &wide.inputs[input]);
		if (r < 0)
			return err_trace(r);
	}
	for (uint32_t output = 0; output < node->output_count; output++) {
		wide.outputs[output] = GRAPH_NONE;
		if (!node_has_output(node, output))
			continue;
		r = output_widen(lowering, node->outputs[output], &wide.outputs[output]);
		if (r < 0)
			return err_trace(r);
	}
	r = node->op->lower(lowering, &wide);
	for (uint32_t output = 0; r == 0 && output < node->output_count; output++) {
		if (wide.outputs[output] == node->outputs[output] ||
		    (!lowering->folding && !lowering->needed[node->outputs[output]]))
			continue;
		r = lower_cast_value(lowering, wide.outputs[output], node->outputs[output]);
	}
	return r < 0 ? err_trace(r) : 0;
}

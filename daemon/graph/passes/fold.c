/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/fold.c - a node of constants becomes a constant
 *
 * The node is lowered like any other and its steps run at once, with the
 * kernels of the engine's device: there is no second implementation to differ.
 */
#include <errno.h>
#include <string.h>

#include "graph/lower.h"
#include "graph/ops.h"

/* A product of constants this large is left to the run: loading stays quick. */
#define FOLD_PRODUCTS_MAX (1LL << 28)

static bool node_is_constant(const struct graph *graph, const struct node *node)
{
	bool any = false;

	for (uint32_t input = 0; input < node->input_count; input++) {
		if (!node_has_input(node, input))
			continue;
		if (node_input(graph, node, input)->kind != VALUE_CONSTANT)
			return false;
		any = true;
	}
	return any;
}

/* Bytes that folding this node brings into memory. */
static uint64_t fold_bytes(const struct graph *graph, const struct node *node)
{
	uint64_t bytes = 0;

	for (uint32_t input = 0; input < node->input_count; input++) {
		if (node_has_input(node, input) && !node_input(graph, node, input)->data)
			bytes += node_input(graph, node, input)->tensor->bytes;
	}
	for (uint32_t output = 0; output < node->output_count; output++) {
		const struct value *value;

		if (!node_has_output(node, output))
			continue;
		value = node_output(graph, node, output);
		bytes += (uint64_t)constant_elements(value) * dtype_bytes(value->dtype);
	}
	return bytes;
}

/* Does each element of the output take as many multiplications as input 0 is long? */
static bool is_product(const struct graph *graph, const struct node *node)
{
	return (node->op->lower == lower_linear || node->op->lower == lower_matmul_integer) &&
	       node_input(graph, node, 0)->rank > 0;
}

static bool is_too_much(const struct graph *graph, const struct node *node)
{
	const struct value *a = node_input(graph, node, 0);

	if (fold_bytes(graph, node) > GRAPH_LOADED_BYTES_MAX / 4 ||
	    graph->loaded_bytes + fold_bytes(graph, node) > GRAPH_LOADED_BYTES_MAX)
		return true;
	if (!is_product(graph, node))
		return false;
	return constant_elements(node_output(graph, node, 0)) >
	       FOLD_PRODUCTS_MAX / (constant_elements(a) + 1);
}

static uint64_t value_bytes(const struct value *value)
{
	return (uint64_t)constant_elements(value) * dtype_bytes(value->dtype);
}

/* A file may compute with the same constant at each of its nodes: what that costs together is
 * bounded, so that a small file does not keep the loader for hours. */
static int folding_spend(struct graph *graph, const struct node *node)
{
	uint64_t bytes = 0;

	for (uint32_t input = 0; input < node->input_count; input++)
		if (node_has_input(node, input))
			bytes += value_bytes(node_input(graph, node, input));
	for (uint32_t output = 0; output < node->output_count; output++)
		if (node_has_output(node, output))
			bytes += value_bytes(node_output(graph, node, output));
	if (is_product(graph, node)) {
		const struct value *a = node_input(graph, node, 0);
		uint32_t inner = node->trans_a ? 0 : a->rank - 1;

		bytes += (uint64_t)constant_elements(node_output(graph, node, 0)) *
			 (uint64_t)a->dims[inner].constant;
	}
	if (bytes > GRAPH_FOLDING_BYTES_MAX - graph->folding_bytes)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "computing with constants at load takes more than %llu bytes of "
				   "reading, writing and products; fold them when exporting",
				   GRAPH_FOLDING_BYTES_MAX);
	graph->folding_bytes += bytes;
	return 0;
}

/* Where a value's bytes are while its node is computed. */
static int value_memory(struct graph *graph, struct value *value, const void **ret_data)
{
	if (value->kind == VALUE_CONSTANT)
		return graph_constant_data(graph, value, ret_data);
	if (!value->data) {
		uint64_t elements = (uint64_t)constant_elements(value);

		graph->loaded_bytes += elements * dtype_bytes(value->dtype);
		value->data = graph_allocate(graph, elements, dtype_bytes(value->dtype));
		if (!value->data)
			return err_trace(-ENOMEM);
	}
	*ret_data = value->data;
	return 0;
}

static int step_run(struct lowering *lowering, struct step *step)
{
	struct graph *graph = lowering->graph;

	for (const struct operand *operand = step->operands; operand; operand = operand->next) {
		uint32_t index = operand->kind == OPERAND_WEIGHT
					 ? lowering->weights[operand->index].value
					 : operand->index;
		const void *data;
		int r;

		r = value_memory(graph, graph_value(graph, index), &data);
		if (r < 0)
			return err_trace(r);
		data = (const char *)data + poly_value(&operand->offset_bytes, NULL);
		memcpy((char *)step->args + operand->field, &data, sizeof(data));
	}
	graph->device->kernels[step->kernel](step->args);
	return 0;
}

static int fold_run(struct graph *graph, struct node *node)
{
	struct lowering lowering = {.graph = graph, .row_symbol = -1,
				   .request_symbol = -1, .followed_symbol = -1, .folding = true};
	const void *data;
	int r;

	r = lower_node(&lowering, node);
	for (uint32_t step = 0; r == 0 && step < lowering.step_count; step++)
		r = step_run(&lowering, lowering.steps[step]);
	for (uint32_t weight = 0; weight < lowering.weight_count; weight++)
		graph_value(graph, lowering.weights[weight].value)->first_weight = GRAPH_NONE;
	if (r < 0)
		return err_trace(r);
	for (uint32_t output = 0; output < node->output_count; output++) {
		if (!node_has_output(node, output))
			continue;
		r = value_memory(graph, node_output(graph, node, output), &data);
		if (r < 0)
			return err_trace(r);
		node_output(graph, node, output)->kind = VALUE_CONSTANT;
	}
	return 0;
}

int pass_fold(struct graph *graph, struct node *node)
{
	struct value *output;
	int r;

	if (!node_has_output(node, 0))
		return 0;
	output = node_output(graph, node, 0);
	if (output->kind == VALUE_CONSTANT || !node_is_constant(graph, node))
		return 0;
	if (output->view_of != GRAPH_NONE) {
		const struct value *root = graph_value(graph, graph_root(graph, output->view_of));

		if (root->kind != VALUE_CONSTANT)
			return 0;
		output->kind = VALUE_CONSTANT;
		output->tensor = root->tensor;
		output->data = root->data;
		return 0;
	}
	if (is_too_much(graph, node))
		return 0;
	r = folding_spend(graph, node);
	if (r < 0)
		return err_trace(r);
	r = fold_run(graph, node);
	if (r < 0)
		return err_trace(r);
	return 0;
}

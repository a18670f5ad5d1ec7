/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/fuse_gemm.c - a product with a constant matrix takes its bias and activation
 * in
 *
 *     MatMul(x, W) or Gemm(x, W [, C])  ->  Add(bias)  ->  Relu, Sigmoid, Gelu, ...
 *
 * becomes one KERNEL_GEMM, when nobody else reads what is in between.
 */
#include <errno.h>

#include "graph/graph.h"
#include "graph/ops.h"
#include "graph/passes/match.h"
#include "graph/readers.h"
#include "kernels/binary.h"

/* One value a column, or one for all, whatever the row. */
static bool is_bias(const struct value *value, int64_t columns)
{
	int64_t elements;

	if (value->kind != VALUE_CONSTANT || value->dtype != DTYPE_F32)
		return false;
	elements = constant_elements(value);
	return elements == 1 || (elements == columns && value->rank > 0 &&
				 dim_is(value->dims[value->rank - 1], columns));
}

static bool is_gemm(const struct graph *graph, const struct node *node)
{
	const struct value *b;

	if (node->dead || node->op->lower != lower_linear || !node_has_output(node, 0))
		return false;
	b = node_input(graph, node, 1);
	return b->kind == VALUE_CONSTANT && b->dtype == DTYPE_F32 && b->rank == 2 &&
	       constant_elements(b) > 0 &&
	       node_output(graph, node, 0)->kind == VALUE_COMPUTED;
}

/* The only reader of the node's output, NULL when there are others. */
static struct node *only_reader(const struct graph *graph, const struct readers *readers,
				const struct node *node)
{
	struct node *reader = readers_only(graph, readers, node->outputs[0]);

	if (!reader ||
	    !value_same_shape(node_output(graph, reader, 0), node_output(graph, node, 0)))
		return NULL;
	return reader;
}

static void fuse_bias(struct graph *graph, const struct readers *readers, struct node *node,
		      int64_t columns)
{
	struct node *reader = only_reader(graph, readers, node);
	uint32_t other;

	if (!reader || reader->op->infer != infer_binary || reader->op->code != BINARY_ADD)
		return;
	other = reader->inputs[reader->inputs[0] == node->outputs[0] ? 1 : 0];
	if (!is_bias(graph_value(graph, other), columns))
		return;
	node->bias = other;
	node->beta = 1.0f;
	node_take_output(graph, node, reader);
}

int pass_fuse_gemm(struct graph *graph)
{
	struct readers readers;
	int r;

	r = readers_init(graph, &readers);
	if (r < 0)
		return err_trace(r);
	for (uint32_t index = 0; index < graph->node_count; index++) {
		struct node *node = &graph->nodes[index];
		const struct value *b;
		int64_t columns;

		if (!is_gemm(graph, node))
			continue;
		b = node_input(graph, node, 1);
		columns = b->dims[node->trans_b ? 0 : 1].constant;
		node->packed = true;
		if (!node_has_input(node, 2))
			fuse_bias(graph, &readers, node, columns);
		else if (is_bias(node_input(graph, node, 2), columns))
			node->bias = node->inputs[2];
		else
			continue;
		match_take_activation(graph, &readers, node);
	}
	return 0;
}

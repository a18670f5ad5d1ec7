/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/batchnorm.c - a product with a constant matrix takes a BatchNormalization in
 *
 *     (x W + b) * scale + shift  =  x (W * scale) + (b * scale + shift)       by columns of W
 *     (x * scale + shift) W + b  =  x (scale * W) + (b + shift W)             by rows of W
 *
 * of matrices, when nobody else reads what is in between. The constants are computed at load in
 * double and rounded once: the sums run in the same order over other weights, within the error of
 * a product, not bit for bit. An activation that follows is the product's afterwards.
 */
#include <errno.h>

#include "graph/graph.h"
#include "graph/ops.h"
#include "graph/passes/match.h"

static bool is_product(const struct graph *graph, const struct node *node)
{
	return !node->dead && node->op->lower == lower_linear && node->packed && !node->trans_a &&
	       node_output(graph, node, 0)->rank == 2 &&
	       !node_has_input(node, LINEAR_MULTIPLIER) && !node_has_input(node, LINEAR_RESIDUAL) &&
	       !(node_has_input(node, LINEAR_ADDEND) && node->bias != node->inputs[LINEAR_ADDEND]);
}

static bool is_norm(const struct graph *graph, const struct node *node)
{
	return node && node->op->lower == lower_batchnorm &&
	       node_output(graph, node, 0)->kind == VALUE_COMPUTED;
}

/* A product's constants with scale and shift in them. */
struct folded {
	float *w; /* as the matrix lies in the file */
	float *bias;
};

static void columns_fold(const struct graph *graph, const struct node *node,
			 const struct affine *affine, bool is_before, struct folded *folded)
{
	const struct value *b = node_input(graph, node, LINEAR_RIGHT);
	const struct value *bias = node->bias != GRAPH_NONE ? graph_value(graph, node->bias) : NULL;
	const float *scale = graph_value(graph, affine->scale)->data;
	const float *shift = graph_value(graph, affine->shift)->data;
	const int64_t k = b->dims[node->trans_b ? 1 : 0].constant;
	const int64_t n = b->dims[node->trans_b ? 0 : 1].constant;
	const int64_t row_stride = node->trans_b ? 1 : n;
	const int64_t column_stride = node->trans_b ? k : 1;
	const float *w = b->data;

	for (int64_t column = 0; column < n; column++) {
		double sum = 0;

		if (bias)
			sum = (double)node->beta * ((const float *)bias->data)
							[constant_elements(bias) == 1 ? 0 : column];
		for (int64_t row = 0; row < k; row++) {
			int64_t at = row * row_stride + column * column_stride;
			double weight = (double)node->alpha * w[at];

			folded->w[at] = (float)(weight * scale[is_before ? row : column]);
			sum += is_before ? weight * shift[row] : 0;
		}
		if (!is_before)
			sum = sum * scale[column] + shift[column];
		folded->bias[column] = (float)sum;
	}
}

/* The product has constants of its own afterwards. */
static int product_fold(struct graph *graph, struct node *node, const struct node *norm,
			bool is_before)
{
	struct value *b = node_input(graph, node, LINEAR_RIGHT);
	const struct dim columns = b->dims[node->trans_b ? 0 : 1];
	const size_t elements = (size_t)constant_elements(b);
	struct folded folded = {
		.w = graph_allocate(graph, elements, sizeof(float)),
		.bias = graph_allocate(graph, (size_t)columns.constant, sizeof(float)),
	};
	const void *unused;
	uint32_t bias;
	int r;

	if (!folded.w || !folded.bias)
		return err_trace(-ENOMEM);
	r = graph_constant_data(graph, b, &unused);
	if (r < 0)
		return err_trace(r);
	if (node->bias != GRAPH_NONE) {
		r = graph_constant_data(graph, graph_value(graph, node->bias), &unused);
		if (r < 0)
			return err_trace(r);
	}
	columns_fold(graph, node, batchnorm_affine(norm), is_before, &folded);
	graph->loaded_bytes += elements * sizeof(float);
	r = graph_constant_new(graph, DTYPE_F32, 2, b->dims, folded.w,
			       &node->inputs[LINEAR_RIGHT]);
	if (r < 0)
		return err_trace(r);
	r = graph_constant_new(graph, DTYPE_F32, 1, &columns, folded.bias, &bias);
	if (r < 0)
		return err_trace(r);
	if (node_has_input(node, LINEAR_ADDEND))
		node->inputs[LINEAR_ADDEND] = bias;
	node->bias = bias;
	node->alpha = node->beta = 1.0f;
	return 0;
}

/* Its constants are read, and made once more. */
static bool has_room(const struct graph *graph, const struct node *node)
{
	const struct value *b = node_input(graph, node, LINEAR_RIGHT);

	return graph_has_room(graph, 2 * (uint64_t)constant_elements(b) * sizeof(float));
}

static int node_match(struct graph *graph, const struct readers *readers, struct node *node)
{
	struct node *norm = value_producer(graph, node->inputs[LINEAR_LEFT]);
	int r;

	if (is_norm(graph, norm) && has_room(graph, node) &&
	    readers_only(graph, readers, node->inputs[LINEAR_LEFT]) == node) {
		r = product_fold(graph, node, norm, true);
		if (r < 0)
			return err_trace(r);
		node->inputs[LINEAR_LEFT] = norm->inputs[0];
		node_absorb(node, norm);
	}
	norm = readers_only(graph, readers, node->outputs[0]);
	if (!is_norm(graph, norm) || node->activation != ACTIVATION_NONE || !has_room(graph, node))
		return 0;
	r = product_fold(graph, node, norm, false);
	if (r < 0)
		return err_trace(r);
	node_take_output(graph, node, norm);
	match_take_activation(graph, readers, node);
	return 0;
}

int pass_batchnorm(struct graph *graph)
{
	return readers_each(graph, is_product, node_match);
}

/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/operators/pair.c - a layer over a query and its keys: what the query adds, then the
 * keys
 */
#include <errno.h>

#include "graph/lower.h"
#include "graph/operators/pair.h"
#include "graph/ops.h"

static struct weight matrix_of(const struct graph *graph, const struct node *node,
			       enum pair_input input)
{
	const struct value *value = node_input(graph, node, input);

	return (struct weight){
		.layout = WEIGHT_GEMM,
		.value = node->inputs[input],
		.k = value->dims[0].constant,
		.n = value->dims[1].constant,
		.row_stride = value->dims[1].constant,
		.column_stride = 1,
		.scale = 1.0f,
	};
}

/* What is alike for all keys of a row: query * its weight + bias. */
static int lower_offset(struct lowering *lowering, const struct node *node, uint32_t *ret_offset)
{
	const struct graph *graph = lowering->graph;
	const struct value *query = node_input(graph, node, PAIR_QUERY);
	struct weight weight = matrix_of(graph, node, PAIR_QUERY_WEIGHT);
	struct weight bias = {.layout = WEIGHT_BIAS, .value = node->bias, .n = weight.n,
			      .scale = node->beta};
	struct step *step = step_new(lowering, KERNEL_GEMM);
	struct dim dims[KERNEL_RANK_MAX];
	int r;

	if (!step)
		return err_trace(-ENOMEM);
	step->args->gemm.k = weight.k;
	step->args->gemm.n = weight.n;
	r = step_weight(lowering, step, FIELD(gemm_args, weight), weight);
	if (r < 0)
		return err_trace(r);
	if (node->bias != GRAPH_NONE) {
		r = step_weight(lowering, step, FIELD(gemm_args, bias), bias);
		if (r < 0)
			return err_trace(r);
	}
	for (uint32_t axis = 0; axis < query->rank; axis++)
		dims[axis] = query->dims[axis];
	dims[query->rank - 1] = dim_constant(weight.n);
	r = lower_temporary(lowering, DTYPE_F32, query->rank, dims, ret_offset);
	if (r < 0)
		return err_trace(r);
	r = step_read_rows(lowering, step, FIELD(gemm_args, x), FIELD(gemm_args, x_stride),
			   node->inputs[PAIR_QUERY], weight.k);
	if (r < 0)
		return err_trace(r);
	r = step_write_rows(lowering, step, FIELD(gemm_args, y), FIELD(gemm_args, y_stride),
			    *ret_offset, weight.n);
	if (r < 0)
		return err_trace(r);
	return step_size(lowering, step, FIELD(gemm_args, rows),
			 value_span(query, 0, query->rank - 1));
}

static int pair_weights(struct lowering *lowering, const struct node *node, struct step *step)
{
	const struct graph *graph = lowering->graph;
	const struct weight weight = matrix_of(graph, node, PAIR_KEYS_WEIGHT);
	const int64_t panels = (weight.n + GEMM_PANEL_COLUMNS - 1) / GEMM_PANEL_COLUMNS;
	const struct dim dims[2] = {dim_constant(weight.k),
				    dim_constant(panels * GEMM_PANEL_COLUMNS)};
	uint32_t scratch;
	int r;

	step->args->pair.k = weight.k;
	step->args->pair.n = weight.n;
	step->args->pair.activation = node->activation;
	step->args->pair.low = node->low;
	step->args->pair.high = node->high;
	r = step_weight(lowering, step, FIELD(pair_args, weight), weight);
	if (r < 0)
		return err_trace(r);
	r = step_weight(lowering, step, FIELD(pair_args, product),
			matrix_of(graph, node, PAIR_PRODUCT_WEIGHT));
	if (r < 0)
		return err_trace(r);
	r = lower_temporary(lowering, DTYPE_F32, 2, dims, &scratch);
	if (r < 0)
		return err_trace(r);
	return step_write(lowering, step, FIELD(pair_args, scratch), scratch, poly_constant(0));
}

int lower_pair(struct lowering *lowering, const struct node *node)
{
	const struct value *keys = node_input(lowering->graph, node, PAIR_KEYS);
	struct step *step;
	uint32_t offset;
	int r;

	r = lower_offset(lowering, node, &offset);
	if (r < 0)
		return err_trace(r);
	step = step_new(lowering, KERNEL_PAIR);
	if (!step)
		return err_trace(-ENOMEM);
	r = pair_weights(lowering, node, step);
	if (r < 0)
		return err_trace(r);
	r = step_read_rows(lowering, step, FIELD(pair_args, keys), FIELD(pair_args, keys_stride),
			   node->inputs[PAIR_KEYS], step->args->pair.k);
	if (r < 0)
		return err_trace(r);
	r = step_read_rows(lowering, step, FIELD(pair_args, query), FIELD(pair_args, query_stride),
			   node->inputs[PAIR_QUERY], step->args->pair.k);
	if (r < 0)
		return err_trace(r);
	r = step_read(lowering, step, FIELD(pair_args, offset), offset, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	r = step_write_rows(lowering, step, FIELD(pair_args, y), FIELD(pair_args, y_stride),
			    node->outputs[0], step->args->pair.n);
	if (r < 0)
		return err_trace(r);
	r = step_size(lowering, step, FIELD(pair_args, rows),
		      value_span(keys, 0, keys->rank - 2));
	if (r < 0)
		return err_trace(r);
	return step_size(lowering, step, FIELD(pair_args, count),
			 poly_dim(keys->dims[keys->rank - 2]));
}

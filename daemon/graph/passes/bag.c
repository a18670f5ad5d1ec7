/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/bag.c - rows of a table, and what sums them up, become a bag
 *
 *     Gather(table, ids)  ->  [Mul(weights)]  ->  ReduceSum | ReduceMean | ReduceMax over the ids
 *
 * where the table is a constant matrix and the ids are of the run. A Gather that nothing pools
 * becomes a bag that copies, so that all tables of a model can be read in one pass.
 */
#include <errno.h>

#include "graph/bag.h"
#include "graph/ops.h"
#include "graph/readers.h"
#include "kernels/binary.h"
#include "kernels/reduce.h"

static bool is_rows(const struct graph *graph, const struct node *node)
{
	return !node->dead && node->op->infer == infer_gather && node->axis == 0 &&
	       !node->picks_one && node_has_output(node, 0) &&
	       node_output(graph, node, 0)->kind == VALUE_COMPUTED &&
	       bag_fits(graph, node->inputs[0], node->inputs[1]);
}

/* One a row of the table: ids' shape and a last dimension of 1. */
static bool is_weights(const struct value *value, const struct value *ids)
{
	bool fits = value->dtype == DTYPE_F32 && value->kind != VALUE_CONSTANT &&
		    value->rank == ids->rank + 1 && dim_is(value->dims[ids->rank], 1);

	for (uint32_t axis = 0; fits && axis < ids->rank; axis++)
		fits = dim_equal(value->dims[axis], ids->dims[axis]);
	return fits;
}

static bool is_mul(const struct node *node)
{
	return node->op->infer == infer_binary && node->op->code == BINARY_MUL;
}

/* Does the node pool rows [rows, hot, dim] over hot? */
static bool is_pooling(const struct node *node, const struct value *ids, enum embed *ret_mode)
{
	static const enum embed modes[] = {
		[REDUCE_SUM] = EMBED_SUM, [REDUCE_MEAN] = EMBED_MEAN, [REDUCE_MAX] = EMBED_MAX};
	size_t code = (size_t)node->op->code;

	if (node->op->lower != lower_reduce || ids->rank != 2 || node->axes != 1U << 1 ||
	    code >= sizeof(modes) / sizeof(modes[0]) || modes[code] == EMBED_COPY)
		return false;
	*ret_mode = modes[code];
	return true;
}

static int bag_make(struct graph *graph, const struct readers *readers, struct node *gather)
{
	const struct value *ids = node_input(graph, gather, 1);
	struct bag bag = {.mode = EMBED_COPY, .padding_idx = -1};
	struct node *reader = readers_only(graph, readers, gather->outputs[0]);
	struct node *weighted = NULL;
	uint32_t table = gather->inputs[0];
	uint32_t ids_index = gather->inputs[1];
	uint32_t weights = GRAPH_NONE;
	int r;

	if (reader && is_mul(reader)) {
		weights = reader->inputs[reader->inputs[0] == gather->outputs[0] ? 1 : 0];
		if (is_weights(graph_value(graph, weights), ids)) {
			weighted = reader;
			reader = readers_only(graph, readers, reader->outputs[0]);
		} else {
			weights = GRAPH_NONE;
		}
	}
	if (!reader || !is_pooling(reader, ids, &bag.mode) ||
	    (weighted && bag.mode == EMBED_MEAN)) {
		bag.mode = EMBED_COPY;
		return bag_node(graph, gather, &bag, table, ids_index, GRAPH_NONE, GRAPH_NONE);
	}
	r = bag_node(graph, reader, &bag, table, ids_index, GRAPH_NONE, weights);
	if (r < 0)
		return err_trace(r);
	if (weighted)
		node_absorb(reader, weighted);
	node_absorb(reader, gather);
	return 0;
}

int pass_bag(struct graph *graph)
{
	return readers_each(graph, is_rows, bag_make);
}

/* SPDX-License-Identifier: MIT */
/* daemon/graph/lower.c - from nodes to steps: kernel calls on values, sizes still symbolic */
#include "graph/lower.h"

#include <errno.h>
#include <string.h>

#include "graph/bag.h"
#include "graph/join.h"
#include "graph/ops.h"

/* The symbol behind all others, where bags with offsets have rows of their own. */
static int32_t followed_symbol(const struct graph *graph, const struct rows_proof *proof)
{
	int32_t symbol = (int32_t)graph->symbol_count + (proof->request_symbol >= 0);

	if (proof->symbol < 0 || symbol == SIGNATURE_SYMBOLS_MAX)
		return -1;
	for (uint32_t input = 0; input < graph->input_count; input++)
		if (proof->offsets_into[input] >= 0)
			return symbol;
	return -1;
}

int lowering_init(struct lowering *lowering, struct graph *graph, struct rows_proof *ret_proof)
{
	int r;

	r = rows_prove(graph, ret_proof);
	if (r < 0)
		return err_trace(r);
	r = join_requests(graph, ret_proof);
	if (r < 0)
		return err_trace(r);
	r = graph_fuse(graph);
	if (r < 0)
		return err_trace(r);
	ret_proof->followed_symbol = followed_symbol(graph, ret_proof);
	*lowering = (struct lowering){
		.graph = graph,
		.row_symbol = ret_proof->symbol,
		.request_symbol = ret_proof->request_symbol,
		.followed_symbol = ret_proof->followed_symbol,
		.rows = ret_proof->rows,
	};
	return 0;
}

/* Room in the per-value arrays for every value there is. A node that is folded
 * needs none: it would cost as much memory as there are values, for each node. */
static int values_grow(struct lowering *lowering)
{
	uint32_t count = lowering->graph->value_count;
	uint8_t *needed;
	int32_t *output_of;

	if (lowering->folding || count <= lowering->value_capacity)
		return 0;
	count *= 2;
	needed = graph_allocate(lowering->graph, count, sizeof(*needed));
	output_of = graph_allocate(lowering->graph, count, sizeof(*output_of));
	if (!needed || !output_of)
		return err_trace(-ENOMEM);
	memset(output_of, 0xff, count * sizeof(*output_of));
	if (lowering->value_capacity > 0) {
		memcpy(needed, lowering->needed, lowering->value_capacity * sizeof(*needed));
		memcpy(output_of, lowering->output_of,
		       lowering->value_capacity * sizeof(*output_of));
	}
	lowering->needed = needed;
	lowering->output_of = output_of;
	lowering->value_capacity = count;
	return 0;
}

int value_need(struct lowering *lowering, uint32_t value)
{
	int r;

	r = values_grow(lowering);
	if (r < 0)
		return err_trace(r);
	lowering->needed[graph_root(lowering->graph, value)] = 1;
	return 0;
}

int lower_temporary(struct lowering *lowering, enum dtype dtype, uint32_t rank,
		    const struct dim dims[], uint32_t *ret_value)
{
	struct value *value = graph_value_new(lowering->graph, "", ret_value);

	if (!value)
		return err_trace(-ENOMEM);
	value->kind = VALUE_COMPUTED;
	value->dtype = dtype;
	value->rank = rank;
	for (uint32_t axis = 0; axis < rank; axis++)
		value->dims[axis] = dims[axis];
	return values_grow(lowering);
}

/* Integers that a run's sizes give: no operator runs for them. */
static int lower_known(struct lowering *lowering, uint32_t index)
{
	const struct value *value = graph_value(lowering->graph, index);
	struct step *step = step_new(lowering, KERNEL_STORE);
	int r;

	r = step_write(lowering, step, FIELD(store_args, y), index, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	step->args->store.count = value->known_count;
	step->args->store.dtype = value->dtype;
	for (uint32_t element = 0; element < value->known_count; element++) {
		r = step_size(lowering, step, FIELD_AT(store_args, values, element),
			      poly_dim(value->known[element]));
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

static bool node_is_needed(const struct lowering *lowering, const struct node *node)
{
	for (uint32_t output = 0; output < node->output_count; output++) {
		if (node_has_output(node, output) && lowering->needed[node->outputs[output]])
			return true;
	}
	return false;
}

static void steps_reverse(struct lowering *lowering, uint32_t first)
{
	for (uint32_t last = lowering->step_count; first + 1 < last; first++) {
		struct step *step = lowering->steps[--last];

		lowering->steps[last] = lowering->steps[first];
		lowering->steps[first] = step;
	}
}

int lower_node(struct lowering *lowering, const struct node *node)
{
	int r;

	r = values_grow(lowering);
	if (r < 0)
		return err_trace(r);
	lowering->node = node;
	if (node_has_output(node, 0) && node_output(lowering->graph, node, 0)->known)
		r = lower_known(lowering, node->outputs[0]);
	else if (node_is_widened(lowering->graph, node))
		r = lower_widened(lowering, node);
	else
		r = node->op->lower(lowering, node);
	if (r < 0)
		return err_trace(r);
	return 0;
}

/* A graph output is computed in its binding; one that is an input, a constant
 * or another output's bytes is copied there. */
static int lower_output(struct lowering *lowering, uint32_t output)
{
	struct graph *graph = lowering->graph;
	uint32_t index = graph->outputs[output];
	uint32_t root = graph_root(graph, index);
	const struct value *value = graph_value(graph, root);
	struct walk walk = {.rank = 1, .set_count = 2};
	uint32_t copy;
	int r;

	r = values_grow(lowering);
	if (r < 0)
		return err_trace(r);
	if (value->kind == VALUE_COMPUTED && lowering->output_of[root] < 0) {
		lowering->output_of[root] = (int32_t)output;
		lowering->needed[root] = 1;
		return 0;
	}
	value = graph_value(graph, index);
	r = lower_temporary(lowering, value->dtype, value->rank, value->dims, &copy);
	if (r < 0)
		return err_trace(r);
	lowering->output_of[copy] = (int32_t)output;
	walk.dims[0] = value_elements(value);
	walk.strides[0][0] = walk.strides[1][0] = poly_constant(1);
	return lower_copy(lowering, index, poly_constant(0), copy, poly_constant(0), &walk);
}

int lower(struct lowering *lowering)
{
	struct graph *graph = lowering->graph;
	int r;

	for (uint32_t output = 0; output < graph->output_count; output++) {
		r = lower_output(lowering, output);
		if (r < 0)
			return err_trace(r);
	}
	for (uint32_t index = graph->node_count; index-- > 0;) {
		const struct node *node = &graph->nodes[index];
		uint32_t first = lowering->step_count;

		if (node->dead || !node_is_needed(lowering, node))
			continue;
		r = lower_node(lowering, node);
		if (r < 0)
			return err_trace(r);
		steps_reverse(lowering, first);
	}
	steps_reverse(lowering, 0);
	r = merge_embed(lowering);
	if (r < 0)
		return err_trace(r);
	return 0;
}

enum place_kind lower_place(const struct lowering *lowering, uint32_t value, uint32_t *ret_index)
{
	const struct value *source = graph_value(lowering->graph, value);

	*ret_index = 0;
	if (source->kind == VALUE_INPUT) {
		*ret_index = source->input_index;
		return PLACE_INPUT;
	}
	if (lowering->output_of[value] >= 0) {
		*ret_index = (uint32_t)lowering->output_of[value];
		return PLACE_OUTPUT;
	}
	return PLACE_ARENA;
}

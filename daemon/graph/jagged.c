/* SPDX-License-Identifier: MIT */
/* daemon/graph/jagged.c - inputs of values and offsets: what counts rows, and what their values */
#include "graph/jagged.h"

#include <errno.h>
#include <string.h>

#include "graph/bag.h"
#include "graph/ids.h"

/* --- bags ------------------------------------------------------------------------------------- */

static bool has_offsets(const struct node *node)
{
	return !node->dead && node_bag(node) && node_has_input(node, BAG_OFFSETS);
}

uint32_t jagged_offsets_input(const struct graph *graph, const struct node *bag)
{
	struct ids_source offsets = ids_find(graph, bag->inputs[BAG_OFFSETS]);
	const struct value *source = graph_value(graph, graph_root(graph, offsets.value));

	if (source->kind != VALUE_INPUT || source->rank != 1 || !poly_is(&offsets.offset, 0) ||
	    !poly_is(&offsets.stride, 1))
		return GRAPH_NONE;
	return source->input_index;
}

static void bags_find(const struct graph *graph, struct jagged *jagged)
{
	for (uint32_t input = 0; input < SIGNATURE_TENSORS_MAX; input++)
		jagged->offsets_into[input] = -1;
	for (uint32_t index = 0; index < graph->node_count; index++) {
		const struct node *node = &graph->nodes[index];
		uint32_t input;
		struct dim count;

		if (!has_offsets(node))
			continue;
		count = node_input(graph, node, BAG_IDS)->dims[0];
		if (count.symbol < 0)
			continue;
		jagged->counts_values[count.symbol] = true;
		input = jagged_offsets_input(graph, node);
		if (input != GRAPH_NONE)
			jagged->offsets_into[input] = count.symbol;
	}
}

/* --- rows ------------------------------------------------------------------------------------- */

/* Does the size count offsets of which the last one ends the last bag? */
static bool counts_bounds(const struct graph *graph, int32_t symbol)
{
	for (uint32_t index = 0; index < graph->node_count; index++) {
		const struct node *node = &graph->nodes[index];
		uint32_t input;

		if (!has_offsets(node) || !node_bag(node)->offsets_beyond)
			continue;
		input = jagged_offsets_input(graph, node);
		if (input != GRAPH_NONE &&
		    dim_equal(graph_value(graph, graph->inputs[input])->dims[0],
			      dim_symbol((uint32_t)symbol)))
			return true;
	}
	return false;
}

static void dims_raise(struct dim dims[], uint32_t count, int32_t symbol)
{
	for (uint32_t index = 0; index < count; index++) {
		if (dims[index].symbol == symbol)
			dims[index].constant += dims[index].factor;
	}
}

/* What was the size is the size + 1 everywhere. */
static int symbol_raise(struct graph *graph, int32_t symbol)
{
	for (uint32_t index = 0; index < graph->value_count; index++) {
		struct value *value = graph_value(graph, index);
		struct dim *known;

		dims_raise(value->dims, value->rank, symbol);
		if (value->known_count == 0)
			continue;
		/* Several values can have one list. */
		known = graph_allocate(graph, value->known_count, sizeof(*known));
		if (!known)
			return err_trace(-ENOMEM);
		memcpy(known, value->known, value->known_count * sizeof(*known));
		dims_raise(known, value->known_count, symbol);
		value->known = known;
	}
	for (uint32_t index = 0; index < graph->node_count; index++)
		dims_raise(graph->nodes[index].starts, KERNEL_RANK_MAX, symbol);
	dims_raise(graph->constraints, graph->constraint_count, symbol);
	graph->symbols[symbol] = "rows";
	return 0;
}

int jagged_find(struct graph *graph, struct jagged *ret_jagged)
{
	int r;

	*ret_jagged = (struct jagged){.row_symbol = graph->symbol_count == 1 ? 0 : -1};
	bags_find(graph, ret_jagged);
	for (uint32_t output = 0; ret_jagged->row_symbol < 0 && output < graph->output_count;
	     output++) {
		const struct value *value = graph_value(graph, graph->outputs[output]);
		struct dim rows = value->dims[0];

		if (value->rank == 0 || rows.symbol < 0 || rows.factor != 1)
			continue;
		if (rows.constant == -1 && counts_bounds(graph, rows.symbol)) {
			r = symbol_raise(graph, rows.symbol);
			if (r < 0)
				return err_trace(r);
			rows.constant = 0;
		}
		if (rows.constant == 0)
			ret_jagged->row_symbol = rows.symbol;
	}
	if (ret_jagged->row_symbol >= 0)
		ret_jagged->counts_values[ret_jagged->row_symbol] = false;
	return 0;
}

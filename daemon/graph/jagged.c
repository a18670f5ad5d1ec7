/* SPDX-License-Identifier: MIT */
/* daemon/graph/jagged.c - inputs of values and offsets: what counts rows, and what their values */
#include "graph/jagged.h"

#include <errno.h>
#include <string.h>

#include "graph/bag.h"
#include "graph/lower.h"
#include "graph/operators/ids.h"

/* --- bags ------------------------------------------------------------------------------------- */

static bool has_offsets(const struct node *node)
{
	/* Of requests that are joined, only the last one's last offset would be asked for. */
	return !node->dead && node_bag(node) && !node_bag(node)->offsets_whole &&
	       node_has_input(node, BAG_OFFSETS);
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

/* A free size, which stands for another one and some more. */
struct substitute {
	int32_t from;
	int32_t to; /* itself: nothing but the rest changes */
	int64_t more;
};

static void dims_replace(struct dim dims[], uint32_t count, const struct substitute *substitute)
{
	for (uint32_t index = 0; index < count; index++) {
		struct dim *dim = &dims[index];

		if (dim->symbol == substitute->from) {
			dim->constant += dim->factor * substitute->more;
			dim->symbol = substitute->to;
		}
		/* Those behind one that is gone move up. */
		if (substitute->to != substitute->from && dim->symbol > substitute->from)
			dim->symbol--;
	}
}

static int symbol_replace(struct graph *graph, const struct substitute *substitute)
{
	for (uint32_t index = 0; index < graph->value_count; index++) {
		struct value *value = graph_value(graph, index);
		struct dim *known;

		dims_replace(value->dims, value->rank, substitute);
		if (value->known_count == 0)
			continue;
		/* Several values can have one list. */
		known = graph_allocate(graph, value->known_count, sizeof(*known));
		if (!known)
			return err_trace(-ENOMEM);
		memcpy(known, value->known, value->known_count * sizeof(*known));
		dims_replace(known, value->known_count, substitute);
		value->known = known;
	}
	for (uint32_t index = 0; index < graph->node_count; index++)
		dims_replace(graph->nodes[index].starts, KERNEL_RANK_MAX, substitute);
	dims_replace(graph->constraints, graph->constraint_count, substitute);
	if (substitute->to == substitute->from)
		return 0;
	graph->symbol_count--;
	for (uint32_t symbol = (uint32_t)substitute->from; symbol < graph->symbol_count; symbol++)
		graph->symbols[symbol] = graph->symbols[symbol + 1];
	return 0;
}

/* The count of rows that a size of one more than rows gives. */
static bool is_within_bounds(const struct graph *graph, struct dim dim)
{
	return dim.symbol >= 0 && dim.factor == 1 && dim.constant == -1 &&
	       counts_bounds(graph, dim.symbol);
}

int jagged_unite(struct graph *graph, struct dim a, struct dim b, struct value *shape,
		 bool *ret_equal)
{
	struct substitute substitute;
	int r;

	*ret_equal = dim_equal(a, b);
	if (*ret_equal || a.symbol < 0 || b.symbol < 0 || a.symbol == b.symbol)
		return 0;
	if (!is_within_bounds(graph, a)) {
		struct dim swapped = a;

		a = b;
		b = swapped;
	}
	if (!is_within_bounds(graph, a) || b.factor != 1 ||
	    (b.constant != 0 && !is_within_bounds(graph, b)))
		return 0;
	substitute = (struct substitute){
		.from = a.symbol,
		.to = b.symbol,
		.more = b.constant - a.constant,
	};
	r = symbol_replace(graph, &substitute);
	if (r < 0)
		return err_trace(r);
	dims_replace(shape->dims, shape->rank, &substitute);
	*ret_equal = true;
	return 0;
}

int jagged_unite_shapes(struct graph *graph, struct value *shape, const struct value *other)
{
	for (uint32_t back = 1; back <= shape->rank && back <= other->rank; back++) {
		bool unused;
		int r;

		r = jagged_unite(graph, shape->dims[shape->rank - back],
				 other->dims[other->rank - back], shape, &unused);
		if (r < 0)
			return err_trace(r);
	}
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
		if (is_within_bounds(graph, rows)) {
			struct substitute rows_and_one = {rows.symbol, rows.symbol, 1};

			r = symbol_replace(graph, &rows_and_one);
			if (r < 0)
				return err_trace(r);
			graph->symbols[rows.symbol] = "rows";
			rows.constant = 0;
		}
		if (rows.constant == 0)
			ret_jagged->row_symbol = rows.symbol;
	}
	if (ret_jagged->row_symbol >= 0)
		ret_jagged->counts_values[ret_jagged->row_symbol] = false;
	return 0;
}

/* --- steps ------------------------------------------------------------------------------------ */

static bool counts_values(const struct lowering *lowering, const struct value *value)
{
	for (uint32_t axis = 0; axis < value->rank; axis++) {
		int32_t symbol = value->dims[axis].symbol;

		if (symbol >= 0 && symbol != lowering->row_symbol &&
		    symbol != lowering->request_symbol)
			return true;
	}
	return false;
}

bool jagged_computes_values(const struct lowering *lowering)
{
	for (uint32_t step = 0; step < lowering->step_count; step++) {
		const struct operand *operand = lowering->steps[step]->operands;

		for (; operand; operand = operand->next)
			if (operand->kind == OPERAND_WRITE &&
			    counts_values(lowering, graph_value(lowering->graph, operand->index)))
				return true;
	}
	return false;
}

/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/bodies/find_sequence_bag.c - nn.EmbeddingBag as a Loop that fills a sequence,
 * recognised
 *
 * The exporter of torch.onnx.export(dynamo=True) gathers all rows before the loop,
 *
 *     rows = Mul(Gather(table, ids), a column of weights)           weights of 1 if there are none
 *     bounds = Concat(offsets, count of ids)                        include_last_offset: offsets
 *     i, bags = 0, SequenceEmpty;  while i < count of bags:
 *         bags = SequenceInsert(bags, If(bounds[i] == bounds[i + 1], zeros, pooled))
 *     ConcatFromSequence(bags, axis 0)
 *
 * where pooled is Reduce(rows[bounds[i]:bounds[i + 1]], axis 0), except that a mean and a maximum
 * take the last bag to end with the ids, wherever the last of the bounds is: such offsets must be
 * whole (graph/bag.h). With padding_idx an inner loop appends each j from bounds[i] up to
 * bounds[i + 1] whose id is another one to a vector, `kept`, and
 *
 *         bags = SequenceInsert(bags, If(Size(kept) == 0, zeros, Reduce(Gather(rows, kept))))
 */
#include <errno.h>

#include "graph/bodies/control.h"
#include "graph/bodies/find_bag.h"
#include "graph/bodies/sequence_bag.h"
#include "graph/ops.h"
#include "graph/readers.h"
#include "kernels/binary.h"
#include "kernels/compare.h"

/* The input that begins at 0 and grows by 1. */
static bool counter_find(struct loop_match *match)
{
	for (uint32_t input = 2; input < match->body->input_count; input++) {
		const struct value *start = node_input(match->graph, match->node, input);
		int64_t shift;

		if (start->kind != VALUE_CONSTANT || !start->data || start->rank > 1 ||
		    !dtype_is_index(start->dtype) || constant_elements(start) != 1 ||
		    constant_integer(start, 0) != 0)
			continue;
		match->counter = input;
		if (loop_index(match, match->body->outputs[input - 1].name, &shift) && shift == 1)
			return true;
	}
	match->counter = 0;
	return false;
}

/* Does the loop begin where there are bags, and go on while there are? */
static int bags_count(struct graph *graph, const struct loop_match *match,
		      struct sequence_bag *found, bool *ret_is_count)
{
	const struct onnx_node *again = loop_node(match, match->body->outputs[0].name, "Less");
	const struct node *first;
	bool known[2], truth;
	int64_t shift;
	int r;

	*ret_is_count = false;
	if (!again || again->input_count != 2 || !loop_index(match, again->inputs[0], &shift) ||
	    shift != 1 || !loop_size(match, again->inputs[1], &found->bags))
		return 0;
	r = control_condition(graph, match->node->inputs[1], &known[0], &truth);
	if (r < 0)
		return err_trace(r);
	if (known[0]) {
		*ret_is_count = truth && found->bags.symbol < 0 && found->bags.constant >= 1;
		return 0;
	}
	first = value_producer(graph, graph_root(graph, match->node->inputs[1]));
	if (!first || first->op->infer != infer_compare || first->op->code != COMPARE_LESS)
		return 0;
	for (uint32_t input = 0; input < 2; input++) {
		r = graph_known(graph, first->inputs[input], &known[input]);
		if (r < 0)
			return err_trace(r);
	}
	*ret_is_count = known[0] && known[1] && node_input(graph, first, 0)->known_count == 1 &&
			node_input(graph, first, 1)->known_count == 1 &&
			dim_is(node_input(graph, first, 0)->known[0], 0) &&
			dim_equal(node_input(graph, first, 1)->known[0], found->bags);
	return 0;
}

static bool sequence_find(const struct loop_match *match, struct sequence_bag *found)
{
	for (uint32_t input = 2; input < match->body->input_count; input++) {
		const struct value *start = node_input(match->graph, match->node, input);
		const struct onnx_node *node =
			loop_node(match, match->body->outputs[input - 1].name, "SequenceInsert");
		struct loop_term term;

		if (start->kind != VALUE_SEQUENCE || start->item_count != 0 || !node ||
		    node->input_count != 2)
			continue;
		term = loop_term(match, node->inputs[0]);
		if (term.kind != LOOP_INPUT || term.in != match || term.index != input)
			continue;
		found->input = input;
		return sequence_bag_match(match, node->inputs[1], found);
	}
	return false;
}

/* What has the same bytes and the same shape. */
static uint32_t plain_value(const struct graph *graph, uint32_t index)
{
	for (;;) {
		const struct value *value = graph_value(graph, index);

		if (value->view_of == GRAPH_NONE ||
		    !value_same_shape(value, graph_value(graph, value->view_of)))
			return index;
		index = value->view_of;
	}
}

/* Is each of its numbers 1? */
static int value_is_ones(struct graph *graph, uint32_t index, bool *ret_is_ones)
{
	struct value *value = graph_value(graph, index);
	const struct node *node;
	const void *data;
	float x = 1;
	int r;

	*ret_is_ones = false;
	while (value->kind == VALUE_COMPUTED) {
		node = value_producer(graph, index);
		if (!node || (node->op->infer != infer_cast && node->op->infer != infer_expand &&
			      value->view_of == GRAPH_NONE))
			return 0;
		index = node->inputs[0];
		value = graph_value(graph, index);
	}
	if (value->kind != VALUE_CONSTANT || constant_elements(value) == 0)
		return 0;
	r = graph_constant_data(graph, value, &data);
	for (int64_t element = 0; r >= 0 && x == 1 && element < constant_elements(value); element++)
		r = constant_float(graph, value, (uint64_t)element, &x);
	*ret_is_ones = x == 1;
	return r < 0 ? err_trace(r) : 0;
}

/* The vector whose elements are a column, if there is one; GRAPH_NONE where all are 1. */
static int column_weights(struct graph *graph, uint32_t column, uint32_t *ret_weights,
			  bool *ret_is_column)
{
	const struct value *value = graph_value(graph, column);
	bool is_ones;
	int r;

	*ret_is_column = false;
	if (value->rank != 2 || !dim_is(value->dims[1], 1))
		return 0;
	r = value_is_ones(graph, column, &is_ones);
	if (r < 0)
		return err_trace(r);
	*ret_weights = GRAPH_NONE;
	*ret_is_column = is_ones;
	while (!*ret_is_column && graph_value(graph, column)->view_of != GRAPH_NONE) {
		column = graph_value(graph, column)->view_of;
		value = graph_value(graph, column);
		*ret_weights = column;
		*ret_is_column = value->rank == 1 && value->kind != VALUE_CONSTANT;
	}
	return 0;
}

static const struct node *gather_of(const struct graph *graph, uint32_t value)
{
	const struct node *node = value_producer(graph, plain_value(graph, value));

	return node && node->op->infer == infer_gather && node->axis == 0 ? node : NULL;
}

/* Table, ids and weights, from rows that are gathered and perhaps weighted. */
static int rows_find(struct graph *graph, uint32_t rows, struct loop_bag *bag, bool *ret_are_rows)
{
	const struct node *node = value_producer(graph, plain_value(graph, rows));
	const struct node *gather = gather_of(graph, rows);
	bool is_mul = node && node->op->infer == infer_binary && node->op->code == BINARY_MUL;
	bool is_column = false;
	int r;

	bag->weights = GRAPH_NONE;
	for (uint32_t side = 0; is_mul && !is_column && side < 2; side++) {
		gather = gather_of(graph, node->inputs[side]);
		if (!gather)
			continue;
		r = column_weights(graph, node->inputs[1 - side], &bag->weights, &is_column);
		if (r < 0)
			return err_trace(r);
	}
	*ret_are_rows = is_mul ? is_column : gather != NULL;
	if (!*ret_are_rows)
		return 0;
	bag->table = gather->inputs[0];
	bag->ids = gather->inputs[1];
	return 0;
}

/* The padding is compared with ids that count from the end, or with ids as they are. */
static bool padding_settle(const struct graph *graph, struct sequence_bag *found)
{
	struct loop_bag *bag = &found->bag;
	int64_t rows = graph_value(graph, bag->table)->dims[0].constant;

	bag->bag.padding_idx = -1;
	if (!found->is_padded)
		return true;
	if (plain_value(graph, found->kept_ids) != plain_value(graph, bag->ids) ||
	    (found->ids_wrap ? found->ids_wrap_rows != rows : found->padding_idx < 0))
		return false;
	if (found->padding_idx < 0 || found->padding_idx >= rows)
		return true;
	bag->bag.padding_idx = found->padding_idx;
	bag->bag.ids_natural = !found->ids_wrap;
	return true;
}

static int values_settle(struct graph *graph, struct sequence_bag *found, bool *ret_is_bag)
{
	struct loop_bag *bag = &found->bag;
	int r;

	r = rows_find(graph, found->slice.value, bag, ret_is_bag);
	if (r < 0 || !*ret_is_bag)
		return r < 0 ? err_trace(r) : 0;
	r = loop_bag_settle(graph, &found->slice, bag, ret_is_bag);
	if (r < 0 || !*ret_is_bag)
		return r < 0 ? err_trace(r) : 0;
	bag->bag.offsets_whole = bag->bag.offsets_whole && bag->bag.offsets_beyond;
	*ret_is_bag = dim_equal(bag->rows, found->bags) && dim_is(found->zeros[0], 1) &&
		      dim_equal(found->zeros[1], graph_value(graph, bag->table)->dims[1]) &&
		      (!found->has_ids_count ||
		       dim_equal(found->ids_count, graph_value(graph, bag->ids)->dims[0])) &&
		      padding_settle(graph, found);
	return 0;
}

static bool loop_fits(const struct node *node, const struct onnx_attribute *body)
{
	bool fits = body && body->type == ONNX_ATTRIBUTE_GRAPH && !node_has_input(node, 0) &&
		    node->input_count >= 4 && node->output_count == node->input_count - 2 &&
		    loop_body_fits(body->graph) && body->graph->input_count == node->input_count &&
		    body->graph->output_count == node->input_count - 1;

	for (uint32_t input = 1; fits && input < node->input_count; input++)
		fits = node_has_input(node, input);
	return fits;
}

static int sequence_loop(struct graph *graph, const struct node *node, struct sequence_bag *found,
			 bool *ret_is_bag)
{
	const struct onnx_attribute *body = attribute_find(node, "body");
	struct loop_match match = {.graph = graph, .node = node};
	int r;

	*ret_is_bag = false;
	if (!loop_fits(node, body))
		return 0;
	match.body = body->graph;
	if (!counter_find(&match))
		return 0;
	r = bags_count(graph, &match, found, ret_is_bag);
	if (r < 0 || !*ret_is_bag)
		return r < 0 ? err_trace(r) : 0;
	*ret_is_bag = sequence_find(&match, found) && node_has_output(node, found->input - 2);
	return *ret_is_bag ? values_settle(graph, found, ret_is_bag) : 0;
}

/* Only the sequence is computed: who reads what else the loop leaves is refused. */
int sequence_bag(struct graph *graph, const struct node *node)
{
	struct sequence_bag found = {.slice.value = GRAPH_NONE, .kept_ids = GRAPH_NONE};
	struct node place = *node;
	struct value *sequence;
	uint32_t *item;
	bool is_bag;
	int r;

	r = sequence_loop(graph, node, &found, &is_bag);
	if (r < 0 || !is_bag)
		return r < 0 ? err_trace(r) : 0;
	item = graph_allocate(graph, 1, sizeof(*item));
	if (!item || !graph_value_new(graph, node->name, item))
		return err_trace(-ENOMEM);
	place.outputs = item;
	place.output_count = 1;
	r = loop_bag_place(graph, &place, &found.bag);
	if (r < 0)
		return err_trace(r);
	sequence = node_output(graph, node, found.input - 2);
	sequence->kind = VALUE_SEQUENCE;
	sequence->items = item;
	sequence->item_count = 1;
	sequence->items_joined = true;
	return LOOP_E_BAG;
}

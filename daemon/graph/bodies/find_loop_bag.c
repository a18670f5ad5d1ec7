/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/bodies/find_loop_bag.c - the Loop that nn.EmbeddingBag is exported as, recognised
 *
 * TorchScript's exporter writes, for each table and since opset 11,
 *
 *     ends = Concat(offsets, count of ids)[1:]      (include_last_offset: offsets[1:])
 *     for i in Shape(ends):  rows = Gather(table, ids[offsets[i]:ends[i]])
 *                            rows = Mul(rows, weights[offsets[i]:ends[i]], a column)   if weighted
 *                            collect Reduce(rows, axis 0)
 *
 * Ids of two dimensions [rows, hot] are flattened first, and the offsets are Range(0, count, hot).
 * That becomes what the same net writes with Gather: Gather, Mul, Reduce along axis 1; anything
 * else becomes a bag with offsets (graph/bag.h).
 */
#include "graph/bodies/find_bag.h"

#include "graph/bodies/control.h"
#include "graph/bodies/loop_bag.h"

/* A slice of weights as a column. */
static bool column(const struct loop_match *match, const char *name, struct loop_slice *slice)
{
	const struct onnx_node *node = loop_node(match, name, "Unsqueeze");
	int64_t axis;

	return node && loop_setting(match, node, 1, "axes", 0, &axis) && axis == 1 &&
	       loop_slice(match, node->inputs[0], slice);
}

/* What is collected, and the slice of ids that it is made of. */
static bool collected(const struct loop_match *match, const char *name, struct loop_bag *bag,
		      struct loop_slice *ids)
{
	const struct onnx_node *node = loop_bag_reduction(match, name, false, bag);
	const struct onnx_node *product;
	struct loop_slice weights;
	const char *rows;
	int64_t axis;

	if (!node)
		return false;
	rows = node->inputs[0];
	bag->weights = GRAPH_NONE;
	product = loop_node(match, rows, "Mul");
	if (product && product->input_count == 2) {
		uint32_t side = column(match, product->inputs[1], &weights) ? 1 : 0;

		if (side == 0 && !column(match, product->inputs[0], &weights))
			return false;
		bag->weights = weights.value;
		rows = product->inputs[1 - side];
	}
	node = loop_node(match, rows, "Gather");
	return node && node->input_count == 2 && loop_outer(match, node->inputs[0], &bag->table) &&
	       loop_setting(match, node, UINT32_MAX, "axis", 0, &axis) && axis == 0 &&
	       loop_slice(match, node->inputs[1], ids) &&
	       (bag->weights == GRAPH_NONE || (loop_same_element(&ids->begin, &weights.begin) &&
		loop_same_element(&ids->end, &weights.end)));
}

/* Do as many iterations run as there are bags? */
static int bag_trips(struct graph *graph, const struct node *node, struct loop_bag *bag,
		     bool *ret_is_bag)
{
	const struct value *trips;
	bool known, truth = true;
	int r;

	*ret_is_bag = false;
	if (!node_has_input(node, 0))
		return 0;
	r = graph_known(graph, node->inputs[0], &known);
	if (r < 0)
		return err_trace(r);
	trips = node_input(graph, node, 0);
	if (!known || trips->known_count != 1 || !dim_equal(trips->known[0], bag->rows))
		return 0;
	if (node_has_input(node, 1)) {
		r = control_condition(graph, node->inputs[1], &known, &truth);
		if (r < 0)
			return err_trace(r);
	}
	*ret_is_bag = known && truth;
	return 0;
}

static int bag_match(struct graph *graph, const struct node *node, struct loop_bag *bag,
		     bool *ret_is_bag)
{
	const struct onnx_attribute *body = attribute_find(node, "body");
	struct loop_match match = {.graph = graph, .node = node};
	struct loop_slice slice;
	int r;

	*ret_is_bag = false;
	if (!body || body->type != ONNX_ATTRIBUTE_GRAPH || node->input_count > 2 ||
	    node->output_count != 1 || !node_has_output(node, 0))
		return 0;
	match.body = body->graph;
	if (!loop_body_fits(match.body) ||
	    match.body->input_count != 2 || match.body->output_count != 2 ||
	    !loop_stays_true(&match, match.body->outputs[0].name) ||
	    !collected(&match, match.body->outputs[1].name, bag, &slice))
		return 0;
	bag->ids = slice.value;
	r = loop_bag_settle(graph, &slice, bag, ret_is_bag);
	if (r < 0 || !*ret_is_bag)
		return r < 0 ? err_trace(r) : 0;
	return bag_trips(graph, node, bag, ret_is_bag);
}

int loop_bag(struct graph *graph, const struct node *node)
{
	struct loop_bag bag = {.bag.padding_idx = -1};
	bool is_bag = false;
	int r;

	r = bag_match(graph, node, &bag, &is_bag);
	if (r < 0 || !is_bag)
		return r < 0 ? err_trace(r) : 0;
	r = loop_bag_place(graph, node, &bag);
	return r < 0 ? err_trace(r) : LOOP_E_BAG;
}

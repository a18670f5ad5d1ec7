/* SPDX-License-Identifier: MIT */
/* daemon/graph/bodies/loop_bag.c - a bag that a Loop computes, from what its body says to nodes */
#include "graph/bodies/loop_bag.h"

#include <errno.h>
#include <string.h>

#include "graph/bodies/control.h"
#include "graph/ops.h"

const struct onnx_node *loop_bag_reduction(const struct loop_match *match, const char *name,
					   bool keeps_axis, struct loop_bag *bag)
{
	static const struct {
		const char *op;
		enum embed mode;
	} reductions[] = {
		{"ReduceSum", EMBED_SUM}, {"ReduceMean", EMBED_MEAN}, {"ReduceMax", EMBED_MAX},
	};

	for (size_t index = 0; index < sizeof(reductions) / sizeof(reductions[0]); index++) {
		const struct onnx_node *node = loop_node(match, name, reductions[index].op);
		int64_t axis, keep;

		if (!node)
			continue;
		bag->reduce = reductions[index].op;
		bag->bag.mode = reductions[index].mode;
		return loop_setting(match, node, 1, "axes", 1, &axis) && axis == 0 &&
				       loop_setting(match, node, UINT32_MAX, "keepdims", 1, &keep) &&
				       keep == keeps_axis
			       ? node
			       : NULL;
	}
	return NULL;
}

static const struct node *producer(const struct graph *graph, uint32_t value)
{
	uint32_t node = graph_value(graph, value)->producer;

	return node == GRAPH_NONE ? NULL : &graph->nodes[node];
}

/* The value that `value` is cut out of, from element `shift` of the given on. */
static uint32_t cut_from(const struct graph *graph, uint32_t value, int64_t *shift)
{
	for (;;) {
		const struct node *node = producer(graph, value);

		if (!node || graph_value(graph, value)->rank != 1)
			return value;
		if (node->op->infer == infer_identity) {
			value = node->inputs[0];
			continue;
		}
		if (node->op->infer != infer_slice || node->steps[0] != 1 ||
		    node->starts[0].symbol >= 0)
			return value;
		*shift += node->starts[0].constant;
		value = node->inputs[0];
	}
}

static bool is_vector(const struct value *value, bool integers)
{
	return value->rank == 1 &&
	       (integers ? value->dtype == DTYPE_I32 || value->dtype == DTYPE_I64
			 : value->dtype == DTYPE_F32);
}

/* Offsets that the exporter has folded and cut: where each bag begins, and where each ends. */
static int constant_offsets(struct graph *graph, const struct loop_slice *slice,
			    struct loop_bag *bag, bool *ret_is_bag)
{
	struct value *begins = graph_value(graph, slice->begin.value);
	struct value *ends = graph_value(graph, slice->end.value);
	int64_t count = constant_elements(ends);
	const void *data;
	int64_t *offsets;
	struct dim dim;
	int r;

	*ret_is_bag = false;
	if (count < 1 || constant_elements(begins) < count || slice->begin.shift != 0 ||
	    slice->end.shift != 0)
		return 0;
	r = graph_constant_data(graph, begins, &data);
	if (r >= 0)
		r = graph_constant_data(graph, ends, &data);
	if (r < 0)
		return err_trace(r);
	offsets = graph_allocate(graph, (size_t)count + 1, sizeof(*offsets));
	if (!offsets)
		return err_trace(-ENOMEM);
	for (int64_t index = 0; index < count; index++) {
		offsets[index] = constant_integer(begins, (uint64_t)index);
		offsets[index + 1] = constant_integer(ends, (uint64_t)index);
		if (index + 1 < count &&
		    constant_integer(begins, (uint64_t)index + 1) != offsets[index + 1])
			return 0;
	}
	dim = dim_constant(count + 1);
	r = graph_constant_new(graph, DTYPE_I64, 1, &dim, offsets, &bag->offsets);
	if (r < 0)
		return err_trace(r);
	bag->bag.offsets_beyond = true;
	bag->rows = dim_constant(count);
	*ret_is_bag = true;
	return 0;
}

/* Where the bags begin and end: the offsets, with or without how many ids there are behind them. */
static int bag_offsets(struct graph *graph, const struct loop_slice *slice, struct loop_bag *bag,
		       bool *ret_is_bag)
{
	int64_t begin = slice->begin.shift, end = slice->end.shift;
	uint32_t whole = cut_from(graph, slice->begin.value, &begin);
	const struct dim count = graph_value(graph, bag->ids)->dims[0];
	const struct node *node = producer(graph, whole);
	const struct value *last;
	bool known;
	int r;

	*ret_is_bag = false;
	if (slice->begin.value != slice->end.value && graph_value(graph, whole)->kind == VALUE_CONSTANT &&
	    graph_value(graph, slice->end.value)->kind == VALUE_CONSTANT &&
	    is_vector(graph_value(graph, slice->begin.value), true) &&
	    is_vector(graph_value(graph, slice->end.value), true))
		return constant_offsets(graph, slice, bag, ret_is_bag);
	if (cut_from(graph, slice->end.value, &end) != whole || begin != 0 || end != 1 ||
	    !is_vector(graph_value(graph, whole), true))
		return 0;
	bag->offsets = whole;
	bag->bag.offsets_beyond = true;
	if (node && node->op->infer == infer_concat && node->input_count == 2) {
		r = graph_known(graph, node->inputs[1], &known);
		if (r < 0)
			return err_trace(r);
		last = graph_value(graph, node->inputs[1]);
		if (known && last->known_count == 1 && dim_equal(last->known[0], count)) {
			bag->offsets = node->inputs[0];
			bag->bag.offsets_beyond = false;
		}
	}
	bag->rows = graph_value(graph, bag->offsets)->dims[0];
	*ret_is_bag = !bag->bag.offsets_beyond || dim_add(bag->rows, dim_constant(-1), &bag->rows);
	return 0;
}

int loop_bag_settle(struct graph *graph, const struct loop_slice *slice, struct loop_bag *bag,
		    bool *ret_is_bag)
{
	const struct value *table = graph_value(graph, bag->table);
	const struct value *ids = graph_value(graph, bag->ids);

	*ret_is_bag = false;
	if (table->kind != VALUE_CONSTANT || table->rank != 2 || table->dtype != DTYPE_F32 ||
	    constant_elements(table) == 0)
		return 0;
	if (ids->kind == VALUE_CONSTANT || ids->known || !is_vector(ids, true))
		return 0;
	if (bag->weights != GRAPH_NONE &&
	    (!is_vector(graph_value(graph, bag->weights), false) ||
	     !dim_equal(graph_value(graph, bag->weights)->dims[0], ids->dims[0])))
		return 0;
	return bag_offsets(graph, slice, bag, ret_is_bag);
}

/* Constant offsets 0, hot, 2 * hot, ...: 0 when they are others. */
static int offsets_step(struct graph *graph, uint32_t offsets, int64_t ids, int64_t *ret_hot)
{
	struct value *value = graph_value(graph, offsets);
	int64_t count = constant_elements(value), hot;
	const void *data;
	int r;

	*ret_hot = 0;
	r = graph_constant_data(graph, value, &data);
	if (r < 0)
		return err_trace(r);
	if (count < 1 || constant_integer(value, 0) != 0)
		return 0;
	if (count == 1)
		*ret_hot = ids; /* one bag has all */
	if (count == 1)
		return 0;
	hot = constant_integer(value, 1);
	for (int64_t index = 2; index < count; index++) {
		if (constant_integer(value, (uint64_t)index) -
			    constant_integer(value, (uint64_t)index - 1) !=
		    hot)
			return 0;
	}
	*ret_hot = hot;
	return 0;
}

/* How many ids each bag has, when all have as many: 0: they do not, or nobody knows. */
static int bag_hot(struct graph *graph, const struct loop_bag *bag, int64_t *ret_hot)
{
	const struct node *node = producer(graph, bag->offsets);
	struct dim whole;
	int64_t hot = 0;
	int r;

	*ret_hot = 0;
	if (graph_value(graph, bag->offsets)->kind == VALUE_CONSTANT) {
		r = offsets_step(graph, bag->offsets,
				 graph_value(graph, bag->ids)->dims[0].constant, &hot);
		if (r < 0)
			return err_trace(r);
	} else if (node && strcmp(node->op->name, "Range") == 0 && node->input_count == 3) {
		bool known[2];

		for (uint32_t input = 0; input < 2; input++) {
			r = graph_known(graph, node->inputs[2 * input], &known[input]);
			if (r < 0)
				return err_trace(r);
		}
		if (known[0] && known[1] && dim_is(node_input(graph, node, 0)->known[0], 0) &&
		    node_input(graph, node, 2)->known[0].symbol < 0)
			hot = node_input(graph, node, 2)->known[0].constant;
	}
	if (hot >= 1 && dim_multiply(bag->rows, dim_constant(hot), &whole) &&
	    dim_equal(whole, graph_value(graph, bag->ids)->dims[0]))
		*ret_hot = hot;
	return 0;
}

/* A vector as [rows, hot]: what it was flattened from, if it was. */
static int unflatten(struct graph *graph, const struct node *node, const struct loop_bag *bag,
		     int64_t hot, uint32_t vector, uint32_t *ret_matrix)
{
	struct dim two = dim_constant(2);
	int64_t *shape;
	uint32_t inputs[2] = {vector};
	int r;

	for (uint32_t value = vector; value != GRAPH_NONE;
	     value = graph_value(graph, value)->view_of) {
		const struct value *matrix = graph_value(graph, value);

		*ret_matrix = value;
		if (matrix->rank == 2 && dim_equal(matrix->dims[0], bag->rows) &&
		    dim_is(matrix->dims[1], hot))
			return 0;
	}
	shape = graph_allocate(graph, 2, sizeof(*shape));
	if (!shape)
		return err_trace(-ENOMEM);
	shape[0] = -1;
	shape[1] = hot;
	r = graph_constant_new(graph, DTYPE_I64, 1, &two, shape, &inputs[1]);
	if (r < 0)
		return err_trace(r);
	return control_emit(graph, node, "Reshape", inputs, 2, NULL, ret_matrix);
}

/* The form that the same net has with Gather. */
static int bag_emit_matrix(struct graph *graph, const struct node *node, const struct loop_bag *bag,
			   int64_t hot)
{
	static const struct control_attribute outermost[] = {{"axis", 0, {0}}, {NULL, 0, {0}}};
	static const struct control_attribute innermost[] = {{"axes", 1, {2}}, {NULL, 0, {0}}};
	static const struct control_attribute middle[] = {
		{"axes", 1, {1}}, {"keepdims", 0, {0}}, {NULL, 0, {0}}};
	uint32_t operands[2] = {bag->table}, rows = GRAPH_NONE, pooled = GRAPH_NONE;
	uint32_t weights = GRAPH_NONE;
	int r;

	r = unflatten(graph, node, bag, hot, bag->ids, &operands[1]);
	if (r >= 0)
		r = control_emit(graph, node, "Gather", operands, 2, outermost, &rows);
	if (r >= 0 && bag->weights != GRAPH_NONE) {
		r = unflatten(graph, node, bag, hot, bag->weights, &weights);
		if (r >= 0)
			r = control_emit(graph, node, "Unsqueeze", &weights, 1, innermost,
					 &operands[1]);
		operands[0] = rows;
		if (r >= 0)
			r = control_emit(graph, node, "Mul", operands, 2, NULL, &rows);
	}
	if (r >= 0)
		r = control_emit(graph, node, bag->reduce, &rows, 1, middle, &pooled);
	return r < 0 ? err_trace(r) : control_alias(graph, node, 0, pooled);
}

int loop_bag_place(struct graph *graph, const struct node *node, const struct loop_bag *bag)
{
	int64_t hot = 0;
	int r;

	r = bag_hot(graph, bag, &hot);
	if (r < 0)
		return err_trace(r);
	if (hot > 0 && bag->bag.padding_idx < 0)
		return bag_emit_matrix(graph, node, bag, hot);
	return bag_emit(graph, node, &bag->bag, bag->table, bag->ids, bag->offsets, bag->weights);
}

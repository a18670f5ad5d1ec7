/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/layernorm.c - a layer normalization that a file spells out, and what follows
 * one
 *
 *     centred = x - ReduceMean(x)
 *     normal  = centred / Sqrt(ReduceMean(centred^2) + epsilon)
 *     y       = normal * scale + bias
 *
 * becomes one LayerNormalization; so do the products with a reciprocal of the root. An activation
 * that alone reads y is applied by the same kernel.
 */
#include <errno.h>

#include "graph/graph.h"
#include "graph/ops.h"
#include "graph/passes/match.h"
#include "kernels/reduce.h"

struct normal {
	uint32_t x;
	uint32_t axis; /* the first of those that are normalized; they are the last ones */
	float epsilon;
};

/* The mean over the last axes, which stay as dimensions of 1. */
static bool is_mean(struct match *match, uint32_t value, uint32_t *ret_x, uint32_t *ret_axis)
{
	const struct node *node = match_op(match, value, "ReduceMean");
	const struct value *x;
	uint32_t axis;

	if (!node)
		return false;
	x = node_input(match->graph, node, 0);
	if (node->axes == 0 || x->rank != graph_value(match->graph, value)->rank)
		return false;
	for (axis = 0; !(node->axes & (1U << axis));)
		axis++;
	if (node->axes >> axis != (1U << (x->rank - axis)) - 1)
		return false;
	*ret_x = node->inputs[0];
	*ret_axis = axis;
	return true;
}

static bool is_centred(struct match *match, uint32_t value, struct normal *normal)
{
	const struct node *node = match_op(match, value, "Sub");
	uint32_t x;

	if (!node || !is_mean(match, node->inputs[1], &x, &normal->axis) || x != node->inputs[0])
		return false;
	normal->x = x;
	return true;
}

/* The mean of centred^2, and epsilon. */
static bool is_variance(struct match *match, uint32_t value, uint32_t centred,
			struct normal *normal)
{
	const struct node *add = match_op(match, value, "Add");
	struct match_product square;
	uint32_t variance, axis;

	if (!add)
		return false;
	if (match_scalar(match->graph, add->inputs[0], &normal->epsilon))
		variance = add->inputs[1];
	else if (match_scalar(match->graph, add->inputs[1], &normal->epsilon))
		variance = add->inputs[0];
	else
		return false;
	if (!is_mean(match, variance, &variance, &axis) || axis != normal->axis)
		return false;
	square = match_product(match, variance);
	return square.scale == 1.0f && square.count == 2 && square.values[0] == centred &&
	       square.values[1] == centred;
}

static bool is_root(struct match *match, uint32_t value, uint32_t centred, struct normal *normal)
{
	const struct node *node = match_op(match, value, "Sqrt");

	return node && is_variance(match, node->inputs[0], centred, normal);
}

/* 1 / root, in one of its forms. */
static bool is_inverse(struct match *match, uint32_t value, uint32_t centred,
		       struct normal *normal)
{
	uint32_t before = match->count;
	const struct node *node;
	float scalar;

	node = match_op(match, value, "Reciprocal");
	if (node)
		return is_root(match, node->inputs[0], centred, normal);
	node = match_op(match, value, "Div");
	if (node)
		return match_scalar(match->graph, node->inputs[0], &scalar) && scalar == 1.0f &&
		       is_root(match, node->inputs[1], centred, normal);
	match_rewind(match, before);
	node = match_op(match, value, "Pow");
	return node && match_scalar(match->graph, node->inputs[1], &scalar) && scalar == -0.5f &&
	       is_variance(match, node->inputs[0], centred, normal);
}

/* Does `last` compute the normal, before scale and bias? */
static bool is_normal(struct match *match, const struct node *last, struct normal *normal)
{
	bool divides = last->op->code == BINARY_DIV;

	for (uint32_t input = 0; input < (divides ? 1 : 2); input++) {
		uint32_t centred = last->inputs[input];
		uint32_t other = last->inputs[1 - input];

		match_rewind(match, 0);
		if (is_centred(match, centred, normal) &&
		    (divides ? is_root(match, other, centred, normal)
			     : is_inverse(match, other, centred, normal)))
			return true;
	}
	return false;
}

/* Has the value exactly the normalized dims, perhaps behind ones? */
static bool is_affine(const struct value *x, uint32_t axis, const struct value *value)
{
	uint32_t cols_rank = x->rank - axis;
	bool fits = value->dtype == DTYPE_F32 && value->rank >= cols_rank && value->rank <= x->rank;

	for (uint32_t place = 1; fits && place <= value->rank; place++) {
		struct dim dim = value->dims[value->rank - place];

		fits = place <= cols_rank ? dim_equal(dim, x->dims[x->rank - place])
					  : dim_is(dim, 1);
	}
	return fits;
}

/* The only reader of the node, when it is this operation with scale or bias. */
static struct node *affine_reader(struct match *match, const struct normal *normal,
				  struct node *node, enum binary op, uint32_t *ret_other)
{
	const struct graph *graph = match->graph;
	struct node *reader = readers_only(graph, match->readers, node->outputs[0]);
	uint32_t other;

	if (!reader || reader->op->infer != infer_binary || reader->op->code != (int)op)
		return NULL;
	other = reader->inputs[reader->inputs[0] == node->outputs[0] ? 1 : 0];
	if (!is_affine(graph_value(graph, normal->x), normal->axis, graph_value(graph, other)) ||
	    match->count == MATCH_NODES_MAX)
		return NULL;
	match->nodes[match->count++] = node;
	*ret_other = other;
	return reader;
}

/* The kernel wants a scale. Only where its length is known. */
static int scale_of_ones(struct graph *graph, const struct normal *normal, uint32_t *ret_scale)
{
	const struct value *x = graph_value(graph, normal->x);
	uint32_t rank = x->rank - normal->axis;
	int64_t cols = 1;
	float *ones;

	*ret_scale = GRAPH_NONE;
	for (uint32_t axis = normal->axis; axis < x->rank; axis++) {
		if (x->dims[axis].symbol >= 0)
			return 0;
		cols *= x->dims[axis].constant;
	}
	if (cols == 0 || cols > UINT16_MAX)
		return 0;
	ones = graph_allocate(graph, (size_t)cols, sizeof(*ones));
	if (!ones)
		return err_trace(-ENOMEM);
	for (int64_t col = 0; col < cols; col++)
		ones[col] = 1.0f;
	return graph_constant_new(graph, DTYPE_F32, rank, &x->dims[normal->axis], ones, ret_scale);
}

static int node_match(struct graph *graph, const struct readers *readers, struct node *node)
{
	struct match match = {.graph = graph, .readers = readers};
	uint32_t inputs[3] = {GRAPH_NONE, GRAPH_NONE, GRAPH_NONE};
	uint32_t input_count = 2;
	struct normal normal;
	struct node *reader;
	uint32_t *room;
	int r;

	if (!is_normal(&match, node, &normal))
		return 0;
	inputs[0] = normal.x;
	reader = affine_reader(&match, &normal, node, BINARY_MUL, &inputs[1]);
	if (reader) {
		node = reader;
		reader = affine_reader(&match, &normal, node, BINARY_ADD, &inputs[2]);
		input_count = reader ? 3 : 2;
		node = reader ? reader : node;
	}
	if (!match_closes(&match, node) ||
	    !value_same_shape(graph_value(graph, normal.x), node_output(graph, node, 0)))
		return 0;
	if (inputs[1] == GRAPH_NONE) {
		r = scale_of_ones(graph, &normal, &inputs[1]);
		if (r < 0)
			return err_trace(r);
		if (inputs[1] == GRAPH_NONE)
			return 0;
	}
	room = graph_allocate(graph, input_count, sizeof(*room));
	if (!room)
		return err_trace(-ENOMEM);
	node->inputs = room;
	match_replace(&match, node, op_find("LayerNormalization"), inputs, input_count);
	node->axis = normal.axis;
	node->epsilon = normal.epsilon;
	return 0;
}

/* What a normalization ends with: by the deviation, or times its reciprocal. */
static bool is_quotient(const struct graph *graph, const struct node *node)
{
	return !node->dead && node_has_output(node, 0) && node->op->infer == infer_binary &&
	       (node->op->code == BINARY_DIV || node->op->code == BINARY_MUL) &&
	       node_output(graph, node, 0)->kind == VALUE_COMPUTED &&
	       node_output(graph, node, 0)->dtype == DTYPE_F32;
}

int pass_layernorm(struct graph *graph)
{
	struct readers readers;
	int r;

	r = readers_each(graph, is_quotient, node_match);
	if (r < 0)
		return err_trace(r);
	r = readers_init(graph, &readers);
	if (r < 0)
		return err_trace(r);
	for (uint32_t index = 0; index < graph->node_count; index++) {
		struct node *node = &graph->nodes[index];

		if (!node->dead && node->op->infer == infer_layernorm)
			match_take_activation(graph, &readers, node);
	}
	return 0;
}

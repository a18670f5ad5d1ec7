/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/cross.c - a product with a constant matrix multiplies, adds and activates
 *
 *     u = activation(x * W + b)  ->  Mul(u, multiplier)  ->  Add(., residual)  ->  activation
 *
 * becomes one KERNEL_GEMM, whichever of the three follow, when nobody else reads what is in between
 * and the values have u's shape: cross layers (DCN-v2), residual blocks, gates. Operations are
 * rounded one by one as before, so the bits are the same.
 */
#include <errno.h>

#include "graph/graph.h"
#include "graph/ops.h"
#include "graph/passes/match.h"
#include "graph/readers.h"

struct cross {
	struct graph *graph;
	const struct readers *readers;
	struct node *last; /* of what is matched so far */
	struct node gemm;  /* what it becomes */
	struct node *absorbed[4];
	uint32_t absorbed_count;
};

static bool is_packed(const struct graph *graph, const struct node *node)
{
	(void)graph;
	return !node->dead && node->op->lower == lower_linear && node->packed &&
	       node->input_count <= LINEAR_ADDEND + 1 && node_has_output(node, 0);
}

/* The only reader of what is matched so far; NULL: there are others, or it changes the shape. */
static struct node *next_node(const struct cross *cross)
{
	const struct graph *graph = cross->graph;
	struct node *reader = readers_only(graph, cross->readers, cross->last->outputs[0]);

	if (!reader || reader->output_count != 1 ||
	    node_output(graph, reader, 0)->kind != VALUE_COMPUTED ||
	    node_output(graph, reader, 0)->view_of != GRAPH_NONE ||
	    !value_same_shape(node_output(graph, reader, 0), node_output(graph, cross->last, 0)))
		return NULL;
	return reader;
}

/* The other operand of an Add or Mul, which is computed or an input; GRAPH_NONE: something else. */
static uint32_t other_operand(const struct cross *cross, const struct node *reader, enum binary op)
{
	const struct graph *graph = cross->graph;
	const struct value *value;
	uint32_t other;

	if (!reader || reader->op->lower != lower_binary || reader->op->code != (int)op ||
	    reader->input_count != 2)
		return GRAPH_NONE;
	other = reader->inputs[reader->inputs[0] == cross->last->outputs[0] ? 1 : 0];
	value = graph_value(graph, other);
	if (value->kind == VALUE_CONSTANT || value->dtype != DTYPE_F32 ||
	    !value_same_shape(value, node_output(graph, reader, 0)))
		return GRAPH_NONE;
	return other;
}

static void take(struct cross *cross, struct node *reader)
{
	cross->absorbed[cross->absorbed_count++] = cross->last;
	cross->last = reader;
}

/* Gemm's own addend, when it is no bias. False: the product cannot take it in, nor anything more. */
static bool take_addend(struct cross *cross)
{
	struct node *gemm = &cross->gemm;
	const struct graph *graph = cross->graph;
	uint32_t addend = gemm->inputs[LINEAR_ADDEND];

	if (addend == GRAPH_NONE || addend == gemm->bias)
		return true;
	if (gemm->beta != 1.0f || graph_value(graph, addend)->kind == VALUE_CONSTANT ||
	    !value_same_shape(graph_value(graph, addend), node_output(graph, cross->last, 0)))
		return false;
	gemm->inputs[LINEAR_ADDEND] = GRAPH_NONE;
	gemm->inputs[LINEAR_RESIDUAL] = addend;
	return true;
}

static void match_follows(struct cross *cross)
{
	struct node *gemm = &cross->gemm;
	uint32_t multiplier = GRAPH_NONE, residual = gemm->inputs[LINEAR_RESIDUAL];
	struct node *reader = next_node(cross);

	if (residual == GRAPH_NONE)
		multiplier = other_operand(cross, reader, BINARY_MUL);
	if (multiplier != GRAPH_NONE) {
		gemm->inputs[LINEAR_MULTIPLIER] = multiplier;
		take(cross, reader);
		reader = next_node(cross);
	}
	if (residual == GRAPH_NONE)
		residual = other_operand(cross, reader, BINARY_ADD);
	if (residual != GRAPH_NONE && gemm->inputs[LINEAR_RESIDUAL] == GRAPH_NONE) {
		gemm->inputs[LINEAR_RESIDUAL] = residual;
		take(cross, reader);
		reader = next_node(cross);
	}
	if ((multiplier != GRAPH_NONE || residual != GRAPH_NONE) && reader &&
	    match_activation(reader, &gemm->post_activation)) {
		gemm->post_low = reader->low;
		gemm->post_high = reader->high;
		take(cross, reader);
	}
}

static int cross_fuse(struct graph *graph, const struct readers *readers, struct node *node)
{
	struct cross cross = {
		.graph = graph, .readers = readers, .last = node, .gemm = *node};
	uint32_t *inputs = graph_allocate(graph, LINEAR_INPUTS, sizeof(*inputs));

	if (!inputs)
		return err_trace(-ENOMEM);
	for (uint32_t input = 0; input < LINEAR_INPUTS; input++)
		inputs[input] = input < node->input_count ? node->inputs[input] : GRAPH_NONE;
	cross.gemm.inputs = inputs;
	cross.gemm.input_count = LINEAR_INPUTS;
	if (!take_addend(&cross))
		return 0;
	match_follows(&cross);
	if (inputs[LINEAR_MULTIPLIER] == GRAPH_NONE && inputs[LINEAR_RESIDUAL] == GRAPH_NONE)
		return 0;
	cross.gemm.outputs = cross.last->outputs;
	cross.gemm.stands_for = cross.last->stands_for;
	*cross.last = cross.gemm;
	for (uint32_t index = 0; index < cross.absorbed_count; index++)
		node_absorb(cross.last, cross.absorbed[index]);
	return 0;
}

int pass_cross(struct graph *graph)
{
	return readers_each(graph, is_packed, cross_fuse);
}

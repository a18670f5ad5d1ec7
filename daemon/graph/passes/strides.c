/* SPDX-License-Identifier: MIT */
/* daemon/graph/passes/strides.c - which operators write and read rows with a stride */
#include "graph/passes/strides.h"

#include "graph/bag.h"
#include "graph/operators/pair.h"
#include "graph/ops.h"

enum strides {
	STRIDES_NONE,
	STRIDES_LAST, /* rows are the last axis */
	STRIDES_AXES, /* rows are any number of inner axes */
	STRIDES_INNER, /* the same, but at least the last one */
	STRIDES_OUTER, /* rows are all but the outermost axis */
};

typedef enum strides (*strides_rule)(const struct node *node, uint32_t place);

static enum strides none(const struct node *node, uint32_t place)
{
	(void)node;
	(void)place;
	return STRIDES_NONE;
}

static enum strides any_axes(const struct node *node, uint32_t place)
{
	(void)node;
	(void)place;
	return STRIDES_AXES;
}

static enum strides linear_reads(const struct node *node, uint32_t input)
{
	if (input == LINEAR_MULTIPLIER || input == LINEAR_RESIDUAL)
		return STRIDES_LAST;
	return node->packed && !node->trans_a && input == LINEAR_LEFT ? STRIDES_LAST : STRIDES_NONE;
}

/* An addend that is no bias is added afterwards, by another kernel. */
static enum strides linear_writes(const struct node *node, uint32_t output)
{
	bool adds = node_has_input(node, 2) && node->bias != node->inputs[2];

	(void)output;
	return node->packed && !adds ? STRIDES_LAST : STRIDES_NONE;
}

static enum strides first_input(const struct node *node, uint32_t input)
{
	(void)node;
	return input == 0 ? STRIDES_AXES : STRIDES_NONE;
}

static enum strides outer_rows(const struct node *node, uint32_t place)
{
	(void)node;
	(void)place;
	return STRIDES_OUTER;
}

static enum strides interact_rows(const struct node *node, uint32_t place)
{
	(void)node;
	return place == 0 ? STRIDES_OUTER : STRIDES_NONE;
}

static enum strides pair_reads(const struct node *node, uint32_t input)
{
	(void)node;
	return input == PAIR_QUERY || input == PAIR_KEYS ? STRIDES_LAST : STRIDES_NONE;
}

static enum strides last_axis(const struct node *node, uint32_t place)
{
	(void)node;
	(void)place;
	return STRIDES_LAST;
}

static enum strides chain_reads(const struct node *node, uint32_t input)
{
	(void)input;
	return chain_takes_parts(node) ? STRIDES_INNER : STRIDES_NONE;
}

static enum strides chain_writes(const struct node *node, uint32_t output)
{
	return chain_writes_part(node, output) ? STRIDES_INNER : STRIDES_NONE;
}

/* By the lowering: a pass may have given the node an operator of its own. */
static const struct {
	int (*lower)(struct lowering *lowering, const struct node *node);
	strides_rule reads;
	strides_rule writes;
} rules[] = {
	{lower_linear, linear_reads, linear_writes},
	{lower_binary, any_axes, none},
	{lower_reduce, first_input, none},
	{lower_concat, any_axes, any_axes},
	{lower_slice, first_input, any_axes},
	{lower_transpose, first_input, any_axes},
	{lower_interact, interact_rows, interact_rows},
	{lower_chain, chain_reads, chain_writes},
	{lower_pair, pair_reads, last_axis},
	{lower_bag, none, outer_rows},
};

static bool value_is_span(const struct value *value, uint32_t first_axis, int64_t width)
{
	struct poly span = value_span(value, first_axis, value->rank);

	return poly_is(&span, width);
}

static bool fits(enum strides strides, const struct value *value, int64_t width)
{
	switch (strides) {
	case STRIDES_LAST:
		return value->rank > 0 && dim_is(value->dims[value->rank - 1], width);
	case STRIDES_AXES:
		return value_has_rows(value, width);
	case STRIDES_OUTER:
		return value->rank > 0 && value_is_span(value, 1, width);
	case STRIDES_INNER:
		return value->rank > 0 && value_has_rows(value, width) &&
		       (width > 1 || dim_is(value->dims[value->rank - 1], 1));
	case STRIDES_NONE:
		break;
	}
	return false;
}

bool strides_write(const struct graph *graph, const struct node *node, uint32_t output,
		   int64_t width)
{
	for (size_t index = 0; index < sizeof(rules) / sizeof(rules[0]); index++) {
		if (rules[index].lower == node->op->lower)
			return fits(rules[index].writes(node, output),
				    node_output(graph, node, output), width);
	}
	return false;
}

bool strides_read(const struct graph *graph, const struct node *node, uint32_t input,
		  int64_t width)
{
	for (size_t index = 0; index < sizeof(rules) / sizeof(rules[0]); index++) {
		if (rules[index].lower == node->op->lower)
			return fits(rules[index].reads(node, input),
				    node_input(graph, node, input), width);
	}
	return false;
}

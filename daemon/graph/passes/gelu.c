/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/gelu.c - activations that a file spells out become one operator
 *
 *     gelu       x * 0.5 * (1 + Erf(x / sqrt(2)))
 *     gelu_tanh  x * 0.5 * (1 + Tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))
 *                or with sqrt(2 / pi) * x * (1 + 0.044715 * x^2)
 *     silu       x * Sigmoid(x)
 *
 * Factors and addends in any order, divisions as products and the other way round. Where the order
 * is that of kernels/types.h, the bits are those of the operators.
 */
#include <math.h>

#include "graph/graph.h"
#include "graph/ops.h"
#include "graph/passes/match.h"
#include "kernels/unary.h"

#define GELU_CUBE 0.044715
#define GELU_INNER 0.79788456080286536 /* sqrt(2 / pi) */

static const struct op gelu_op = {
	.name = "Gelu", .infer = infer_unary, .lower = lower_unary, .code = UNARY_GELU};
static const struct op gelu_tanh_op = {
	.name = "GeluTanh", .infer = infer_unary, .lower = lower_unary, .code = UNARY_GELU_TANH};
static const struct op silu_op = {
	.name = "Silu", .infer = infer_unary, .lower = lower_unary, .code = UNARY_SILU};

/* Are the factors x, as often as `times`, and nothing else? */
static bool is_power(const struct match_product *product, uint32_t x, uint32_t times)
{
	bool is_x = product->count == times;

	for (uint32_t index = 0; is_x && index < times; index++)
		is_x = product->values[index] == x;
	return is_x;
}

/* erf(x / sqrt(2)) */
static bool is_erf(struct match *match, uint32_t value, uint32_t x)
{
	const struct node *node = match_op(match, value, "Erf");
	struct match_product inner;

	if (!node)
		return false;
	inner = match_product(match, node->inputs[0]);
	return match_near(inner.scale, M_SQRT1_2) && is_power(&inner, x, 1);
}

/* x + 0.044715 * x^3 */
static bool is_cubic(struct match *match, uint32_t value, uint32_t x)
{
	const struct node *add = match_op(match, value, "Add");
	struct match_product cube;

	if (!add || (add->inputs[0] != x && add->inputs[1] != x))
		return false;
	cube = match_product(match, add->inputs[add->inputs[0] == x ? 1 : 0]);
	return match_near(cube.scale, GELU_CUBE) && is_power(&cube, x, 3);
}

/* 1 + 0.044715 * x^2 */
static bool is_quadratic(struct match *match, uint32_t value, uint32_t x)
{
	const struct node *add = match_op(match, value, "Add");
	struct match_product square;
	uint32_t other;

	if (!add || !match_with_scalar(match->graph, add, 1, &other))
		return false;
	square = match_product(match, other);
	return match_near(square.scale, GELU_CUBE) && is_power(&square, x, 2);
}

static bool is_tanh(struct match *match, uint32_t value, uint32_t x)
{
	const struct node *node = match_op(match, value, "Tanh");
	struct match_product inner;

	if (!node)
		return false;
	inner = match_product(match, node->inputs[0]);
	if (!match_near(inner.scale, GELU_INNER))
		return false;
	if (inner.count == 1)
		return is_cubic(match, inner.values[0], x);
	for (uint32_t index = 0; inner.count == 2 && index < 2; index++) {
		if (inner.values[1 - index] == x && is_quadratic(match, inner.values[index], x))
			return true;
	}
	return false;
}

/* x and what it is multiplied with; NULL: they are no activation. */
static const struct op *factors_op(struct match *match, float scale, uint32_t x, uint32_t other)
{
	const struct op *op = NULL;
	uint32_t before = match->count;
	const struct node *node;
	uint32_t curve;

	node = match_op(match, other, "Sigmoid");
	if (node && scale == 1.0f && node->inputs[0] == x)
		return &silu_op;
	match_rewind(match, before);
	node = match_op(match, other, "Add");
	if (!node || !match_near(scale, 0.5) || !match_with_scalar(match->graph, node, 1, &curve))
		return NULL;
	before = match->count;
	if (is_erf(match, curve, x))
		return &gelu_op;
	match_rewind(match, before);
	if (is_tanh(match, curve, x))
		op = &gelu_tanh_op;
	return op;
}

static void node_match(struct graph *graph, const struct readers *readers, struct node *last)
{
	struct match_product product;
	uint32_t before;
	struct match match = {.graph = graph, .readers = readers};

	product = match_product(&match, last->outputs[0]);
	before = match.count;
	for (uint32_t index = 0; product.count == 2 && index < 2; index++) {
		uint32_t x = product.values[index];
		const struct op *op;

		match_rewind(&match, before);
		op = factors_op(&match, product.scale, x, product.values[1 - index]);
		/* A constant of more dimensions than x would have made the shape another. */
		if (!op || !match_closes(&match, last) ||
		    !value_same_shape(graph_value(graph, x), node_output(graph, last, 0)))
			continue;
		match_replace(&match, last, op, &x, 1);
		return;
	}
}

int pass_gelu(struct graph *graph)
{
	struct readers readers;
	int r;

	r = readers_init(graph, &readers);
	if (r < 0)
		return err_trace(r);
	/* From the last one on: a product within a larger one is no root. */
	for (uint32_t index = graph->node_count; index-- > 0;) {
		struct node *node = &graph->nodes[index];

		if (node->dead || node->fused || !node_has_output(node, 0) ||
		    node_output(graph, node, 0)->kind != VALUE_COMPUTED ||
		    node_output(graph, node, 0)->dtype != DTYPE_F32 ||
		    (node->op->code != BINARY_MUL && node->op->code != BINARY_DIV) ||
		    node->op->infer != infer_binary)
			continue;
		node_match(graph, &readers, node);
	}
	return 0;
}

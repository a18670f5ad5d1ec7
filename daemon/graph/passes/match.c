/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/match.c - the parts of patterns that exporters spell out in several operators
 */
#include "graph/passes/match.h"

#include <math.h>
#include <string.h>

#include "graph/ops.h"
#include "kernels/unary.h"

bool match_scalar(const struct graph *graph, uint32_t value, float *ret_scalar)
{
	const struct value *constant = graph_value(graph, value);

	if (constant->kind != VALUE_CONSTANT || constant->dtype != DTYPE_F32 || !constant->data ||
	    constant_elements(constant) != 1)
		return false;
	memcpy(ret_scalar, constant->data, sizeof(*ret_scalar));
	return true;
}

bool match_near(float value, double wanted)
{
	return fabs((double)value - wanted) <= 1e-6 * fabs(wanted);
}

struct node *match_op(struct match *match, uint32_t value, const char *op)
{
	struct node *node = value_producer(match->graph, value);

	if (!node || strcmp(node->op->name, op) != 0 || node->outputs[0] != value)
		return NULL;
	if (match->count == MATCH_NODES_MAX) {
		match->overflows = true;
		return NULL;
	}
	for (uint32_t index = 0; index < match->count; index++) {
		if (match->nodes[index] == node)
			return node;
	}
	match->nodes[match->count++] = node;
	return node;
}

bool match_with_scalar(const struct graph *graph, const struct node *node, double scalar,
		       uint32_t *ret_other)
{
	float found;

	for (uint32_t input = 0; input < 2; input++) {
		if (!match_scalar(graph, node->inputs[input], &found) || !match_near(found, scalar))
			continue;
		*ret_other = node->inputs[1 - input];
		return true;
	}
	return false;
}

void match_rewind(struct match *match, uint32_t count)
{
	match->count = count;
}

static void product_add(struct match *match, struct match_product *product, uint32_t value,
			uint32_t depth);

static void product_leaf(struct match *match, struct match_product *product, uint32_t value)
{
	if (product->count == MATCH_FACTORS_MAX)
		match->overflows = true;
	else
		product->values[product->count++] = value;
}

/* x^2 and x^3; false: neither. */
static bool product_power(struct match *match, struct match_product *product, uint32_t value)
{
	uint32_t before = match->count;
	const struct node *node = match_op(match, value, "Pow");
	float power;

	if (node && match_scalar(match->graph, node->inputs[1], &power) &&
	    (power == 2.0f || power == 3.0f)) {
		for (int times = 0; times < (int)power; times++)
			product_leaf(match, product, node->inputs[0]);
		return true;
	}
	match_rewind(match, before);
	return false;
}

static void product_add(struct match *match, struct match_product *product, uint32_t value,
			uint32_t depth)
{
	const struct graph *graph = match->graph;
	uint32_t before = match->count;
	const struct node *node;
	float scalar;

	if (match_scalar(graph, value, &scalar)) {
		product->scale *= scalar;
		return;
	}
	/* Beyond the first, a product that others read, too, is a factor. */
	if (depth > MATCH_FACTORS_MAX || (depth > 0 && !readers_only(graph, match->readers, value))) {
		product_leaf(match, product, value);
		return;
	}
	node = match_op(match, value, "Mul");
	if (node) {
		product_add(match, product, node->inputs[0], depth + 1);
		product_add(match, product, node->inputs[1], depth + 1);
		return;
	}
	node = match_op(match, value, "Div");
	if (node && match_scalar(graph, node->inputs[1], &scalar) && scalar != 0.0f) {
		product->scale /= scalar;
		product_add(match, product, node->inputs[0], depth + 1);
		return;
	}
	match_rewind(match, before);
	if (!product_power(match, product, value))
		product_leaf(match, product, value);
}

struct match_product match_product(struct match *match, uint32_t value)
{
	struct match_product product = {.scale = 1.0f};

	product_add(match, &product, value, 0);
	return product;
}

/* Places within the match that read the value. */
static uint32_t reads_of(const struct match *match, const struct node *last, uint32_t value)
{
	uint32_t count = 0;

	for (uint32_t index = 0; index <= match->count; index++) {
		const struct node *node = index < match->count ? match->nodes[index] : last;

		if (index < match->count && node == last)
			continue;
		for (uint32_t input = 0; input < node->input_count; input++)
			count += node->inputs[input] == value;
	}
	return count;
}

bool match_closes(const struct match *match, const struct node *last)
{
	for (uint32_t index = 0; index < match->count; index++) {
		const struct node *node = match->nodes[index];

		if (node == last)
			continue;
		for (uint32_t output = 0; output < node->output_count; output++) {
			uint32_t value = node->outputs[output];

			if (!node_has_output(node, output))
				continue;
			if (value >= match->readers->value_count ||
			    reads_of(match, last, value) != match->readers->count[value])
				return false;
		}
	}
	return !match->overflows;
}

void match_replace(struct match *match, struct node *last, const struct op *op,
		   const uint32_t inputs[], uint32_t input_count)
{
	for (uint32_t index = 0; index < match->count; index++) {
		if (match->nodes[index] != last)
			node_absorb(last, match->nodes[index]);
	}
	last->op = op;
	last->input_count = input_count;
	memcpy(last->inputs, inputs, input_count * sizeof(inputs[0]));
}

bool match_activation(const struct node *node, enum activation *ret_activation)
{
	static const enum activation activations[] = {
		[UNARY_RELU] = ACTIVATION_RELU,     [UNARY_SIGMOID] = ACTIVATION_SIGMOID,
		[UNARY_TANH] = ACTIVATION_TANH,     [UNARY_CLIP] = ACTIVATION_CLIP,
		[UNARY_SILU] = ACTIVATION_SILU,     [UNARY_GELU] = ACTIVATION_GELU,
		[UNARY_GELU_TANH] = ACTIVATION_GELU_TANH,
		[UNARY_ELU] = ACTIVATION_ELU,       [UNARY_LEAKY_RELU] = ACTIVATION_LEAKY_RELU,
	};
	const size_t count = sizeof(activations) / sizeof(activations[0]);

	if (node->op->lower != lower_unary || (size_t)node->op->code >= count)
		return false;
	*ret_activation = activations[node->op->code];
	return *ret_activation != ACTIVATION_NONE;
}

void match_take_activation(struct graph *graph, const struct readers *readers, struct node *node)
{
	struct node *reader;

	if (node->activation != ACTIVATION_NONE || !node_has_output(node, 0))
		return;
	reader = readers_only(graph, readers, node->outputs[0]);
	if (!reader || !match_activation(reader, &node->activation))
		return;
	node->low = reader->low;
	node->high = reader->high;
	node_take_output(graph, node, reader);
}

/* SPDX-License-Identifier: MIT */
/* daemon/graph/loop_match.c - what an expression in a Loop's body is, seen from the outside */
#include "graph/loop_match.h"

#include <string.h>

#include "graph/control.h"
#include "graph/ops.h"

static struct loop_term term_find(const struct loop_match *match, const char *name)
{
	const struct onnx_graph *body = match->body;
	uint32_t value;

	for (uint32_t input = 0; input < body->input_count; input++) {
		if (strcmp(body->inputs[input].name, name) == 0)
			return (struct loop_term){LOOP_INPUT, input};
	}
	for (uint32_t tensor = 0; tensor < body->tensor_count; tensor++) {
		if (strcmp(body->tensors[tensor].name, name) == 0)
			return (struct loop_term){LOOP_TENSOR, tensor};
	}
	for (uint32_t node = 0; node < body->node_count; node++) {
		for (uint32_t output = 0; output < body->nodes[node].output_count; output++) {
			if (strcmp(body->nodes[node].outputs[output], name) == 0)
				return (struct loop_term){output == 0 ? LOOP_NODE : LOOP_NOTHING,
							  node};
		}
	}
	value = names_value(match->graph, match->node->names, name);
	return (struct loop_term){value == GRAPH_NONE ? LOOP_NOTHING : LOOP_OUTER, value};
}

static bool is_op(const struct onnx_node *node, const char *op_type)
{
	return node->domain[0] == '\0' && strcmp(node->op_type, op_type) == 0;
}

static bool has_input(const struct onnx_node *node, uint32_t input)
{
	return input < node->input_count && node->inputs[input][0] != '\0';
}

struct loop_term loop_term(const struct loop_match *match, const char *name)
{
	struct loop_term term = term_find(match, name);

	/* A body's nodes read earlier ones alone, so this ends. */
	while (term.kind == LOOP_NODE && is_op(&match->body->nodes[term.index], "Identity") &&
	       has_input(&match->body->nodes[term.index], 0))
		term = term_find(match, match->body->nodes[term.index].inputs[0]);
	return term;
}

const struct onnx_node *loop_node(const struct loop_match *match, const char *name,
				  const char *op_type)
{
	struct loop_term term = loop_term(match, name);
	const struct onnx_node *node;

	if (term.kind != LOOP_NODE)
		return NULL;
	node = &match->body->nodes[term.index];
	return is_op(node, op_type) && has_input(node, 0) ? node : NULL;
}

bool loop_outer(const struct loop_match *match, const char *name, uint32_t *ret_value)
{
	struct loop_term term = loop_term(match, name);

	*ret_value = term.index;
	return term.kind == LOOP_OUTER &&
	       (graph_value(match->graph, term.index)->kind == VALUE_INPUT ||
		graph_value(match->graph, term.index)->kind == VALUE_COMPUTED ||
		graph_value(match->graph, term.index)->kind == VALUE_CONSTANT);
}

const struct onnx_attribute *loop_attribute(const struct onnx_node *node, const char *name)
{
	for (uint32_t index = 0; index < node->attribute_count; index++) {
		if (strcmp(node->attributes[index].name, name) == 0)
			return &node->attributes[index];
	}
	return NULL;
}

static bool tensor_integer(const struct onnx_tensor *tensor, int64_t *ret_integer)
{
	int32_t narrow;

	if (!tensor || tensor->source != ONNX_INLINE || tensor->rank > 1 ||
	    (tensor->rank == 1 && tensor->dims[0] != 1))
		return false;
	if (tensor->dtype == DTYPE_I64) {
		memcpy(ret_integer, tensor->data, sizeof(*ret_integer));
		return true;
	}
	if (tensor->dtype != DTYPE_I32)
		return false;
	memcpy(&narrow, tensor->data, sizeof(narrow));
	*ret_integer = narrow;
	return true;
}

static bool attribute_integer(const struct onnx_attribute *attribute, int64_t *ret_integer)
{
	switch (attribute->type) {
	case ONNX_ATTRIBUTE_INT:
		*ret_integer = attribute->i;
		return true;
	case ONNX_ATTRIBUTE_INTS:
		if (attribute->count != 1)
			return false;
		*ret_integer = attribute->ints[0];
		return true;
	case ONNX_ATTRIBUTE_TENSOR:
		return tensor_integer(attribute->tensor, ret_integer);
	default:
		return false;
	}
}

/* Of a value of the graph, whose bytes are in memory or follow from Shape. */
static bool value_integer(const struct loop_match *match, uint32_t index, int64_t *ret_integer)
{
	const struct value *value = graph_value(match->graph, index);

	if (value->known && value->known_count == 1 && value->known[0].symbol < 0) {
		*ret_integer = value->known[0].constant;
		return true;
	}
	if (value->kind != VALUE_CONSTANT || !value->data || value->rank > 1 ||
	    (value->dtype != DTYPE_I32 && value->dtype != DTYPE_I64) ||
	    constant_elements(value) != 1)
		return false;
	*ret_integer = constant_integer(value, 0);
	return true;
}

bool loop_integer(const struct loop_match *match, const char *name, int64_t *ret_integer)
{
	struct loop_term term = loop_term(match, name);
	const struct onnx_node *node;

	switch (term.kind) {
	case LOOP_TENSOR:
		return tensor_integer(&match->body->tensors[term.index], ret_integer);
	case LOOP_OUTER:
		return value_integer(match, term.index, ret_integer);
	case LOOP_NODE:
		node = &match->body->nodes[term.index];
		return is_op(node, "Constant") && node->attribute_count == 1 &&
		       attribute_integer(&node->attributes[0], ret_integer);
	default:
		return false;
	}
}

bool loop_setting(const struct loop_match *match, const struct onnx_node *node, uint32_t input,
		  const char *name, int64_t otherwise, int64_t *ret_integer)
{
	const struct onnx_attribute *attribute = loop_attribute(node, name);

	*ret_integer = otherwise;
	if (has_input(node, input))
		return loop_integer(match, node->inputs[input], ret_integer);
	return !attribute || attribute_integer(attribute, ret_integer);
}

/* What changes the rank or the type of one integer alone. */
static const struct onnx_node *wrapper(const struct loop_match *match, const char *name)
{
	static const char *const ops[] = {"Unsqueeze", "Squeeze", "Reshape", "Cast"};
	const struct onnx_node *node = NULL;
	int64_t to;

	for (size_t op = 0; !node && op < sizeof(ops) / sizeof(ops[0]); op++)
		node = loop_node(match, name, ops[op]);
	if (node && is_op(node, "Cast") &&
	    (!loop_setting(match, node, 1, "to", 0, &to) || (to != DTYPE_I64 && to != DTYPE_I32)))
		return NULL;
	return node;
}

bool loop_index(const struct loop_match *match, const char *name, int64_t *ret_shift)
{
	int64_t shift = 0, addend;

	for (;;) {
		struct loop_term term = loop_term(match, name);
		const struct onnx_node *node = wrapper(match, name);

		if (term.kind == LOOP_INPUT && term.index == 0) {
			*ret_shift = shift;
			return true;
		}
		if (node) {
			name = node->inputs[0];
			continue;
		}
		node = loop_node(match, name, "Add");
		if (!node || node->input_count != 2)
			return false;
		if (loop_integer(match, node->inputs[1], &addend))
			name = node->inputs[0];
		else if (loop_integer(match, node->inputs[0], &addend))
			name = node->inputs[1];
		else
			return false;
		if (__builtin_add_overflow(shift, addend, &shift))
			return false;
	}
}

/* One element of a value of the graph. */
static bool element(const struct loop_match *match, const char *name, uint32_t *ret_value,
		    int64_t *ret_shift)
{
	const struct onnx_node *node;
	int64_t end, setting;

	while ((node = wrapper(match, name)))
		name = node->inputs[0];
	node = loop_node(match, name, "Gather");
	if (node)
		return node->input_count == 2 && loop_outer(match, node->inputs[0], ret_value) &&
		       loop_setting(match, node, UINT32_MAX, "axis", 0, &setting) && setting == 0 &&
		       loop_index(match, node->inputs[1], ret_shift);
	node = loop_node(match, name, "Slice");
	return node && node->input_count >= 3 && loop_outer(match, node->inputs[0], ret_value) &&
	       loop_index(match, node->inputs[1], ret_shift) &&
	       loop_index(match, node->inputs[2], &end) && end - 1 == *ret_shift &&
	       loop_setting(match, node, 3, "", 0, &setting) && setting == 0 &&
	       loop_setting(match, node, 4, "", 1, &setting) && setting == 1;
}

bool loop_slice(const struct loop_match *match, const char *name, struct loop_slice *ret_slice)
{
	const struct onnx_node *node = loop_node(match, name, "Slice");
	int64_t setting;

	return node && node->input_count >= 3 &&
	       loop_outer(match, node->inputs[0], &ret_slice->value) &&
	       element(match, node->inputs[1], &ret_slice->begins, &ret_slice->begin_shift) &&
	       element(match, node->inputs[2], &ret_slice->ends, &ret_slice->end_shift) &&
	       loop_setting(match, node, 3, "", 0, &setting) && setting == 0 &&
	       loop_setting(match, node, 4, "", 1, &setting) && setting == 1;
}

static bool tensor_is_true(const struct onnx_tensor *tensor)
{
	return tensor->dtype == DTYPE_BOOL && tensor->bytes == 1 &&
	       tensor->source == ONNX_INLINE && *(const uint8_t *)tensor->data != 0;
}

static bool value_is_true(const struct value *value)
{
	return value->kind == VALUE_CONSTANT && value->dtype == DTYPE_BOOL && value->data &&
	       constant_elements(value) == 1 && *(const uint8_t *)value->data != 0;
}

bool loop_stays_true(const struct loop_match *match, const char *name)
{
	const struct onnx_node *node;
	struct loop_term term;
	int64_t integer;

	while ((node = loop_node(match, name, "Cast")) &&
	       loop_setting(match, node, UINT32_MAX, "to", 0, &integer) && integer == DTYPE_BOOL)
		name = node->inputs[0];
	if (loop_integer(match, name, &integer))
		return integer != 0;
	term = loop_term(match, name);
	if (term.kind == LOOP_INPUT)
		return term.index == 1;
	if (term.kind == LOOP_TENSOR)
		return tensor_is_true(&match->body->tensors[term.index]);
	if (term.kind == LOOP_OUTER)
		return value_is_true(graph_value(match->graph, term.index));
	node = term.kind == LOOP_NODE ? &match->body->nodes[term.index] : NULL;
	return node && is_op(node, "Constant") && node->attribute_count == 1 &&
	       node->attributes[0].type == ONNX_ATTRIBUTE_TENSOR &&
	       tensor_is_true(node->attributes[0].tensor);
}

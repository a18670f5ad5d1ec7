/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/bodies/loop_match.c - what an expression in a Loop's body is, seen from the outside
 */
#include "graph/bodies/loop_match.h"

#include <string.h>

#include "graph/bodies/control.h"
#include "graph/ops.h"

static struct loop_term term_find(const struct loop_match *match, const char *name)
{
	uint32_t value;

	for (const struct loop_match *in = match; in; in = in->around) {
		const struct onnx_graph *body = in->body;

		for (uint32_t input = 0; input < body->input_count; input++) {
			if (strcmp(body->inputs[input].name, name) == 0)
				return (struct loop_term){LOOP_INPUT, in, input, 0};
		}
		for (uint32_t tensor = 0; tensor < body->tensor_count; tensor++) {
			if (strcmp(body->tensors[tensor].name, name) == 0)
				return (struct loop_term){LOOP_TENSOR, in, tensor, 0};
		}
		for (uint32_t node = 0; node < body->node_count; node++) {
			for (uint32_t output = 0; output < body->nodes[node].output_count; output++) {
				if (strcmp(body->nodes[node].outputs[output], name) == 0)
					return (struct loop_term){LOOP_NODE, in, node, output};
			}
		}
	}
	value = names_value(match->graph, match->node->names, name);
	return (struct loop_term){value == GRAPH_NONE ? LOOP_NOTHING : LOOP_OUTER, match, value, 0};
}

const struct onnx_node *loop_term_node(const struct loop_term *term)
{
	return term->kind == LOOP_NODE ? &term->in->body->nodes[term->index] : NULL;
}

struct loop_term loop_term(const struct loop_match *match, const char *name)
{
	struct loop_term term = term_find(match, name);
	const struct onnx_node *node;

	/* A body's nodes read earlier ones alone, so this ends. */
	while ((node = loop_term_node(&term)) && onnx_node_is(node, "Identity") && onnx_node_reads(node, 0))
		term = term_find(match, node->inputs[0]);
	return term;
}

const struct onnx_node *loop_node(const struct loop_match *match, const char *name,
				  const char *op_type)
{
	struct loop_term term = loop_term(match, name);
	const struct onnx_node *node = loop_term_node(&term);

	return node && term.output == 0 && onnx_node_is(node, op_type) && onnx_node_reads(node, 0) ? node : NULL;
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

/* Is what the name is made of integers? No answer is no. */
static bool is_integers(const struct loop_match *match, const char *name)
{
	static const char *const ops[] = {"Reshape", "Squeeze", "Unsqueeze", "Slice", "Gather",
					  "Add", "Sub", "CastLike"};

	for (;;) {
		struct loop_term term = loop_term(match, name);
		const struct onnx_node *node = loop_term_node(&term);
		bool follows = false;

		if (term.kind == LOOP_INPUT && term.in->loop && term.index >= 2) {
			name = term.in->loop->inputs[term.index];
			continue;
		}
		if (term.kind == LOOP_INPUT && !term.in->around && term.index >= 2)
			return dtype_is_index(node_input(match->graph, match->node, term.index)->dtype);
		if (term.kind == LOOP_INPUT)
			return term.index == 0;
		if (term.kind == LOOP_OUTER)
			return dtype_is_index(graph_value(match->graph, term.index)->dtype);
		if (!node || term.output != 0)
			return false;
		if (onnx_node_is(node, "Shape") || onnx_node_is(node, "Size"))
			return true;
		for (size_t op = 0; op < sizeof(ops) / sizeof(ops[0]); op++)
			follows = follows || onnx_node_is(node, ops[op]);
		if (!follows || !onnx_node_reads(node, onnx_node_is(node, "CastLike")))
			return false;
		name = node->inputs[onnx_node_is(node, "CastLike")];
	}
}

static bool is_integer_like(const struct loop_match *match, const struct onnx_node *node)
{
	return onnx_node_reads(node, 0) && onnx_node_reads(node, 1) && is_integers(match, node->inputs[1]);
}

bool loop_integer(const struct loop_match *match, const char *name, int64_t *ret_integer)
{
	struct loop_term term = loop_term(match, name);
	const struct onnx_node *node;

	switch (term.kind) {
	case LOOP_TENSOR:
		return tensor_integer(&term.in->body->tensors[term.index], ret_integer);
	case LOOP_OUTER:
		return value_integer(match, term.index, ret_integer);
	case LOOP_NODE:
		node = loop_term_node(&term);
		if (onnx_node_is(node, "CastLike") && is_integer_like(match, node))
			return loop_integer(match, node->inputs[0], ret_integer);
		return onnx_node_is(node, "Constant") && node->attribute_count == 1 &&
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
	if (onnx_node_reads(node, input))
		return loop_integer(match, node->inputs[input], ret_integer);
	return !attribute || attribute_integer(attribute, ret_integer);
}

/* What changes the rank or the width of integers alone. */
static const struct onnx_node *wrapper(const struct loop_match *match, const char *name)
{
	static const char *const ops[] = {"Unsqueeze", "Squeeze", "Reshape", "Cast", "CastLike"};
	const struct onnx_node *node = NULL;
	int64_t to;

	for (size_t op = 0; !node && op < sizeof(ops) / sizeof(ops[0]); op++)
		node = loop_node(match, name, ops[op]);
	if (node && onnx_node_is(node, "Cast") &&
	    (!loop_setting(match, node, 1, "to", 0, &to) || (to != DTYPE_I64 && to != DTYPE_I32)))
		return NULL;
	return node && onnx_node_is(node, "CastLike") && !is_integer_like(match, node) ? NULL : node;
}

static const char *bare_name(const struct loop_match *match, const char *name)
{
	const struct onnx_node *node;

	while ((node = wrapper(match, name)))
		name = node->inputs[0];
	return name;
}

struct loop_term loop_bare(const struct loop_match *match, const char *name)
{
	return loop_term(match, bare_name(match, name));
}

bool loop_add(const struct loop_match *match, const char *name, const char **ret_x,
	      int64_t *ret_addend)
{
	const struct onnx_node *node = loop_node(match, bare_name(match, name), "Add");

	if (!node || node->input_count != 2)
		return false;
	if (loop_integer(match, node->inputs[1], ret_addend))
		*ret_x = node->inputs[0];
	else if (loop_integer(match, node->inputs[0], ret_addend))
		*ret_x = node->inputs[1];
	else
		return false;
	return true;
}

bool loop_index(const struct loop_match *match, const char *name, int64_t *ret_shift)
{
	int64_t shift = 0, addend;

	for (;;) {
		struct loop_term term = loop_bare(match, name);

		if (term.kind == LOOP_INPUT && !term.in->around &&
		    (term.index == 0 || term.index == term.in->counter)) {
			*ret_shift = shift;
			return true;
		}
		if (!loop_add(match, name, &name, &addend) ||
		    __builtin_add_overflow(shift, addend, &shift))
			return false;
	}
}

bool loop_element(const struct loop_match *match, const char *name, struct loop_element *ret_element)
{
	const struct onnx_node *node = loop_node(match, bare_name(match, name), "Gather");
	int64_t end, setting;

	if (node)
		return node->input_count == 2 &&
		       loop_outer(match, node->inputs[0], &ret_element->value) &&
		       loop_setting(match, node, UINT32_MAX, "axis", 0, &setting) && setting == 0 &&
		       loop_index(match, node->inputs[1], &ret_element->shift) &&
		       ret_element->shift >= 0;
	node = loop_node(match, bare_name(match, name), "Slice");
	return node && node->input_count >= 3 &&
	       loop_outer(match, node->inputs[0], &ret_element->value) &&
	       loop_index(match, node->inputs[1], &ret_element->shift) &&
	       ret_element->shift >= 0 && loop_index(match, node->inputs[2], &end) &&
	       end - 1 == ret_element->shift && loop_setting(match, node, 3, "", 0, &setting) &&
	       setting == 0 && loop_setting(match, node, 4, "", 1, &setting) && setting == 1;
}

bool loop_same_element(const struct loop_element *a, const struct loop_element *b)
{
	return a->value == b->value && a->shift == b->shift;
}

bool loop_slice(const struct loop_match *match, const char *name, struct loop_slice *ret_slice)
{
	const struct onnx_node *node = loop_node(match, name, "Slice");
	int64_t setting;

	return node && node->input_count >= 3 &&
	       loop_outer(match, node->inputs[0], &ret_slice->value) &&
	       loop_element(match, node->inputs[1], &ret_slice->begin) &&
	       loop_element(match, node->inputs[2], &ret_slice->end) &&
	       loop_setting(match, node, 3, "", 0, &setting) && setting == 0 &&
	       loop_setting(match, node, 4, "", 1, &setting) && setting == 1;
}

static bool branch(const struct loop_match *match, const struct loop_term *term,
		   const char *attribute_name, struct loop_match *ret_match, const char **ret_name)
{
	const struct onnx_attribute *attribute = loop_attribute(loop_term_node(term), attribute_name);

	if (!attribute || attribute->type != ONNX_ATTRIBUTE_GRAPH ||
	    !loop_body_fits(attribute->graph) || attribute->graph->input_count != 0 ||
	    attribute->graph->output_count <= term->output)
		return false;
	*ret_match = *match;
	ret_match->body = attribute->graph;
	ret_match->around = match;
	ret_match->loop = NULL;
	*ret_name = attribute->graph->outputs[term->output].name;
	return true;
}

bool loop_if(const struct loop_match *match, const char *name, struct loop_if *ret_if)
{
	struct loop_term term = loop_term(match, name);
	const struct onnx_node *node = loop_term_node(&term);

	if (!node || !onnx_node_is(node, "If") || !onnx_node_reads(node, 0))
		return false;
	ret_if->condition = node->inputs[0];
	return branch(match, &term, "then_branch", &ret_if->then_match, &ret_if->then_name) &&
	       branch(match, &term, "else_branch", &ret_if->else_match, &ret_if->else_name);
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
		return tensor_is_true(&term.in->body->tensors[term.index]);
	if (term.kind == LOOP_OUTER)
		return value_is_true(graph_value(match->graph, term.index));
	node = loop_term_node(&term);
	return node && onnx_node_is(node, "Constant") && node->attribute_count == 1 &&
	       node->attributes[0].type == ONNX_ATTRIBUTE_TENSOR &&
	       tensor_is_true(node->attributes[0].tensor);
}

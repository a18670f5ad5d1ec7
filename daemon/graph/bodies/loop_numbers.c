/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/bodies/loop_numbers.c - numbers and sizes in a Loop's body that are known before a
 * run
 */
#include <string.h>

#include "graph/bodies/loop_match.h"

static bool tensor_floats(const struct onnx_tensor *tensor, struct loop_floats *ret_floats)
{
	if (tensor->dtype != DTYPE_F32 || tensor->source != ONNX_INLINE || tensor->rank > 2)
		return false;
	ret_floats->data = tensor->data;
	ret_floats->rank = tensor->rank;
	ret_floats->count = (int64_t)(tensor->bytes / sizeof(float));
	for (uint32_t axis = 0; axis < tensor->rank; axis++)
		ret_floats->dims[axis] = dim_constant(tensor->dims[axis]);
	return true;
}

static bool attribute_floats(const struct onnx_attribute *attribute, struct loop_floats *ret_floats)
{
	bool is_one = attribute->type == ONNX_ATTRIBUTE_FLOAT;

	if (attribute->type == ONNX_ATTRIBUTE_TENSOR)
		return tensor_floats(attribute->tensor, ret_floats);
	ret_floats->data = is_one ? &attribute->f : attribute->floats;
	ret_floats->rank = !is_one;
	ret_floats->count = is_one ? 1 : attribute->count;
	ret_floats->dims[0] = dim_constant(ret_floats->count);
	return is_one || attribute->type == ONNX_ATTRIBUTE_FLOATS;
}

static bool value_floats(const struct value *value, struct loop_floats *ret_floats)
{
	if (value->kind != VALUE_CONSTANT || value->dtype != DTYPE_F32 || !value->data ||
	    value->rank > 2)
		return false;
	ret_floats->data = value->data;
	ret_floats->rank = value->rank;
	ret_floats->count = constant_elements(value);
	memcpy(ret_floats->dims, value->dims, sizeof(ret_floats->dims));
	return true;
}

bool loop_floats(const struct loop_match *match, const char *name, struct loop_floats *ret_floats)
{
	struct loop_term term = loop_term(match, name);
	const struct onnx_node *node = loop_term_node(&term);

	if (term.kind == LOOP_TENSOR)
		return tensor_floats(&term.in->body->tensors[term.index], ret_floats);
	if (term.kind == LOOP_OUTER)
		return value_floats(graph_value(match->graph, term.index), ret_floats);
	return node && onnx_node_is(node, "Constant") && node->attribute_count == 1 &&
	       attribute_floats(&node->attributes[0], ret_floats);
}

/* --- sizes --- */

static bool value_sizes(const struct value *value, struct loop_sizes *ret_sizes)
{
	bool is_data = value->kind == VALUE_CONSTANT && value->data && value->rank <= 1 &&
		       dtype_is_index(value->dtype);
	int64_t count = value->known ? value->known_count : is_data ? constant_elements(value) : -1;

	if (count < 0 || count > LOOP_SIZES_MAX)
		return false;
	ret_sizes->count = (uint32_t)count;
	for (uint32_t index = 0; index < ret_sizes->count; index++)
		ret_sizes->dims[index] = value->known ? value->known[index]
						      : dim_constant(constant_integer(value, index));
	return true;
}

static bool tensor_sizes(const struct onnx_tensor *tensor, struct loop_sizes *ret_sizes)
{
	if (tensor->dtype != DTYPE_I64 || tensor->source != ONNX_INLINE || tensor->rank > 1 ||
	    tensor->bytes > LOOP_SIZES_MAX * sizeof(int64_t))
		return false;
	ret_sizes->count = (uint32_t)(tensor->bytes / sizeof(int64_t));
	for (uint32_t index = 0; index < ret_sizes->count; index++) {
		int64_t integer;

		memcpy(&integer, (const int64_t *)tensor->data + index, sizeof(integer));
		ret_sizes->dims[index] = dim_constant(integer);
	}
	return true;
}

static bool constant_sizes(const struct onnx_node *node, struct loop_sizes *ret_sizes)
{
	const struct onnx_attribute *attribute = node->attributes;

	if (node->attribute_count != 1)
		return false;
	if (attribute->type == ONNX_ATTRIBUTE_TENSOR)
		return tensor_sizes(attribute->tensor, ret_sizes);
	if (attribute->type == ONNX_ATTRIBUTE_INTS && attribute->count <= LOOP_SIZES_MAX) {
		ret_sizes->count = attribute->count;
		for (uint32_t index = 0; index < attribute->count; index++)
			ret_sizes->dims[index] = dim_constant(attribute->ints[index]);
		return true;
	}
	ret_sizes->count = 1;
	ret_sizes->dims[0] = dim_constant(attribute->i);
	return attribute->type == ONNX_ATTRIBUTE_INT;
}

static int64_t clamp_axis(int64_t axis, uint32_t rank)
{
	axis += axis < 0 ? (int64_t)rank : 0;
	return axis < 0 ? 0 : axis > (int64_t)rank ? (int64_t)rank : axis;
}

static bool shape_sizes(const struct loop_match *match, const struct onnx_node *node,
			struct loop_sizes *ret_sizes)
{
	const struct value *value;
	int64_t start, end;
	uint32_t index;

	if (!loop_outer(match, node->inputs[0], &index))
		return false;
	value = graph_value(match->graph, index);
	if (!loop_setting(match, node, UINT32_MAX, "start", 0, &start) ||
	    !loop_setting(match, node, UINT32_MAX, "end", value->rank, &end))
		return false;
	ret_sizes->count = 0;
	end = clamp_axis(end, value->rank);
	for (start = clamp_axis(start, value->rank); start < end; start++) {
		if (ret_sizes->count == LOOP_SIZES_MAX)
			return false;
		ret_sizes->dims[ret_sizes->count++] = value->dims[start];
	}
	return true;
}

static bool size_of(const struct loop_match *match, const struct onnx_node *node,
		    struct loop_sizes *ret_sizes)
{
	const struct value *value;
	uint32_t index;

	if (!loop_outer(match, node->inputs[0], &index))
		return false;
	value = graph_value(match->graph, index);
	ret_sizes->count = 1;
	ret_sizes->dims[0] = dim_constant(1);
	for (uint32_t axis = 0; axis < value->rank; axis++) {
		if (!dim_multiply(ret_sizes->dims[0], value->dims[axis], &ret_sizes->dims[0]))
			return false;
	}
	return true;
}

/* x + integer and x - integer, of one x. */
static bool shifted_size(const struct loop_match *match, const char *name, struct loop_sizes *ret_sizes)
{
	const struct onnx_node *node = loop_node(match, name, "Sub");
	int64_t addend;
	const char *x;

	if (node && node->input_count == 2 && loop_integer(match, node->inputs[1], &addend) &&
	    addend > INT64_MIN) {
		x = node->inputs[0];
		addend = -addend;
	} else if (!loop_add(match, name, &x, &addend)) {
		return false;
	}
	return loop_sizes(match, x, ret_sizes) && ret_sizes->count == 1 &&
	       dim_add(ret_sizes->dims[0], dim_constant(addend), &ret_sizes->dims[0]);
}

/* Each part has a size, so that there are few of them however they are nested. */
static bool concat_sizes(const struct loop_match *match, const struct onnx_node *node,
			 struct loop_sizes *ret_sizes)
{
	struct loop_sizes part;

	ret_sizes->count = 0;
	for (uint32_t input = 0; input < node->input_count; input++) {
		if (!loop_sizes(match, node->inputs[input], &part) || part.count == 0 ||
		    part.count > LOOP_SIZES_MAX - ret_sizes->count)
			return false;
		memcpy(&ret_sizes->dims[ret_sizes->count], part.dims,
		       part.count * sizeof(part.dims[0]));
		ret_sizes->count += part.count;
	}
	return true;
}

bool loop_sizes(const struct loop_match *match, const char *name, struct loop_sizes *ret_sizes)
{
	struct loop_term term = loop_bare(match, name);
	const struct onnx_node *node = loop_term_node(&term);

	if (term.kind == LOOP_OUTER)
		return value_sizes(graph_value(match->graph, term.index), ret_sizes);
	if (term.kind == LOOP_TENSOR)
		return tensor_sizes(&term.in->body->tensors[term.index], ret_sizes);
	if (!node || term.output != 0)
		return false;
	if (onnx_node_is(node, "Constant"))
		return constant_sizes(node, ret_sizes);
	if (onnx_node_is(node, "Shape") && onnx_node_reads(node, 0))
		return shape_sizes(match, node, ret_sizes);
	if (onnx_node_is(node, "Size") && onnx_node_reads(node, 0))
		return size_of(match, node, ret_sizes);
	if (onnx_node_is(node, "Concat"))
		return concat_sizes(match, node, ret_sizes);
	return shifted_size(match, node->outputs[0], ret_sizes);
}

bool loop_size(const struct loop_match *match, const char *name, struct dim *ret_size)
{
	struct loop_sizes sizes;

	if (!loop_sizes(match, name, &sizes) || sizes.count != 1)
		return false;
	*ret_size = sizes.dims[0];
	return true;
}

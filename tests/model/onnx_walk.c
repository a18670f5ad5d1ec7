/* SPDX-License-Identifier: MIT */
/* tests/model/onnx_walk.c - every string to its end, every list and tensor to its last byte */
#include "onnx_walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void walk_check(bool is_kept, const char *promise)
{
	if (is_kept)
		return;
	fprintf(stderr, "onnx_walk: broken promise: %s\n", promise);
	abort();
}

static uint64_t walk_bytes(const void *data, uint64_t bytes)
{
	const uint8_t *byte = data;
	uint64_t sum = bytes;

	for (uint64_t index = 0; index < bytes; index++)
		sum = sum * 31 + byte[index];
	return sum;
}

static uint64_t walk_string(const char *string)
{
	walk_check(string != NULL, "strings are never NULL");
	return walk_bytes(string, strlen(string));
}

static uint64_t walk_tensor(const struct onnx_model *model, const struct onnx_tensor *tensor,
			    uint64_t read_bytes_max)
{
	uint64_t elements = 1;
	uint64_t sum = walk_string(tensor->name);
	uint8_t *copy;

	walk_check(tensor->rank <= ONNX_RANK_MAX, "a tensor's rank is at most ONNX_RANK_MAX");
	for (uint32_t dim = 0; dim < tensor->rank; dim++) {
		walk_check(tensor->dims[dim] >= 0, "a tensor's dims are not negative");
		elements *= (uint64_t)tensor->dims[dim];
	}
	if (tensor->dtype == DTYPE_F32 || tensor->dtype == DTYPE_I32 || tensor->dtype == DTYPE_I64)
		walk_check(tensor->bytes == elements * dtype_bytes((enum dtype)tensor->dtype),
			   "a tensor's bytes are the product of its dims and its element's size");
	if (tensor->source == ONNX_INLINE) {
		walk_check(tensor->data != NULL && (uintptr_t)tensor->data % 8 == 0,
			   "inline data is aligned to 8 bytes");
		walk_check(onnx_skew(tensor) == 0, "an inline tensor has no skew");
		sum ^= walk_bytes(tensor->data, tensor->bytes);
	}
	if (tensor->bytes > read_bytes_max)
		return sum;
	copy = malloc(tensor->bytes + 1);
	walk_check(copy != NULL, "there is memory for the test's copy");
	walk_check(onnx_read(model, tensor, copy) == 0, "a tensor of a quiet file can be read");
	sum ^= walk_bytes(copy, tensor->bytes);
	free(copy);
	return sum;
}

static uint64_t walk_body(const struct onnx_model *model, const struct onnx_graph *graph,
			  uint64_t read_bytes_max);

static uint64_t walk_attribute(const struct onnx_model *model,
			       const struct onnx_attribute *attribute, uint64_t read_bytes_max)
{
	uint64_t sum = walk_string(attribute->name) + (uint64_t)attribute->i;

	switch (attribute->type) {
	case ONNX_ATTRIBUTE_STRING:
		walk_check(strlen(attribute->s) == attribute->s_bytes,
			   "a string attribute has no NUL inside");
		sum += walk_string(attribute->s);
		break;
	case ONNX_ATTRIBUTE_INTS:
		sum += walk_bytes(attribute->ints, attribute->count * sizeof(int64_t));
		break;
	case ONNX_ATTRIBUTE_FLOATS:
		sum += walk_bytes(attribute->floats, attribute->count * sizeof(float));
		break;
	case ONNX_ATTRIBUTE_TENSOR:
		walk_check(attribute->tensor->source == ONNX_INLINE,
			   "an attribute's tensor is inline");
		sum += walk_tensor(model, attribute->tensor, read_bytes_max);
		break;
	case ONNX_ATTRIBUTE_GRAPH:
		sum += walk_body(model, attribute->graph, read_bytes_max);
		break;
	default:
		break;
	}
	return sum;
}

static uint64_t walk_node(const struct onnx_model *model, const struct onnx_node *node,
			  uint64_t read_bytes_max)
{
	uint64_t sum =
		walk_string(node->name) + walk_string(node->op_type) + walk_string(node->domain);

	walk_check(*node->op_type != '\0', "a node has an op_type");
	for (uint32_t input = 0; input < node->input_count; input++)
		sum += walk_string(node->inputs[input]);
	for (uint32_t output = 0; output < node->output_count; output++)
		sum += walk_string(node->outputs[output]);
	for (uint32_t attribute = 0; attribute < node->attribute_count; attribute++)
		sum += walk_attribute(model, &node->attributes[attribute], read_bytes_max);
	return sum;
}

static uint64_t walk_value(const struct onnx_value *value)
{
	uint64_t sum = walk_string(value->name);

	walk_check(*value->name != '\0', "an input or output has a name");
	walk_check(value->rank <= ONNX_RANK_MAX, "a value's rank is at most ONNX_RANK_MAX");
	walk_check(value->has_shape || value->rank == 0, "no shape, no rank");
	for (uint32_t dim = 0; dim < value->rank; dim++) {
		walk_check(value->dims[dim].value >= -1, "a dim is -1 or not negative");
		sum += walk_string(value->dims[dim].param);
	}
	return sum;
}

static uint64_t walk_body(const struct onnx_model *model, const struct onnx_graph *graph,
			  uint64_t read_bytes_max)
{
	uint64_t sum = graph->node_count;

	walk_check(graph->output_count >= 1, "a body has an output");
	for (uint32_t node = 0; node < graph->node_count; node++)
		sum += walk_node(model, &graph->nodes[node], read_bytes_max);
	for (uint32_t tensor = 0; tensor < graph->tensor_count; tensor++)
		sum += walk_tensor(model, &graph->tensors[tensor], read_bytes_max);
	for (uint32_t input = 0; input < graph->input_count; input++)
		sum += walk_value(&graph->inputs[input]);
	for (uint32_t output = 0; output < graph->output_count; output++)
		sum += walk_value(&graph->outputs[output]);
	return sum;
}

uint64_t onnx_walk(const struct onnx_model *model, uint64_t read_bytes_max)
{
	uint64_t sum = walk_string(model->producer);

	walk_check(model->ir_version >= 1 && model->opset >= 1, "IR version and opset are known");
	walk_check(model->output_count >= 1, "a model has an output");
	for (uint32_t node = 0; node < model->node_count; node++)
		sum += walk_node(model, &model->nodes[node], read_bytes_max);
	for (uint32_t tensor = 0; tensor < model->tensor_count; tensor++)
		sum += walk_tensor(model, &model->tensors[tensor], read_bytes_max);
	for (uint32_t input = 0; input < model->input_count; input++)
		sum += walk_value(&model->inputs[input]);
	for (uint32_t output = 0; output < model->output_count; output++)
		sum += walk_value(&model->outputs[output]);
	return sum;
}

const struct onnx_tensor *onnx_walk_tensor(const struct onnx_model *model, const char *name)
{
	for (uint32_t tensor = 0; tensor < model->tensor_count; tensor++)
		if (strcmp(model->tensors[tensor].name, name) == 0)
			return &model->tensors[tensor];
	return NULL;
}

const struct onnx_node *onnx_walk_node(const struct onnx_model *model, const char *name)
{
	for (uint32_t node = 0; node < model->node_count; node++)
		if (strcmp(model->nodes[node].name, name) == 0)
			return &model->nodes[node];
	return NULL;
}

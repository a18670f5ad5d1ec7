/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/bodies/control.c - control flow is resolved while a graph is inferred: no step
 * branches
 */
#include "graph/bodies/control.h"

#include <errno.h>
#include <string.h>

#include "graph/ops.h"

/* Counts what a body brings, each time it does. */
static int control_spend(struct graph *graph, const struct node *node,
			 const struct onnx_graph *source)
{
	uint64_t count = 1 + (uint64_t)source->node_count + source->tensor_count +
			 source->output_count;

	if (count > GRAPH_EXPANDED_MAX - graph->expanded)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "the bodies of If and Loop nodes unfold into more than %d nodes",
				   GRAPH_EXPANDED_MAX);
	graph->expanded += count;
	return 0;
}

int body_init(struct graph *graph, const struct node *node, const char *name, uint32_t input_count,
	      uint32_t output_count, struct body *ret_body)
{
	const struct onnx_attribute *attribute = attribute_find(node, name);
	struct body body = {.source = NULL};
	int r;

	if (!attribute || attribute->type != ONNX_ATTRIBUTE_GRAPH)
		return node_refuse(graph, node, -EINVAL, "it has no attribute '%s'", name);
	body.source = attribute->graph;
	if (body.source->input_count != input_count || body.source->output_count != output_count)
		return node_refuse(graph, node, -EINVAL,
				   "its %s has %u inputs and %u outputs; %u and %u are wanted", name,
				   body.source->input_count, body.source->output_count, input_count,
				   output_count);
	r = control_spend(graph, node, body.source);
	if (r < 0)
		return err_trace(r);
	body.names = graph_allocate(graph, 1, sizeof(*body.names));
	body.tensors = graph_allocate(graph, body.source->tensor_count, sizeof(*body.tensors));
	if (!body.names || !body.tensors)
		return err_trace(-ENOMEM);
	r = names_init(graph, body.names, body.source, node->names);
	if (r < 0)
		return err_trace(r);
	for (uint32_t tensor = 0; tensor < body.source->tensor_count; tensor++) {
		const char *tensor_name = body.source->tensors[tensor].name;

		r = import_tensor(graph, body.names, &body.source->tensors[tensor]);
		if (r < 0)
			return err_trace(r);
		body.tensors[tensor] = names_find(graph, body.names, tensor_name)->value;
	}
	*ret_body = body;
	return 0;
}

int body_emit(struct graph *graph, const struct node *node, struct body *body,
	      const uint32_t inputs[], uint32_t outputs[])
{
	const struct onnx_graph *source = body->source;
	int r;

	r = control_spend(graph, node, source);
	if (r < 0)
		return err_trace(r);
	names_clear(body->names);
	for (uint32_t input = 0; input < source->input_count; input++)
		names_find(graph, body->names, source->inputs[input].name)->value = inputs[input];
	for (uint32_t tensor = 0; tensor < source->tensor_count; tensor++)
		names_find(graph, body->names, source->tensors[tensor].name)->value =
			body->tensors[tensor];
	for (uint32_t index = 0; index < source->node_count; index++) {
		struct node inner = {.source = NULL};

		r = import_node(graph, body->names, &source->nodes[index], &inner);
		if (r < 0)
			return err_trace(r);
		r = graph_emit(graph, &inner);
		if (r < 0)
			return err_trace(r);
	}
	for (uint32_t output = 0; output < source->output_count; output++)
		outputs[output] = names_value(graph, body->names, source->outputs[output].name);
	return 0;
}

int control_condition(struct graph *graph, uint32_t index, bool *ret_known, bool *ret_true)
{
	struct value *value = graph_value(graph, index);
	const void *data;
	int r;

	*ret_known = value->kind == VALUE_CONSTANT && value->dtype == DTYPE_BOOL &&
		     value->rank <= KERNEL_RANK_MAX && constant_elements(value) == 1;
	if (!*ret_known)
		return 0;
	r = graph_constant_data(graph, value, &data);
	if (r < 0)
		return err_trace(r);
	*ret_true = *(const uint8_t *)data != 0;
	return 0;
}

/* A source as the file would have it, for the shape rule. */
static struct onnx_node *source_new(struct graph *graph, const struct node *node,
				    const char *op_type, uint32_t input_count,
				    const struct control_attribute attributes[])
{
	struct onnx_node *source = graph_allocate(graph, 1, sizeof(*source));
	struct onnx_attribute *made;
	int64_t *integers;
	uint32_t count = 0;

	while (attributes && attributes[count].name)
		count++;
	made = graph_allocate(graph, count, sizeof(*made));
	integers = graph_allocate(graph, count, sizeof(attributes->values));
	if (!source || !made || !integers)
		return NULL;
	for (uint32_t index = 0; index < count; index++) {
		int64_t *values = integers + index * KERNEL_RANK_MAX;

		memcpy(values, attributes[index].values, sizeof(attributes[index].values));
		made[index] = (struct onnx_attribute){
			.name = attributes[index].name,
			.type = attributes[index].count > 0 ? ONNX_ATTRIBUTE_INTS
							    : ONNX_ATTRIBUTE_INT,
			.i = values[0],
			.s = "",
			.count = attributes[index].count,
			.ints = values,
		};
	}
	*source = (struct onnx_node){
		.name = node->source->name,
		.op_type = op_type,
		.domain = "",
		.input_count = input_count,
		.output_count = 1,
		.attributes = made,
		.attribute_count = count,
	};
	return source;
}

int control_emit(struct graph *graph, const struct node *node, const char *op_type,
		 const uint32_t inputs[], uint32_t input_count,
		 const struct control_attribute attributes[], uint32_t *ret_value)
{
	struct node emitted = {
		.source = source_new(graph, node, op_type, input_count, attributes),
		.op = op_find(op_type),
		.names = node->names,
		.name = node->name,
		.input_count = input_count,
		.output_count = 1,
		.inputs = graph_allocate(graph, input_count, sizeof(*emitted.inputs)),
		.outputs = graph_allocate(graph, 1, sizeof(*emitted.outputs)),
		.bias = GRAPH_NONE,
	};

	if (!emitted.source || !emitted.inputs || !emitted.outputs)
		return err_trace(-ENOMEM);
	if (!emitted.op)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "it needs the operator %s, which is not supported; supported: %s",
				   op_type, op_list());
	memcpy(emitted.inputs, inputs, input_count * sizeof(inputs[0]));
	if (!graph_value_new(graph, node->name, &emitted.outputs[0]))
		return err_trace(-ENOMEM);
	*ret_value = emitted.outputs[0];
	return graph_emit(graph, &emitted);
}

int control_alias(struct graph *graph, const struct node *node, uint32_t output, uint32_t from)
{
	struct node alias = {
		.source = node->source,
		.op = op_find("Identity"),
		.names = node->names,
		.name = node->name,
		.input_count = 1,
		.output_count = 1,
		.bias = GRAPH_NONE,
		.stands_for = output == 0,
	};
	struct value *value;

	if (!node_has_output(node, output))
		return 0;
	value = node_output(graph, node, output);
	if (from == GRAPH_NONE || graph_value(graph, from)->kind == VALUE_UNKNOWN) {
		/* With a survey it was refused, and what reads this is behind it. */
		if (graph->survey)
			return 0;
		return node_refuse(graph, node, -EINVAL, "output '%s' is not computed", value->name);
	}
	if (graph_value(graph, from)->kind == VALUE_SEQUENCE) {
		value->kind = VALUE_SEQUENCE;
		value->items = graph_value(graph, from)->items;
		value->item_count = graph_value(graph, from)->item_count;
		value->items_joined = graph_value(graph, from)->items_joined;
		return 0;
	}
	alias.inputs = graph_allocate(graph, 1, sizeof(*alias.inputs));
	alias.outputs = graph_allocate(graph, 1, sizeof(*alias.outputs));
	if (!alias.inputs || !alias.outputs)
		return err_trace(-ENOMEM);
	alias.inputs[0] = from;
	alias.outputs[0] = node->outputs[output];
	return graph_emit(graph, &alias);
}

int control_concat(struct graph *graph, const struct node *node, const uint32_t items[],
		   uint32_t item_count, int64_t axis, bool is_new_axis, uint32_t *ret_value)
{
	const struct control_attribute axes[] = {{"axes", 1, {axis}}, {NULL, 0, {0}}};
	const struct control_attribute one[] = {{"axis", 0, {axis}}, {NULL, 0, {0}}};
	uint32_t *parts = graph_allocate(graph, item_count, sizeof(*parts));
	int r;

	if (!parts)
		return err_trace(-ENOMEM);
	for (uint32_t item = 0; item < item_count; item++) {
		parts[item] = items[item];
		if (!is_new_axis || items[item] == GRAPH_NONE)
			continue;
		r = control_emit(graph, node, "Unsqueeze", &items[item], 1, axes, &parts[item]);
		if (r < 0)
			return err_trace(r);
	}
	if (item_count == 1) {
		*ret_value = parts[0];
		return 0;
	}
	return control_emit(graph, node, "Concat", parts, item_count, one, ret_value);
}

int lower_expanded(struct lowering *lowering, const struct node *node)
{
	(void)lowering;
	(void)node;
	return 0;
}

int infer_if(struct graph *graph, struct node *node)
{
	uint32_t *outputs = graph_allocate(graph, node->output_count, sizeof(*outputs));
	bool is_known, is_true = false;
	struct body body;
	int r;

	if (!outputs)
		return err_trace(-ENOMEM);
	r = control_condition(graph, node->inputs[0], &is_known, &is_true);
	if (r < 0)
		return err_trace(r);
	if (!is_known)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "its condition ('%s') is computed at run time; supported: one that "
				   "follows from constants and sizes",
				   node_input(graph, node, 0)->name);
	r = body_init(graph, node, is_true ? "then_branch" : "else_branch", 0, node->output_count,
		      &body);
	if (r < 0)
		return err_trace(r);
	r = body_emit(graph, node, &body, NULL, outputs);
	for (uint32_t output = 0; r >= 0 && output < node->output_count; output++)
		r = control_alias(graph, node, output, outputs[output]);
	return r < 0 ? err_trace(r) : 0;
}

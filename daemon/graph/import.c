/* SPDX-License-Identifier: MIT */
/* daemon/graph/import.c - from the file's names to values and nodes; refuses what is not supported
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"
#include "graph/names.h"
#include "graph/ops.h"

static int symbol_of(struct graph *graph, const struct onnx_value *input, uint32_t axis,
		     struct dim *ret_dim)
{
	const char *name = input->dims[axis].param;
	char *made;

	/* Files without names for their free sizes mean the batch by the outermost one. */
	if (name[0] == '\0' && axis == 0)
		name = "batch";
	if (name[0] == '\0') {
		size_t bytes = strlen(input->name) + 16;

		made = graph_allocate(graph, bytes, 1);
		if (!made)
			return err_trace(-ENOMEM);
		(void)snprintf(made, bytes, "%s.%u", input->name, axis);
		name = made;
	}
	for (uint32_t symbol = 0; symbol < graph->symbol_count; symbol++) {
		if (strcmp(graph->symbols[symbol], name) == 0) {
			*ret_dim = dim_symbol(symbol);
			return 0;
		}
	}
	if (graph->symbol_count == SIGNATURE_SYMBOLS_MAX)
		return err_raise(-EOPNOTSUPP,
				 "%s: input '%s': more than %d free sizes are not supported",
				 graph->name, input->name, SIGNATURE_SYMBOLS_MAX);
	*ret_dim = dim_symbol(graph->symbol_count);
	graph->symbols[graph->symbol_count++] = name;
	return 0;
}

static int dtype_check(const struct graph *graph, const char *what, const char *name, int32_t dtype)
{
	if (dtype_is_supported(dtype))
		return 0;
	return err_raise(-EOPNOTSUPP, "%s: %s '%s' is %s; supported: " GRAPH_DTYPES,
			 graph->name, what, name, dtype_name(dtype));
}

/* As infer.c bounds what nodes compute: free sizes count as 1. */
static int input_check_size(const struct graph *graph, const struct value *value)
{
	char text[SHAPE_TEXT_BYTES];
	int64_t elements = 1;

	for (uint32_t axis = 0; axis < value->rank; axis++) {
		struct dim dim = value->dims[axis];
		int64_t size = dim.symbol < 0 && dim.constant > 0 ? dim.constant : 1;

		if (elements > GRAPH_ELEMENTS_MAX / size)
			return err_raise(-EOPNOTSUPP, "%s: input '%s' of shape %s is too large",
					 graph->name, value->name, shape_text(graph, value, text));
		elements *= size;
	}
	return 0;
}

static int import_input(struct graph *graph, struct names *names, uint32_t index)
{
	const struct onnx_value *input = &graph->model->inputs[index];
	struct value *value;
	int r;

	r = dtype_check(graph, "input", input->name, input->dtype);
	if (r < 0)
		return err_trace(r);
	if (!input->has_shape)
		return err_raise(-EOPNOTSUPP, "%s: input '%s' has no shape", graph->name,
				 input->name);
	if (input->rank > SIGNATURE_RANK_MAX)
		return err_raise(
			-EOPNOTSUPP,
			"%s: input '%s' has %u dimensions; inputs and outputs have at most %d",
			graph->name, input->name, input->rank, SIGNATURE_RANK_MAX);
	r = names_add(graph, names, input->name, &value, &graph->inputs[index]);
	if (r < 0)
		return err_trace(r);
	value->kind = VALUE_INPUT;
	value->dtype = (enum dtype)input->dtype;
	value->rank = input->rank;
	value->input_index = index;
	for (uint32_t axis = 0; axis < input->rank; axis++) {
		int64_t size = input->dims[axis].value;

		value->dims[axis] = dim_constant(size);
		if (size < 0)
			r = symbol_of(graph, input, axis, &value->dims[axis]);
		else if (size > UINT32_MAX)
			r = err_raise(-EOPNOTSUPP, "%s: input '%s': dimension %u is %lld",
				      graph->name, input->name, axis, (long long)size);
		if (r < 0)
			return err_trace(r);
	}
	r = input_check_size(graph, value);
	if (r < 0)
		return err_trace(r);
	return 0;
}

/* With a survey, what reads a refused input is behind it, and not wrong by itself. */
static int import_unknown(struct graph *graph, struct names *names, uint32_t index, int error)
{
	const char *name = graph->model->inputs[index].name;
	struct value *value;
	int r;

	r = survey_note(graph->survey, error);
	if (r < 0)
		return err_trace(r);
	if (names_find(graph, names, name)->value != GRAPH_NONE)
		return 0;
	return names_add(graph, names, name, &value, &graph->inputs[index]);
}

int import_tensor(struct graph *graph, struct names *names, const struct onnx_tensor *tensor)
{
	struct value *value;
	uint32_t index;
	int r;

	r = names_add(graph, names, tensor->name, &value, &index);
	if (r < 0)
		return err_trace(r);
	value->kind = VALUE_CONSTANT;
	value->dtype = (enum dtype)tensor->dtype;
	value->rank = tensor->rank;
	value->tensor = tensor;
	value->data = tensor->source == ONNX_INLINE ? tensor->data : NULL;
	for (uint32_t axis = 0; axis < tensor->rank && axis < KERNEL_RANK_MAX; axis++)
		value->dims[axis] = dim_constant(tensor->dims[axis]);
	return 0;
}

/* Is `attribute` in the operator's list, with that type? */
static bool attribute_is_listed(const struct op *op, const struct onnx_attribute *attribute)
{
	static const char letters[] = {
		[ONNX_ATTRIBUTE_INT] = 'i',  [ONNX_ATTRIBUTE_FLOAT] = 'f',
		[ONNX_ATTRIBUTE_STRING] = 's', [ONNX_ATTRIBUTE_INTS] = 'I',
		[ONNX_ATTRIBUTE_FLOATS] = 'F', [ONNX_ATTRIBUTE_TENSOR] = 't',
		[ONNX_ATTRIBUTE_GRAPH] = 'g',  [ONNX_ATTRIBUTE_OTHER] = '?',
	};
	size_t length = strlen(attribute->name);

	for (const char *item = op->attributes; *item;) {
		size_t item_length = strcspn(item, " ");

		if (item[0] == letters[attribute->type] && item_length == length + 2 &&
		    memcmp(item + 2, attribute->name, length) == 0)
			return true;
		item += item_length;
		item += strspn(item, " ");
	}
	return false;
}

static int node_check(struct graph *graph, struct node *node)
{
	const struct onnx_node *source = node->source;

	if (source->domain[0] != '\0' && strcmp(source->domain, "ai.onnx") != 0)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "domain '%s' is not supported; supported: ONNX's own, with %s",
				   source->domain, op_list());
	node->op = op_find(source->op_type);
	if (!node->op)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "the operator is not supported; supported: %s", op_list());
	if (node->op->since > graph->model->opset)
		return node_refuse(graph, node, -EINVAL, "the operator exists since opset %u",
				   node->op->since);
	if (source->input_count < node->op->input_min || source->input_count > node->op->input_max)
		return node_refuse(graph, node, -EINVAL, "it has %u inputs", source->input_count);
	if (source->output_count < 1 || source->output_count > node->op->output_max)
		return node_refuse(graph, node, -EINVAL, "it has %u outputs; at most %u",
				   source->output_count, node->op->output_max);
	for (uint32_t index = 0; index < source->attribute_count; index++) {
		if (!attribute_is_listed(node->op, &source->attributes[index]))
			return node_refuse(graph, node, -EOPNOTSUPP,
					   "attribute '%s' is unknown or has the wrong type",
					   source->attributes[index].name);
	}
	return 0;
}

static int node_resolve(struct graph *graph, const struct names *names, struct node *node,
			uint32_t index)
{
	const char *name = node->source->inputs[index];
	uint32_t read;
	const struct value *value;

	node->inputs[index] = GRAPH_NONE;
	if (name[0] == '\0') {
		if ((index < node->op->input_min || node->op->input_max == UINT32_MAX) &&
		    node->op->infer != infer_loop)
			return node_refuse(graph, node, -EINVAL, "input %u is left out", index);
		return 0;
	}
	read = names_value(graph, names, name);
	if (read == GRAPH_NONE)
		return node_refuse(graph, node, -EINVAL,
				   "input '%s' is defined neither before it nor at all", name);
	node->inputs[index] = read;
	value = graph->values[read];
	if (value->kind != VALUE_CONSTANT)
		return 0;
	if (!dtype_is_supported((int32_t)value->dtype))
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "tensor '%s' is %s; supported: " GRAPH_DTYPES, name,
				   dtype_name((int32_t)value->dtype));
	if (value->rank > KERNEL_RANK_MAX)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "tensor '%s' has %u dimensions; at most %d are supported", name,
				   value->rank, KERNEL_RANK_MAX);
	return 0;
}

int import_node(struct graph *graph, struct names *names, const struct onnx_node *source,
		struct node *node)
{
	struct value *value;
	int r;

	node->source = source;
	node->names = names;
	node->name = source->name[0] != '\0'    ? source->name
		     : source->output_count > 0 ? source->outputs[0]
						: "";
	node->bias = GRAPH_NONE;
	node->stands_for = 1;
	r = node_check(graph, node);
	if (r < 0) {
		node->is_refused = true;
		r = survey_note(graph->survey, r);
		if (r < 0)
			return err_trace(r);
	}
	node->input_count = source->input_count;
	node->output_count = source->output_count;
	node->inputs = graph_allocate(graph, source->input_count, sizeof(node->inputs[0]));
	node->outputs = graph_allocate(graph, source->output_count, sizeof(node->outputs[0]));
	if (!node->inputs || !node->outputs)
		return err_trace(-ENOMEM);
	for (uint32_t input = 0; input < source->input_count && !node->is_refused; input++) {
		r = node_resolve(graph, names, node, input);
		if (r < 0) {
			node->is_refused = true;
			r = survey_note(graph->survey, r);
			if (r < 0)
				return err_trace(r);
		}
	}
	for (uint32_t output = 0; output < source->output_count; output++) {
		node->outputs[output] = GRAPH_NONE;
		if (source->outputs[output][0] == '\0')
			continue;
		r = names_add(graph, names, source->outputs[output], &value,
			      &node->outputs[output]);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

static int import_outputs(struct graph *graph, const struct names *names)
{
	for (uint32_t index = 0; index < graph->output_count; index++) {
		const char *name = graph->model->outputs[index].name;
		const struct name *entry = names_find(graph, names, name);

		if (!entry || entry->value == GRAPH_NONE)
			return err_raise(-EINVAL, "%s: no node computes the output '%s'",
					 graph->name, name);
		graph->outputs[index] = entry->value;
	}
	return 0;
}

static int counts_check(const struct graph *graph)
{
	const struct onnx_model *model = graph->model;

	if (model->opset < GRAPH_OPSET_MIN || model->opset > GRAPH_OPSET_MAX)
		return err_raise(-EOPNOTSUPP, "%s: opset %lld; supported: %d to %d", graph->name,
				 (long long)model->opset, GRAPH_OPSET_MIN, GRAPH_OPSET_MAX);
	if (model->node_count > GRAPH_NODES_MAX)
		return err_raise(-EOPNOTSUPP, "%s: %u nodes; at most %d are supported", graph->name,
				 model->node_count, GRAPH_NODES_MAX);
	if (model->input_count > SIGNATURE_TENSORS_MAX ||
	    model->output_count > SIGNATURE_TENSORS_MAX)
		return err_raise(-EOPNOTSUPP,
				 "%s: %u inputs and %u outputs; at most %d of each are supported",
				 graph->name, model->input_count, model->output_count,
				 SIGNATURE_TENSORS_MAX);
	if (model->output_count == 0)
		return err_raise(-EINVAL, "%s: the graph has no output", graph->name);
	return 0;
}

/* The file's own graph, as a body is. */
static struct onnx_graph model_graph(const struct onnx_model *model)
{
	return (struct onnx_graph){
		.node_count = model->node_count,
		.tensor_count = model->tensor_count,
		.input_count = model->input_count,
		.output_count = model->output_count,
		.nodes = model->nodes,
		.tensors = model->tensors,
		.inputs = model->inputs,
		.outputs = model->outputs,
	};
}

int graph_import(struct graph *graph)
{
	const struct onnx_model *model = graph->model;
	const struct onnx_graph source = model_graph(model);
	struct names *names;
	int r;

	r = counts_check(graph);
	if (r < 0)
		return err_trace(r);
	graph->node_count = model->node_count;
	graph->input_count = model->input_count;
	graph->output_count = model->output_count;
	graph->nodes = graph_allocate(graph, model->node_count, sizeof(graph->nodes[0]));
	graph->inputs = graph_allocate(graph, model->input_count, sizeof(graph->inputs[0]));
	graph->outputs = graph_allocate(graph, model->output_count, sizeof(graph->outputs[0]));
	names = graph_allocate(graph, 1, sizeof(*names));
	if (!graph->nodes || !graph->inputs || !graph->outputs || !names)
		return err_trace(-ENOMEM);
	r = names_init(graph, names, &source, NULL);
	if (r < 0)
		return err_trace(r);
	for (uint32_t input = 0; input < model->input_count; input++) {
		r = import_input(graph, names, input);
		if (r < 0)
			r = import_unknown(graph, names, input, r);
		if (r < 0)
			return err_trace(r);
	}
	for (uint32_t tensor = 0; tensor < model->tensor_count; tensor++) {
		r = import_tensor(graph, names, &model->tensors[tensor]);
		if (r < 0)
			return err_trace(r);
	}
	for (uint32_t node = 0; node < model->node_count; node++) {
		r = import_node(graph, names, &model->nodes[node], &graph->nodes[node]);
		if (r < 0)
			return err_trace(r);
	}
	r = import_outputs(graph, names);
	if (r < 0)
		return err_trace(r);
	return 0;
}

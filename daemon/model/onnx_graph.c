/* SPDX-License-Identifier: MIT */
/*
 * daemon/model/onnx_graph.c - a ModelProto becomes struct onnx_model: names, values, tensors
 *
 * Names are checked with one sorted table, so that no choice of names costs
 * more than another.
 */
#include "onnx_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx.pb-c.h"

#define VALUE_DIM_MAX INT32_MAX /* a request's dims are counted in 32 bits */

static int name_compare(const void *one, const void *other)
{
	const struct onnx_name *left = one;
	const struct onnx_name *right = other;
	int order = strcmp(left->name, right->name);

	return order != 0 ? order : (int)left->kind - (int)right->kind;
}

static void names_add(struct onnx_names *names, const char *name, enum onnx_name_kind kind,
		      size_t index)
{
	names->entries[names->count++] =
		(struct onnx_name){.name = name, .kind = kind, .index = (uint32_t)index};
}

/* Each name once, except an input that only gives an initializer's type (as files of IR version 3
 * do), and in a body none that it sees of the graphs around it. */
static int names_check(const struct onnx_whole *whole, const struct onnx_names *names)
{
	for (size_t index = 1; index < names->count; index++) {
		const struct onnx_name *left = &names->entries[index - 1];
		const struct onnx_name *right = &names->entries[index];

		if (strcmp(left->name, right->name) == 0 &&
		    !(left->kind == ONNX_NAME_INITIALIZER && right->kind == ONNX_NAME_INPUT))
			return err_raise(-EINVAL, "%s/model.onnx: the name \"%s\" is defined twice",
					 whole->name, left->name);
	}
	for (size_t index = 0; names->outer && index < names->count; index++)
		if (onnx_names_find_outer(names, names->entries[index].name))
			return err_raise(-EINVAL,
					 "%s/model.onnx: the name \"%s\" is defined in a node's body "
					 "and outside it",
					 whole->name, names->entries[index].name);
	return 0;
}

/* Everything the graph defines, sorted. */
static int names_collect(const struct onnx_whole *whole, const Onnx__GraphProto *graph,
			 struct onnx_names *names)
{
	size_t capacity = graph->n_initializer + graph->n_input;

	for (size_t node = 0; node < graph->n_node; node++)
		capacity += graph->node[node]->n_output;
	names->entries = calloc(capacity + 1, sizeof(names->entries[0]));
	if (!names->entries)
		return onnx_no_memory(whole);
	for (size_t index = 0; index < graph->n_initializer; index++) {
		const char *name = graph->initializer[index]->name;

		if (!name || !*name)
			return err_raise(-EINVAL, "%s/model.onnx: initializer %zu has no name",
					 whole->name, index);
		names_add(names, name, ONNX_NAME_INITIALIZER, index);
	}
	for (size_t index = 0; index < graph->n_input; index++) {
		const char *name = graph->input[index]->name;

		if (!name || !*name)
			return err_raise(-EINVAL, "%s/model.onnx: graph input %zu has no name",
					 whole->name, index);
		names_add(names, name, ONNX_NAME_INPUT, index);
	}
	for (size_t node = 0; node < graph->n_node; node++)
		for (size_t output = 0; output < graph->node[node]->n_output; output++)
			if (*graph->node[node]->output[output])
				names_add(names, graph->node[node]->output[output],
					  ONNX_NAME_OUTPUT, node);
	assert(names->count <= capacity);

	qsort(names->entries, names->count, sizeof(names->entries[0]), name_compare);
	return names_check(whole, names);
}

static int value_dim(struct onnx_whole *whole, const Onnx__TensorShapeProto__Dimension *proto,
		     const char *label, uint32_t dim_index, struct onnx_dim *dim)
{
	const char *param = "";

	dim->value = -1;
	if (proto->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE) {
		if (proto->dim_value < 0 || proto->dim_value > VALUE_DIM_MAX)
			return err_raise(-EINVAL,
					 "%s/model.onnx: %s: dim %u is %lld; 0 to %d, or a symbol, "
					 "is wanted",
					 whole->name, label, dim_index, (long long)proto->dim_value,
					 VALUE_DIM_MAX);
		dim->value = proto->dim_value;
	} else if (proto->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM) {
		param = proto->dim_param;
	}
	dim->param = onnx_copy_string(whole, param);
	return dim->param ? 0 : onnx_no_memory(whole);
}

/* In a body types are hints, and a value may be a sequence. */
static int value_fill_body(struct onnx_whole *whole, const Onnx__ValueInfoProto *proto,
			   struct onnx_value *value)
{
	const Onnx__TypeProto *type = proto->type;

	value->name = onnx_copy_string(whole, proto->name);
	if (!value->name)
		return onnx_no_memory(whole);
	if (type && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE &&
	    type->tensor_type->has_elem_type)
		value->dtype = type->tensor_type->elem_type;
	return 0;
}

static int value_fill(struct onnx_whole *whole, const Onnx__ValueInfoProto *proto, const char *side,
		      struct onnx_value *value)
{
	const Onnx__TypeProto__Tensor *tensor;
	const Onnx__TensorShapeProto *shape;
	char label[ONNX_LABEL_BYTES];
	int r;

	snprintf(label, sizeof(label), "graph %s \"%.300s\"", side, proto->name);
	if (!proto->type || proto->type->value_case == ONNX__TYPE_PROTO__VALUE__NOT_SET)
		return err_raise(-EINVAL, "%s/model.onnx: %s has no type", whole->name, label);
	if (proto->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
		return err_raise(-EOPNOTSUPP,
				 "%s/model.onnx: %s is not a tensor (but a sequence, map, optional "
				 "or sparse tensor)",
				 whole->name, label);
	tensor = proto->type->tensor_type;
	shape = tensor->shape;
	if (!tensor->has_elem_type || tensor->elem_type <= 0)
		return err_raise(-EINVAL, "%s/model.onnx: %s has no data type", whole->name, label);
	if (shape && shape->n_dim > ONNX_RANK_MAX)
		return err_raise(-EINVAL, "%s/model.onnx: %s has %zu dims; at most %d are read",
				 whole->name, label, shape->n_dim, ONNX_RANK_MAX);
	value->name = onnx_copy_string(whole, proto->name);
	if (!value->name)
		return onnx_no_memory(whole);
	value->dtype = tensor->elem_type;
	value->has_shape = shape != NULL;
	value->rank = shape ? (uint32_t)shape->n_dim : 0;
	for (uint32_t dim = 0; dim < value->rank; dim++) {
		r = value_dim(whole, shape->dim[dim], label, dim, &value->dims[dim]);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

static int graph_inputs(struct onnx_whole *whole, const Onnx__GraphProto *proto,
			const struct onnx_names *names, struct onnx_graph *graph)
{
	int r;

	graph->inputs = onnx_alloc(whole, proto->n_input + 1, sizeof(graph->inputs[0]));
	if (!graph->inputs)
		return onnx_no_memory(whole);
	for (size_t index = 0; index < proto->n_input; index++) {
		const struct onnx_name *name = onnx_names_find(names, proto->input[index]->name);

		if (name->kind == ONNX_NAME_INITIALIZER)
			continue;
		r = names->outer ? value_fill_body(whole, proto->input[index],
						   &graph->inputs[graph->input_count])
				 : value_fill(whole, proto->input[index], "input",
					      &graph->inputs[graph->input_count]);
		if (r < 0)
			return err_trace(r);
		graph->input_count++;
	}
	return 0;
}

static int graph_outputs(struct onnx_whole *whole, const Onnx__GraphProto *proto,
			 const struct onnx_names *names, struct onnx_graph *graph)
{
	const char **sorted = onnx_alloc(whole, proto->n_output + 1, sizeof(sorted[0]));
	int r;

	graph->outputs = onnx_alloc(whole, proto->n_output + 1, sizeof(graph->outputs[0]));
	if (!graph->outputs || !sorted)
		return onnx_no_memory(whole);
	if (proto->n_output == 0)
		return err_raise(-EINVAL, "%s/model.onnx: its graph has no outputs", whole->name);
	for (size_t index = 0; index < proto->n_output; index++) {
		const char *name = proto->output[index]->name;

		if (!name || !*name)
			return err_raise(-EINVAL, "%s/model.onnx: graph output %zu has no name",
					 whole->name, index);
		if (!onnx_names_find(names, name) && !onnx_names_find_outer(names, name))
			return err_raise(-EINVAL,
					 "%s/model.onnx: graph output \"%s\" is defined by nothing",
					 whole->name, name);
		r = names->outer
			    ? value_fill_body(whole, proto->output[index], &graph->outputs[index])
			    : value_fill(whole, proto->output[index], "output",
					 &graph->outputs[index]);
		if (r < 0)
			return err_trace(r);
		sorted[index] = graph->outputs[index].name;
	}
	qsort(sorted, proto->n_output, sizeof(sorted[0]), onnx_string_compare);
	for (size_t index = 1; !names->outer && index < proto->n_output; index++)
		if (strcmp(sorted[index - 1], sorted[index]) == 0)
			return err_raise(-EINVAL,
					 "%s/model.onnx: graph output \"%s\" is there twice",
					 whole->name, sorted[index]);
	graph->output_count = (uint32_t)proto->n_output;
	return 0;
}

/* Of the model's own graph `thin` says which of them were left in the file. */
static int graph_tensors(struct onnx_whole *whole, const Onnx__GraphProto *proto,
			 const struct onnx_thin *thin, struct onnx_graph *graph)
{
	const struct onnx_left *left = thin ? thin->left : NULL;
	const struct onnx_left *left_end = left ? left + thin->left_count : NULL;
	char label[ONNX_LABEL_BYTES];
	int r;

	graph->tensors = onnx_alloc(whole, proto->n_initializer + 1, sizeof(graph->tensors[0]));
	if (!graph->tensors)
		return onnx_no_memory(whole);
	graph->tensor_count = (uint32_t)proto->n_initializer;
	for (size_t index = 0; index < proto->n_initializer; index++) {
		bool is_left = left != left_end && left->initializer == index;

		snprintf(label, sizeof(label), "initializer \"%.300s\"",
			 proto->initializer[index]->name);
		r = onnx_tensor_fill(whole, proto->initializer[index], label, true,
				     is_left ? left : NULL, &graph->tensors[index]);
		if (is_left)
			left++;
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

static int graph_nodes(struct onnx_whole *whole, const Onnx__GraphProto *proto,
		       const struct onnx_names *names, struct onnx_graph *graph)
{
	int r;

	graph->nodes = onnx_alloc(whole, proto->n_node + 1, sizeof(graph->nodes[0]));
	if (!graph->nodes)
		return onnx_no_memory(whole);
	graph->node_count = (uint32_t)proto->n_node;
	for (size_t index = 0; index < proto->n_node; index++) {
		r = onnx_node_fill(whole, proto->node[index], names, index, &graph->nodes[index]);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

static int model_opset(struct onnx_whole *whole, const Onnx__ModelProto *proto)
{
	bool is_found = false;

	for (size_t index = 0; index < proto->n_opset_import; index++) {
		const Onnx__OperatorSetIdProto *opset = proto->opset_import[index];
		const char *domain = opset->domain ? opset->domain : "";

		if (*domain && strcmp(domain, "ai.onnx") != 0)
			continue;
		if (is_found)
			return err_raise(-EINVAL,
					 "%s/model.onnx imports ONNX's own operators twice",
					 whole->name);
		if (!opset->has_version || opset->version < 1)
			return err_raise(-EINVAL,
					 "%s/model.onnx: its opset is %lld; 1 or more is wanted",
					 whole->name, (long long)opset->version);
		is_found = true;
		whole->model.opset = opset->version;
	}
	if (!is_found)
		return err_raise(-EINVAL,
				 "%s/model.onnx has no opset_import of ONNX's own operators; it is "
				 "cut short, or not an ONNX file",
				 whole->name);
	return 0;
}

static int model_head(struct onnx_whole *whole, const Onnx__ModelProto *proto)
{
	if (!proto->has_ir_version || proto->ir_version < 1)
		return err_raise(-EINVAL, "%s/model.onnx has no IR version; it is not an ONNX file",
				 whole->name);
	if (!proto->graph)
		return err_raise(-EINVAL, "%s/model.onnx has no graph; it is cut short",
				 whole->name);
	if (proto->n_functions > 0)
		return err_raise(-EOPNOTSUPP,
				 "%s/model.onnx defines functions of its own; export it with them "
				 "inlined",
				 whole->name);
	whole->model.ir_version = proto->ir_version;
	whole->model.producer = onnx_copy_string(whole, proto->producer_name);
	return whole->model.producer ? 0 : onnx_no_memory(whole);
}

/* Bytes, not pointers: qsort's order of one node's attribute names. */
int onnx_string_compare(const void *one, const void *other)
{
	return strcmp(*(const char *const *)one, *(const char *const *)other);
}

int onnx_no_memory(const struct onnx_whole *whole)
{
	return err_raise(-ENOMEM, "%s/model.onnx: no memory for its structure", whole->name);
}

/* The first entry of that name, or NULL. */
const struct onnx_name *onnx_names_find(const struct onnx_names *names, const char *name)
{
	size_t low = 0, high = names->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(names->entries[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < names->count && strcmp(names->entries[low].name, name) == 0
		       ? &names->entries[low]
		       : NULL;
}

const struct onnx_name *onnx_names_find_outer(const struct onnx_names *names, const char *name)
{
	for (; names->outer; names = names->outer) {
		const struct onnx_name *found = onnx_names_find(names->outer, name);

		if (found)
			return found->kind == ONNX_NAME_OUTPUT && found->index >= names->outer_node
				       ? NULL
				       : found;
	}
	return NULL;
}

static int graph_fill(struct onnx_whole *whole, const Onnx__GraphProto *proto,
		      struct onnx_names *names, struct onnx_graph *graph)
{
	int r;

	if (proto->n_sparse_initializer > 0)
		return err_raise(-EOPNOTSUPP,
				 "%s/model.onnx has sparse initializers; dense ones are read",
				 whole->name);
	r = names_collect(whole, proto, names);
	if (r >= 0)
		r = graph_inputs(whole, proto, names, graph);
	if (r >= 0)
		r = graph_nodes(whole, proto, names, graph);
	if (r >= 0)
		r = graph_outputs(whole, proto, names, graph);
	if (r >= 0)
		r = graph_tensors(whole, proto, names->outer ? NULL : &whole->thin, graph);
	return r < 0 ? err_trace(r) : 0;
}

int onnx_body_fill(struct onnx_whole *whole, const struct Onnx__GraphProto *proto,
		   const char *label, const struct onnx_names *outer, size_t outer_node,
		   const struct onnx_graph **ret_graph)
{
	struct onnx_names names = {
		.outer = outer,
		.outer_node = outer_node,
		.depth = outer->depth + 1,
	};
	struct onnx_graph *graph;
	int r;

	if (names.depth > ONNX_BODIES_MAX)
		return err_raise(-EOPNOTSUPP,
				 "%s/model.onnx: %s is a body within %d others; at most %d are read",
				 whole->name, label, ONNX_BODIES_MAX, ONNX_BODIES_MAX);
	graph = onnx_alloc(whole, 1, sizeof(*graph));
	if (!graph)
		return onnx_no_memory(whole);
	r = graph_fill(whole, proto, &names, graph);
	free(names.entries);
	if (r < 0)
		return err_trace(r);
	*ret_graph = graph;
	return 0;
}

int onnx_graph_fill(struct onnx_whole *whole, const struct Onnx__ModelProto *proto)
{
	struct onnx_model *model = &whole->model;
	struct onnx_names names = {0};
	struct onnx_graph graph = {0};
	int r;

	r = model_head(whole, proto);
	if (r >= 0)
		r = model_opset(whole, proto);
	if (r >= 0)
		r = graph_fill(whole, proto->graph, &names, &graph);
	free(names.entries);
	if (r < 0)
		return err_trace(r);
	model->node_count = graph.node_count;
	model->tensor_count = graph.tensor_count;
	model->input_count = graph.input_count;
	model->output_count = graph.output_count;
	model->nodes = graph.nodes;
	model->tensors = graph.tensors;
	model->inputs = graph.inputs;
	model->outputs = graph.outputs;
	return 0;
}

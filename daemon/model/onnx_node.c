/* SPDX-License-Identifier: MIT */
/* daemon/model/onnx_node.c - one NodeProto: what it reads, what it defines, its attributes */
#include "onnx_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx.pb-c.h"

static void node_label(const Onnx__NodeProto *proto, const struct onnx_names *names, size_t index,
		       char ret_label[ONNX_LABEL_BYTES])
{
	snprintf(ret_label, ONNX_LABEL_BYTES, "node %zu (%.100s \"%.300s\")%s", index,
		 proto->op_type ? proto->op_type : "?", proto->name ? proto->name : "",
		 names->outer ? " of a body" : "");
}

static int attribute_tensor(struct onnx_whole *whole, const Onnx__AttributeProto *proto,
			    const char *label, struct onnx_attribute *attribute)
{
	struct onnx_tensor *tensor = onnx_alloc(whole, 1, sizeof(*tensor));
	char tensor_label[ONNX_LABEL_BYTES + 128];
	int r;

	if (!tensor)
		return onnx_no_memory(whole);
	snprintf(tensor_label, sizeof(tensor_label), "%s attribute \"%.100s\"", label, proto->name);
	if (!proto->t)
		return err_raise(-EINVAL, "%s/model.onnx: %s has no tensor", whole->name,
				 tensor_label);
	r = onnx_tensor_fill(whole, proto->t, tensor_label, false, NULL, tensor);
	if (r < 0)
		return err_trace(r);
	attribute->type = ONNX_ATTRIBUTE_TENSOR;
	attribute->tensor = tensor;
	return 0;
}

static int attribute_graph(struct onnx_whole *whole, const Onnx__AttributeProto *proto,
			   const char *label, const struct onnx_names *names, size_t node_index,
			   struct onnx_attribute *attribute)
{
	char graph_label[ONNX_LABEL_BYTES + 128];
	int r;

	snprintf(graph_label, sizeof(graph_label), "%s attribute \"%.100s\"", label, proto->name);
	if (!proto->g)
		return err_raise(-EINVAL, "%s/model.onnx: %s has no graph", whole->name,
				 graph_label);
	r = onnx_body_fill(whole, proto->g, graph_label, names, node_index, &attribute->graph);
	if (r < 0)
		return err_trace(r);
	attribute->type = ONNX_ATTRIBUTE_GRAPH;
	return 0;
}

static int attribute_string(struct onnx_whole *whole, const Onnx__AttributeProto *proto,
			    const char *label, struct onnx_attribute *attribute)
{
	char *string;

	if (proto->s.len > 0 && memchr(proto->s.data, 0, proto->s.len))
		return err_raise(-EINVAL,
				 "%s/model.onnx: %s attribute \"%.100s\" contains a NUL character",
				 whole->name, label, proto->name);
	string = onnx_alloc(whole, proto->s.len + 1, 1);
	if (!string)
		return onnx_no_memory(whole);
	if (proto->s.len > 0)
		memcpy(string, proto->s.data, proto->s.len);
	attribute->type = ONNX_ATTRIBUTE_STRING;
	attribute->s = string;
	attribute->s_bytes = (uint32_t)proto->s.len;
	return 0;
}

static int attribute_list(struct onnx_whole *whole, const void *values, size_t count, size_t bytes,
			  enum onnx_attribute_type type, struct onnx_attribute *attribute,
			  const void **ret_copy)
{
	void *copy = onnx_alloc(whole, count + 1, bytes);

	if (!copy)
		return onnx_no_memory(whole);
	if (count > 0)
		memcpy(copy, values, count * bytes);
	attribute->type = type;
	attribute->count = (uint32_t)count;
	*ret_copy = copy;
	return 0;
}

static int attribute_fill(struct onnx_whole *whole, const Onnx__AttributeProto *proto,
			  const char *label, const struct onnx_names *names, size_t node_index,
			  struct onnx_attribute *attribute)
{
	const void *list = NULL;
	int r;

	if (!proto->name || !*proto->name)
		return err_raise(-EINVAL, "%s/model.onnx: %s has an attribute without a name",
				 whole->name, label);
	if (proto->ref_attr_name && *proto->ref_attr_name)
		return err_raise(-EINVAL,
				 "%s/model.onnx: %s attribute \"%.100s\" refers to a function's "
				 "attribute, outside a function",
				 whole->name, label, proto->name);
	attribute->name = onnx_copy_string(whole, proto->name);
	attribute->s = "";
	if (!attribute->name)
		return onnx_no_memory(whole);
	switch (proto->has_type ? proto->type : ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED) {
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED:
		return err_raise(-EINVAL, "%s/model.onnx: %s attribute \"%.100s\" has no type",
				 whole->name, label, proto->name);
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
		attribute->type = ONNX_ATTRIBUTE_INT;
		attribute->i = proto->i;
		return 0;
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
		attribute->type = ONNX_ATTRIBUTE_FLOAT;
		attribute->f = proto->f;
		return 0;
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
		return attribute_string(whole, proto, label, attribute);
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
		return attribute_tensor(whole, proto, label, attribute);
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH:
		return attribute_graph(whole, proto, label, names, node_index, attribute);
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
		r = attribute_list(whole, proto->ints, proto->n_ints, sizeof(int64_t),
				   ONNX_ATTRIBUTE_INTS, attribute, &list);
		if (r == 0)
			attribute->ints = list;
		return r;
	case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
		r = attribute_list(whole, proto->floats, proto->n_floats, sizeof(float),
				   ONNX_ATTRIBUTE_FLOATS, attribute, &list);
		if (r == 0)
			attribute->floats = list;
		return r;
	default:
		attribute->type = ONNX_ATTRIBUTE_OTHER;
		return 0;
	}
}

static int node_attributes(struct onnx_whole *whole, const Onnx__NodeProto *proto,
			   const char *label, const struct onnx_names *names, size_t node_index,
			   struct onnx_node *node)
{
	const char **sorted;
	int r;

	node->attribute_count = (uint32_t)proto->n_attribute;
	node->attributes = onnx_alloc(whole, proto->n_attribute + 1, sizeof(node->attributes[0]));
	sorted = onnx_alloc(whole, proto->n_attribute + 1, sizeof(sorted[0]));
	if (!node->attributes || !sorted)
		return onnx_no_memory(whole);
	for (size_t index = 0; index < proto->n_attribute; index++) {
		r = attribute_fill(whole, proto->attribute[index], label, names, node_index,
				   &node->attributes[index]);
		if (r < 0)
			return err_trace(r);
		sorted[index] = node->attributes[index].name;
	}
	qsort(sorted, proto->n_attribute, sizeof(sorted[0]), onnx_string_compare);
	for (size_t index = 1; index < proto->n_attribute; index++)
		if (strcmp(sorted[index - 1], sorted[index]) == 0)
			return err_raise(-EINVAL,
					 "%s/model.onnx: %s has attribute \"%.100s\" twice",
					 whole->name, label, sorted[index]);
	return 0;
}

static const char **node_strings(struct onnx_whole *whole, char *const *strings, size_t count)
{
	const char **copies = onnx_alloc(whole, count + 1, sizeof(copies[0]));

	for (size_t index = 0; copies && index < count; index++) {
		copies[index] = onnx_copy_string(whole, strings[index]);
		if (!copies[index])
			return NULL;
	}
	return copies;
}

static int node_check_inputs(const struct onnx_whole *whole, const Onnx__NodeProto *proto,
			     const struct onnx_names *names, size_t node_index, const char *label)
{
	for (size_t input = 0; input < proto->n_input; input++) {
		const struct onnx_name *name;

		if (!*proto->input[input])
			continue;
		name = onnx_names_find(names, proto->input[input]);
		if (!name && onnx_names_find_outer(names, proto->input[input]))
			continue;
		if (!name)
			return err_raise(-EINVAL,
					 "%s/model.onnx: %s reads \"%s\", which nothing defines",
					 whole->name, label, proto->input[input]);
		if (name->kind == ONNX_NAME_OUTPUT && name->index >= node_index)
			return err_raise(
				-EINVAL,
				"%s/model.onnx: %s reads \"%s\", which node %u defines later; "
				"nodes must stand in the order they run in",
				whole->name, label, proto->input[input], name->index);
	}
	return 0;
}

int onnx_node_fill(struct onnx_whole *whole, const struct Onnx__NodeProto *proto,
		   const struct onnx_names *names, size_t node_index, struct onnx_node *node)
{
	char label[ONNX_LABEL_BYTES];
	const char *domain = proto->domain ? proto->domain : "";
	int r;

	node_label(proto, names, node_index, label);
	if (!proto->op_type || !*proto->op_type)
		return err_raise(-EINVAL, "%s/model.onnx: %s has no op_type", whole->name, label);
	r = node_check_inputs(whole, proto, names, node_index, label);
	if (r < 0)
		return err_trace(r);
	/* "ai.onnx" is the long name of ONNX's own domain. */
	node->domain = onnx_copy_string(whole, strcmp(domain, "ai.onnx") == 0 ? "" : domain);
	node->name = onnx_copy_string(whole, proto->name);
	node->op_type = onnx_copy_string(whole, proto->op_type);
	node->input_count = (uint32_t)proto->n_input;
	node->output_count = (uint32_t)proto->n_output;
	node->inputs = node_strings(whole, proto->input, proto->n_input);
	node->outputs = node_strings(whole, proto->output, proto->n_output);
	if (!node->domain || !node->name || !node->op_type || !node->inputs || !node->outputs)
		return onnx_no_memory(whole);
	r = node_attributes(whole, proto, label, names, node_index, node);
	return r < 0 ? err_trace(r) : 0;
}

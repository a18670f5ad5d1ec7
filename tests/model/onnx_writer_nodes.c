/* SPDX-License-Identifier: MIT */
/* tests/model/onnx_writer_nodes.c - nodes, what they are told, and the graphs inside them */
#include "onnx_writer_parts.h"

#include <stdio.h>
#include <string.h>

static char **writer_names(struct onnx_writer *writer, const char *list, size_t *ret_count)
{
	char *entries[WRITER_LIST_MAX];
	size_t count = writer_split(writer, list, entries);

	*ret_count = count;
	return onnx_writer_copy(writer, entries, count * sizeof(entries[0]));
}

static Onnx__AttributeProto *writer_attribute(struct onnx_writer *writer, const char *name,
					      Onnx__AttributeProto__AttributeType type)
{
	Onnx__AttributeProto *attribute = writer_alloc(writer, sizeof(*attribute));
	Onnx__NodeProto *node;

	if (writer->current->n_node == 0)
		writer_die("onnx_writer: attribute \"%s\" comes before the first node", name);
	node = writer->current->node[writer->current->n_node - 1];
	onnx__attribute_proto__init(attribute);
	attribute->name = writer_string(writer, name);
	attribute->has_type = 1;
	attribute->type = type;
	node->attribute = writer_append(writer, node->attribute, &node->n_attribute, attribute);
	return attribute;
}

void onnx_writer_node(struct onnx_writer *writer, const char *op_type, const char *inputs,
		      const char *outputs)
{
	Onnx__NodeProto *node = writer_alloc(writer, sizeof(*node));
	char name[32];

	onnx__node_proto__init(node);
	snprintf(name, sizeof(name), "node_%u", writer->node_count++);
	node->name = writer_string(writer, name);
	node->op_type = writer_string(writer, op_type);
	node->input = writer_names(writer, inputs, &node->n_input);
	node->output = writer_names(writer, outputs, &node->n_output);
	writer->current->node =
		writer_append(writer, writer->current->node, &writer->current->n_node, node);
}

void onnx_writer_constant(struct onnx_writer *writer, const char *name, int32_t dtype,
			  const char *shape, const void *data, uint64_t bytes)
{
	Onnx__AttributeProto *attribute;

	onnx_writer_node(writer, "Constant", "", name);
	attribute =
		writer_attribute(writer, "value", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR);
	attribute->t = writer_tensor(writer, NULL, dtype, shape);
	writer_raw(writer, attribute->t, data, bytes);
}

void onnx_writer_int(struct onnx_writer *writer, const char *name, int64_t value)
{
	Onnx__AttributeProto *attribute =
		writer_attribute(writer, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);

	attribute->has_i = 1;
	attribute->i = value;
}

void onnx_writer_float(struct onnx_writer *writer, const char *name, float value)
{
	Onnx__AttributeProto *attribute =
		writer_attribute(writer, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);

	attribute->has_f = 1;
	attribute->f = value;
}

void onnx_writer_string(struct onnx_writer *writer, const char *name, const char *value)
{
	Onnx__AttributeProto *attribute =
		writer_attribute(writer, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);

	attribute->has_s = 1;
	attribute->s.data = (uint8_t *)writer_string(writer, value);
	attribute->s.len = strlen(value);
}

void onnx_writer_ints(struct onnx_writer *writer, const char *name, const int64_t *values,
		      size_t count)
{
	Onnx__AttributeProto *attribute =
		writer_attribute(writer, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);

	attribute->n_ints = count;
	attribute->ints = onnx_writer_copy(writer, values, count * sizeof(values[0]));
}

void onnx_writer_floats(struct onnx_writer *writer, const char *name, const float *values,
			size_t count)
{
	Onnx__AttributeProto *attribute =
		writer_attribute(writer, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS);

	attribute->n_floats = count;
	attribute->floats = onnx_writer_copy(writer, values, count * sizeof(values[0]));
}

void onnx_writer_body(struct onnx_writer *writer, const char *name)
{
	Onnx__AttributeProto *attribute =
		writer_attribute(writer, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH);

	if (writer->body_count == WRITER_BODIES_MAX)
		writer_die("onnx_writer: more than %d bodies in bodies", WRITER_BODIES_MAX);
	attribute->g = writer_alloc(writer, sizeof(*attribute->g));
	onnx__graph_proto__init(attribute->g);
	writer->around[writer->body_count++] = writer->current;
	writer->current = attribute->g;
}

void onnx_writer_body_end(struct onnx_writer *writer)
{
	if (writer->body_count == 0)
		writer_die("onnx_writer: %s ends that did not begin", "a body");
	writer->current = writer->around[--writer->body_count];
}

void onnx_writer_domain(struct onnx_writer *writer, const char *domain)
{
	if (writer->current->n_node == 0)
		writer_die("onnx_writer: domain \"%s\" comes before the first node", domain);
	writer->current->node[writer->current->n_node - 1]->domain = writer_string(writer, domain);
}

void onnx_writer_unwanted(struct onnx_writer *writer)
{
	if (writer->current->n_node == 0)
		writer_die("onnx_writer: %s comes before the first node", "an unwanted output");
	writer->current->node[writer->current->n_node - 1]->output[0] = writer_string(writer, "");
}

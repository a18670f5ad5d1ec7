/* SPDX-License-Identifier: MIT */
/* daemon/graph/graph.c - a model's nodes and values while it is being understood */
#include "graph/graph.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/ops.h"
#include "kernels/cast.h"

#define BLOCK_BYTES (64U << 10)
#define ALIGNMENT 64

struct graph_block {
	struct graph_block *next;
	size_t bytes;
	size_t used_bytes;
	char padding[ALIGNMENT - 3 * sizeof(void *)];
	char data[];
};

static_assert(sizeof(struct graph_block) == ALIGNMENT, "blocks keep their data aligned");

int graph_init(struct graph *graph, const char *name, const struct onnx_model *model,
	       const struct device *device)
{
	int r;

	*graph = (struct graph){.name = name, .model = model, .device = device};
	r = graph_import(graph);
	if (r < 0)
		return err_trace(r);
	r = graph_infer(graph);
	if (r < 0)
		return err_trace(r);
	return 0;
}

void graph_deinit(struct graph *graph)
{
	while (graph->blocks) {
		struct graph_block *block = graph->blocks;

		graph->blocks = block->next;
		free(block);
	}
	*graph = (struct graph){0};
}

void *graph_allocate(struct graph *graph, size_t count, size_t element_bytes)
{
	struct graph_block *block = graph->blocks;
	size_t bytes;
	void *memory;

	if (__builtin_mul_overflow(count, element_bytes, &bytes) || bytes > SIZE_MAX / 2) {
		(void)err_raise(-ENOMEM, "%s: %zu elements of %zu bytes do not fit in memory",
				graph->name, count, element_bytes);
		return NULL;
	}
	bytes = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (!block || block->bytes - block->used_bytes < bytes) {
		size_t room = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;

		block = aligned_alloc(ALIGNMENT, sizeof(*block) + room);
		if (!block) {
			(void)err_raise(-ENOMEM, "%s: no memory for %zu bytes", graph->name, room);
			return NULL;
		}
		block->bytes = room;
		block->used_bytes = 0;
		block->next = graph->blocks;
		graph->blocks = block;
	}
	memory = block->data + block->used_bytes;
	block->used_bytes += bytes;
	return memset(memory, 0, bytes);
}

struct value *graph_value_new(struct graph *graph, const char *name, uint32_t *ret_index)
{
	struct value *value;

	if (graph->value_count == graph->value_capacity) {
		uint32_t capacity = graph->value_capacity ? 2 * graph->value_capacity : 256;
		struct value **values = graph_allocate(graph, capacity, sizeof(*values));

		if (!values)
			return NULL;
		if (graph->value_count > 0)
			memcpy(values, graph->values, graph->value_count * sizeof(*values));
		graph->values = values;
		graph->value_capacity = capacity;
	}
	value = graph_allocate(graph, 1, sizeof(*value));
	if (!value)
		return NULL;
	value->name = name;
	value->producer = GRAPH_NONE;
	value->view_of = GRAPH_NONE;
	value->part_of = GRAPH_NONE;
	value->first_weight = GRAPH_NONE;
	value->widened = GRAPH_NONE;
	*ret_index = graph->value_count;
	graph->values[graph->value_count++] = value;
	return value;
}

uint32_t graph_root(const struct graph *graph, uint32_t index)
{
	while (graph->values[index]->view_of != GRAPH_NONE)
		index = graph->values[index]->view_of;
	return index;
}

int graph_constant_new(struct graph *graph, enum dtype dtype, uint32_t rank,
		       const struct dim dims[], const void *data, uint32_t *ret_index)
{
	struct value *value = graph_value_new(graph, "", ret_index);

	if (!value)
		return err_trace(-ENOMEM);
	value->kind = VALUE_CONSTANT;
	value->dtype = dtype;
	value->rank = rank;
	for (uint32_t axis = 0; axis < rank; axis++)
		value->dims[axis] = dims[axis];
	value->data = data;
	return 0;
}

int graph_constant_data(struct graph *graph, struct value *value, const void **ret_data)
{
	void *data;
	int r;

	if (value->view_of != GRAPH_NONE) {
		struct value *root = graph_value(graph, value->view_of);

		r = graph_constant_data(graph, root, &value->data);
		if (r < 0)
			return err_trace(r);
	}
	if (!value->data) {
		graph->loaded_bytes += value->tensor->bytes;
		if (graph->loaded_bytes > GRAPH_LOADED_BYTES_MAX)
			return err_raise(
				-EOPNOTSUPP,
				"%s: tensor '%s' (%llu bytes) would have to be computed with at "
				"load, and such constants may take %llu bytes together",
				graph->name, value->name, (unsigned long long)value->tensor->bytes,
				(unsigned long long)GRAPH_LOADED_BYTES_MAX);
		data = graph_allocate(graph, value->tensor->bytes, 1);
		if (!data)
			return err_trace(-ENOMEM);
		r = onnx_read(graph->model, value->tensor, data);
		if (r < 0)
			return err_trace(r);
		value->data = data;
	}
	*ret_data = value->data;
	return 0;
}

int64_t constant_integer(const struct value *value, uint64_t index)
{
	int64_t wide;
	int32_t narrow;

	switch (value->dtype) {
	case DTYPE_I64:
		memcpy(&wide, (const char *)value->data + index * sizeof(wide), sizeof(wide));
		return wide;
	case DTYPE_I8:
		return ((const int8_t *)value->data)[index];
	case DTYPE_U8:
	case DTYPE_BOOL:
		return ((const uint8_t *)value->data)[index];
	default:
		memcpy(&narrow, (const char *)value->data + index * sizeof(narrow),
		       sizeof(narrow));
		return narrow;
	}
}

int constant_float(struct graph *graph, struct value *value, uint64_t index, float *ret_float)
{
	struct cast_args cast = {.count = 1, .from = value->dtype, .to = DTYPE_F32};
	const void *data;
	float number;
	int r;

	r = graph_constant_data(graph, value, &data);
	if (r < 0)
		return err_trace(r);
	cast.x = (const char *)data + index * dtype_bytes(value->dtype);
	cast.y = &number;
	graph->device->kernels[KERNEL_CAST](&cast);
	*ret_float = number;
	return 0;
}

int64_t constant_elements(const struct value *value)
{
	uint64_t elements = 1; /* wraps only where a dim of 0 follows */

	for (uint32_t axis = 0; axis < value->rank; axis++)
		elements *= (uint64_t)value->dims[axis].constant;
	return (int64_t)elements;
}

int graph_known(struct graph *graph, uint32_t index, bool *ret_known)
{
	struct value *value = graph_value(graph, index);
	struct dim *known;
	const void *data;
	int64_t count;
	int r;

	if (value->known || value->kind != VALUE_CONSTANT || value->rank > 1 ||
	    (!dtype_is_index(value->dtype) && value->dtype != DTYPE_BOOL)) {
		*ret_known = value->known != NULL;
		return 0;
	}
	count = constant_elements(value);
	if (count > GRAPH_KNOWN_MAX) {
		*ret_known = false;
		return 0;
	}
	r = graph_constant_data(graph, value, &data);
	if (r < 0)
		return err_trace(r);
	known = graph_allocate(graph, GRAPH_KNOWN_MAX, sizeof(*known));
	if (!known)
		return err_trace(-ENOMEM);
	for (uint32_t element = 0; element < (uint32_t)count; element++)
		known[element] = dim_constant(constant_integer(value, element));
	value->known = known;
	value->known_count = (uint32_t)count;
	*ret_known = true;
	return 0;
}

struct poly value_span(const struct value *value, uint32_t first_axis, uint32_t last_axis)
{
	struct poly product = poly_constant(1);

	for (uint32_t axis = first_axis; axis < last_axis; axis++)
		product = poly_multiply(product, poly_dim(value->dims[axis]));
	return product;
}

/* The innermost axis from which on there are `width` elements; the rank + 1: there is none. */
static uint32_t row_axis(const struct value *value, int64_t width)
{
	for (uint32_t axis = value->rank + 1; axis-- > 0;) {
		struct poly span = value_span(value, axis, value->rank);

		if (poly_is(&span, width))
			return axis;
	}
	return value->rank + 1;
}

bool value_has_rows(const struct value *value, int64_t width)
{
	return row_axis(value, width) <= value->rank;
}

struct poly value_stride(const struct value *value, uint32_t axis)
{
	uint32_t first = value->rank + 1;

	if (value->part_of != GRAPH_NONE)
		first = row_axis(value, value->part_width);
	if (axis >= first || first > value->rank)
		return value_span(value, axis + 1, value->rank);
	return poly_scale(value_span(value, axis + 1, first), value->part_stride);
}

struct poly value_elements(const struct value *value)
{
	return value_span(value, 0, value->rank);
}

int node_refuse_at(const struct graph *graph, const struct node *node, int error, const char *file,
		   int line, const char *format, ...)
{
	char sentence[1536];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	return err_raise_at(error, file, line, "%s: node '%s' (%s, opset %lld): %s", graph->name,
			    node->name, node->source->op_type, (long long)graph->model->opset,
			    sentence);
}

const struct onnx_attribute *attribute_find(const struct node *node, const char *name)
{
	for (uint32_t index = 0; index < node->source->attribute_count; index++) {
		if (strcmp(node->source->attributes[index].name, name) == 0)
			return &node->source->attributes[index];
	}
	return NULL;
}

int64_t attribute_int(const struct node *node, const char *name, int64_t otherwise)
{
	const struct onnx_attribute *attribute = attribute_find(node, name);

	return attribute ? attribute->i : otherwise;
}

float attribute_float(const struct node *node, const char *name, float otherwise)
{
	const struct onnx_attribute *attribute = attribute_find(node, name);

	return attribute ? attribute->f : otherwise;
}

int axis_normalize(const struct graph *graph, const struct node *node, int64_t axis, uint32_t rank,
		   uint32_t *ret_axis)
{
	if (axis < -(int64_t)rank || axis >= (int64_t)rank)
		return node_refuse(graph, node, -EINVAL, "axis %lld is outside rank %u",
				   (long long)axis, rank);
	*ret_axis = (uint32_t)(axis < 0 ? axis + rank : axis);
	return 0;
}

int graph_require(struct graph *graph, const struct node *node, struct dim dim)
{
	char text[SHAPE_TEXT_BYTES];

	if (dim_is_natural(dim))
		return 0;
	if (dim.symbol < 0 || dim.factor < 0 ? dim.constant < 0 : false)
		return node_refuse(graph, node, -EINVAL, "the size or index %s is negative",
				   dim_text(graph, dim, text));
	for (uint32_t index = 0; index < graph->constraint_count; index++) {
		if (dim_equal(graph->constraints[index], dim))
			return 0;
	}
	if (graph->constraint_count == GRAPH_CONSTRAINTS_MAX)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "the graph puts more than %d conditions on its free sizes",
				   GRAPH_CONSTRAINTS_MAX);
	graph->constraints[graph->constraint_count++] = dim;
	return 0;
}

const char *dim_text(const struct graph *graph, struct dim dim, char text[SHAPE_TEXT_BYTES])
{
	char factor[16] = "";
	char constant[24] = "";

	if (dim.symbol < 0) {
		(void)snprintf(text, SHAPE_TEXT_BYTES, "%lld", (long long)dim.constant);
		return text;
	}
	if (dim.factor != 1)
		(void)snprintf(factor, sizeof(factor), "%d*", dim.factor);
	if (dim.constant != 0)
		(void)snprintf(constant, sizeof(constant), "%+lld", (long long)dim.constant);
	(void)snprintf(text, SHAPE_TEXT_BYTES, "%s%.40s%s", factor, graph->symbols[dim.symbol],
		       constant);
	return text;
}

const char *shape_text(const struct graph *graph, const struct value *value,
		       char text[SHAPE_TEXT_BYTES])
{
	char dim[SHAPE_TEXT_BYTES];
	size_t used = 0;

	text[0] = '\0';
	for (uint32_t axis = 0; axis < value->rank && used < SHAPE_TEXT_BYTES; axis++) {
		int written = snprintf(text + used, SHAPE_TEXT_BYTES - used, "%s%.64s",
				       axis == 0 ? "[" : ", ",
				       dim_text(graph, value->dims[axis], dim));

		used += (size_t)written;
	}
	if (used < SHAPE_TEXT_BYTES)
		(void)snprintf(text + used, SHAPE_TEXT_BYTES - used, "%s",
			       value->rank == 0 ? "[]" : "]");
	return text;
}

const char *dtype_name(int32_t dtype)
{
	static const char *const names[] = {
		"undefined", "float32", "uint8",   "int8",    "uint16",    "int16",
		"int32",     "int64",   "string",  "bool",    "float16",   "float64",
		"uint32",    "uint64",  "complex64", "complex128", "bfloat16",
		"float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4", "int4",
	};

	if (dtype < 0 || (size_t)dtype >= sizeof(names) / sizeof(names[0]))
		return "unknown";
	return names[dtype];
}

bool dtype_is_supported(int32_t dtype)
{
	switch (dtype) {
	case DTYPE_F32:
	case DTYPE_F16:
	case DTYPE_BF16:
	case DTYPE_I64:
	case DTYPE_I32:
	case DTYPE_I8:
	case DTYPE_U8:
	case DTYPE_BOOL:
		return true;
	default:
		return false;
	}
}

/* SPDX-License-Identifier: MIT */
/* tests/model/onnx_writer.c - fills protobuf-c structs and packs them; one list owns all blocks */
#include "onnx_writer_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void writer_die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	abort();
}

void *writer_alloc(struct onnx_writer *writer, size_t bytes)
{
	struct block *block = calloc(1, sizeof(*block) + bytes);

	if (!block)
		writer_die("onnx_writer: no memory for %zu bytes", bytes);
	block->next = writer->blocks;
	writer->blocks = block;
	return block->bytes;
}

char *writer_string(struct onnx_writer *writer, const char *string)
{
	return onnx_writer_copy(writer, string, strlen(string) + 1);
}

void *writer_append(struct onnx_writer *writer, void *list, size_t *count, void *entry)
{
	void **grown = writer_alloc(writer, (*count + 1) * sizeof(*grown));

	if (*count > 0)
		memcpy(grown, list, *count * sizeof(*grown));
	grown[*count] = entry;
	*count += 1;
	return grown;
}

size_t writer_split(struct onnx_writer *writer, const char *list,
		    char *ret_entries[WRITER_LIST_MAX])
{
	char *rest = writer_string(writer, list);
	char *entry;
	size_t count = 0;

	if (list[0] == '\0')
		return 0;
	while ((entry = strsep(&rest, ","))) {
		if (count == WRITER_LIST_MAX)
			writer_die("onnx_writer: more than %d entries in \"%s\"", WRITER_LIST_MAX,
				   list);
		ret_entries[count++] = entry;
	}
	return count;
}

static Onnx__TensorShapeProto *writer_shape(struct onnx_writer *writer, const char *list)
{
	Onnx__TensorShapeProto *shape = writer_alloc(writer, sizeof(*shape));
	char *entries[WRITER_LIST_MAX];
	size_t count = writer_split(writer, list, entries);

	onnx__tensor_shape_proto__init(shape);
	for (size_t index = 0; index < count; index++) {
		Onnx__TensorShapeProto__Dimension *dim = writer_alloc(writer, sizeof(*dim));
		char *end;
		long long value = strtoll(entries[index], &end, 10);

		onnx__tensor_shape_proto__dimension__init(dim);
		if (end != entries[index] && *end == '\0') {
			dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
			dim->dim_value = value;
		} else if (strcmp(entries[index], "?") != 0) {
			dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
			dim->dim_param = entries[index];
		}
		shape->dim = writer_append(writer, shape->dim, &shape->n_dim, dim);
	}
	return shape;
}

static Onnx__ValueInfoProto *writer_value(struct onnx_writer *writer, const char *name,
					  int32_t dtype, const char *shape)
{
	Onnx__ValueInfoProto *value = writer_alloc(writer, sizeof(*value));
	Onnx__TypeProto *type = writer_alloc(writer, sizeof(*type));
	Onnx__TypeProto__Tensor *tensor = writer_alloc(writer, sizeof(*tensor));

	onnx__value_info_proto__init(value);
	onnx__type_proto__init(type);
	onnx__type_proto__tensor__init(tensor);
	tensor->has_elem_type = 1;
	tensor->elem_type = dtype;
	tensor->shape = shape ? writer_shape(writer, shape) : NULL;
	type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	type->tensor_type = tensor;
	value->name = writer_string(writer, name);
	value->type = type;
	return value;
}

Onnx__TensorProto *writer_tensor(struct onnx_writer *writer, const char *name, int32_t dtype,
				 const char *shape)
{
	Onnx__TensorProto *tensor = writer_alloc(writer, sizeof(*tensor));
	char *entries[WRITER_LIST_MAX];
	size_t count = writer_split(writer, shape, entries);

	onnx__tensor_proto__init(tensor);
	tensor->name = name ? writer_string(writer, name) : NULL;
	tensor->has_data_type = 1;
	tensor->data_type = dtype;
	tensor->n_dims = count;
	tensor->dims = writer_alloc(writer, count * sizeof(tensor->dims[0]));
	for (size_t dim = 0; dim < count; dim++)
		tensor->dims[dim] = strtoll(entries[dim], NULL, 10);
	return tensor;
}

void writer_raw(struct onnx_writer *writer, Onnx__TensorProto *tensor, const void *data,
		uint64_t bytes)
{
	tensor->has_raw_data = 1;
	tensor->raw_data.data = onnx_writer_copy(writer, data, bytes);
	tensor->raw_data.len = bytes;
}

static void writer_entry(struct onnx_writer *writer, Onnx__TensorProto *tensor, const char *key,
			 const char *value)
{
	Onnx__StringStringEntryProto *entry;

	if (!value)
		return;
	entry = writer_alloc(writer, sizeof(*entry));
	onnx__string_string_entry_proto__init(entry);
	entry->key = writer_string(writer, key);
	entry->value = writer_string(writer, value);
	tensor->external_data =
		writer_append(writer, tensor->external_data, &tensor->n_external_data, entry);
}

static struct external *writer_location(struct onnx_writer *writer, const char *location)
{
	struct external *external;

	for (external = writer->externals; external; external = external->next)
		if (strcmp(external->location, location) == 0)
			return external;
	external = writer_alloc(writer, sizeof(*external));
	external->location = writer_string(writer, location);
	external->next = writer->externals;
	writer->externals = external;
	return external;
}

static int writer_save_file(int directory_fd, const char *name, const uint8_t *data, size_t bytes)
{
	int fd = openat(directory_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	size_t done = 0;

	if (fd < 0)
		return -errno;
	while (done < bytes) {
		ssize_t written = write(fd, data + done, bytes - done);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0) {
			int error = errno;

			close(fd);
			return -error;
		}
		done += (size_t)written;
	}
	return close(fd) < 0 ? -errno : 0;
}

struct onnx_writer *onnx_writer_new(int64_t opset)
{
	struct onnx_writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		writer_die("onnx_writer: no memory");
	onnx__model_proto__init(&writer->model);
	onnx__graph_proto__init(&writer->graph);
	onnx__operator_set_id_proto__init(&writer->opset);
	writer->opset.has_version = 1;
	writer->opset.version = opset;
	writer->opsets[0] = &writer->opset;
	writer->model.has_ir_version = 1;
	writer->model.ir_version = 8;
	writer->model.producer_name = writer_string(writer, "onnx_writer");
	writer->model.graph = &writer->graph;
	writer->model.n_opset_import = 1;
	writer->model.opset_import = writer->opsets;
	writer->graph.name = writer_string(writer, "graph");
	writer->current = &writer->graph;
	return writer;
}

void onnx_writer_input(struct onnx_writer *writer, const char *name, int32_t dtype,
		       const char *shape)
{
	writer->current->input = writer_append(writer, writer->current->input,
					       &writer->current->n_input,
					    writer_value(writer, name, dtype, shape));
}

void onnx_writer_output(struct onnx_writer *writer, const char *name, int32_t dtype,
			const char *shape)
{
	writer->current->output = writer_append(writer, writer->current->output,
						&writer->current->n_output,
					     writer_value(writer, name, dtype, shape));
}

void onnx_writer_tensor(struct onnx_writer *writer, const char *name, int32_t dtype,
			const char *shape, const void *data, uint64_t bytes)
{
	Onnx__TensorProto *tensor = writer_tensor(writer, name, dtype, shape);

	writer_raw(writer, tensor, data, bytes);
	writer->current->initializer = writer_append(writer, writer->current->initializer,
						     &writer->current->n_initializer, tensor);
}

void onnx_writer_i64(struct onnx_writer *writer, const char *name, const char *shape,
		     const int64_t *values, uint64_t count)
{
	onnx_writer_tensor(writer, name, DTYPE_I64, shape, values, count * sizeof(values[0]));
}

void onnx_writer_external(struct onnx_writer *writer, const char *name, int32_t dtype,
			  const char *shape, const void *data, uint64_t bytes, const char *location,
			  uint64_t alignment)
{
	struct external *external = writer_location(writer, location);
	size_t offset = (external->bytes + alignment - 1) / alignment * alignment;
	uint8_t *grown = realloc(external->data, offset + bytes + 1);
	char offset_word[24];
	char length_word[24];

	if (!grown)
		writer_die("onnx_writer: no memory for %s", location);
	memset(grown + external->bytes, 0, offset - external->bytes);
	if (bytes > 0)
		memcpy(grown + offset, data, bytes);
	external->data = grown;
	external->bytes = offset + bytes;
	snprintf(offset_word, sizeof(offset_word), "%zu", offset);
	snprintf(length_word, sizeof(length_word), "%llu", (unsigned long long)bytes);
	onnx_writer_external_words(writer, name, dtype, shape, location, offset_word, length_word);
}

void onnx_writer_external_words(struct onnx_writer *writer, const char *name, int32_t dtype,
				const char *shape, const char *location, const char *offset,
				const char *length)
{
	Onnx__TensorProto *tensor = writer_tensor(writer, name, dtype, shape);

	tensor->has_data_location = 1;
	tensor->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
	writer_entry(writer, tensor, "location", location);
	writer_entry(writer, tensor, "offset", offset);
	writer_entry(writer, tensor, "length", length);
	writer->current->initializer = writer_append(writer, writer->current->initializer,
						     &writer->current->n_initializer, tensor);
}

void *onnx_writer_message(struct onnx_writer *writer)
{
	return &writer->model;
}

void *onnx_writer_copy(struct onnx_writer *writer, const void *data, size_t bytes)
{
	void *copy = writer_alloc(writer, bytes);

	if (bytes > 0)
		memcpy(copy, data, bytes);
	return copy;
}

uint8_t *onnx_writer_pack(struct onnx_writer *writer, size_t *ret_bytes)
{
	size_t bytes = onnx__model_proto__get_packed_size(&writer->model);
	uint8_t *packed = malloc(bytes + 1);

	if (!packed)
		writer_die("onnx_writer: no memory for %zu bytes", bytes);
	*ret_bytes = onnx__model_proto__pack(&writer->model, packed);
	return packed;
}

int onnx_writer_save_at(struct onnx_writer *writer, int directory_fd)
{
	size_t bytes;
	uint8_t *packed = onnx_writer_pack(writer, &bytes);
	int r = writer_save_file(directory_fd, "model.onnx", packed, bytes);

	free(packed);
	for (struct external *external = writer->externals; external && r == 0;
	     external = external->next)
		r = writer_save_file(directory_fd, external->location, external->data,
				     external->bytes);
	return r;
}

int onnx_writer_save(struct onnx_writer *writer, const char *directory)
{
	int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (directory_fd < 0)
		return -errno;
	r = onnx_writer_save_at(writer, directory_fd);
	close(directory_fd);
	return r;
}

void onnx_writer_free(struct onnx_writer *writer)
{
	if (!writer)
		return;
	for (struct external *external = writer->externals; external; external = external->next)
		free(external->data);
	while (writer->blocks) {
		struct block *block = writer->blocks;

		writer->blocks = block->next;
		free(block);
	}
	free(writer);
}

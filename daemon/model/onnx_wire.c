/* SPDX-License-Identifier: MIT */
/*
 * daemon/model/onnx_wire.c - the protobuf bytes, checked before and bounded while they are unpacked
 *
 * protobuf-c recurses as deep as the file tells it to, merges a message that is
 * written twice (quadratic work), and gives strings without their length, so a
 * NUL hides what follows it. One pass over the bytes with the schema's own
 * descriptors refuses all of that, with a place in the file, before protobuf-c
 * sees it. What remains is its appetite: two bytes of file can become a struct
 * of 300, and the allocator below stops that.
 */
#include "onnx_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "onnx.pb-c.h"

#define WIRE_TAG_BYTES_MAX 5
#define WIRE_VARINT_BYTES_MAX 10
#define WIRE_FIELD_NUMBER_MAX 536870911u

/* Structure (nodes, names) may grow 32 times, bulk (weights) 2 times: a copy,
 * and room for short varints in front of their 8 bytes. A text of more than
 * 64 MiB is bulk. */
#define WIRE_GROWTH_STRUCTURE 32
#define WIRE_GROWTH_BULK 2
#define WIRE_STRUCTURE_BYTES_MAX (UINT64_C(64) << 20)
#define WIRE_BASE_BYTES (UINT64_C(1) << 20)

enum wire_type {
	WIRE_VARINT = 0,
	WIRE_64 = 1,
	WIRE_BYTES = 2,
	WIRE_32 = 5,
};

struct wire {
	const char *name;
	const uint8_t *bytes;
};

static_assert(sizeof(size_t) == 8, "lengths of 2 GiB and their sums fit size_t");

static int wire_bad(const struct wire *wire, const ProtobufCMessageDescriptor *message, size_t at,
		    const char *what)
{
	return err_raise(-EINVAL, "%s/model.onnx: byte %zu (in %s): %s", wire->name, at,
			 message->short_name, what);
}

/* Returns the varint's bytes, or 0 when it is cut short or too long. */
static size_t wire_varint(const struct wire *wire, size_t at, size_t end, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (size_t count = 0; count < WIRE_VARINT_BYTES_MAX && at + count < end; count++) {
		uint8_t byte = wire->bytes[at + count];

		value |= (uint64_t)(byte & 0x7f) << (7 * count);
		if (byte < 0x80) {
			*ret_value = value;
			return count + 1;
		}
	}
	return 0;
}

/* Names travel into sentences, JSON and metrics: UTF-8 without control
 * characters. Prose (doc strings, metadata) is copied and never shown. */
static int wire_check_string(const struct wire *wire, const ProtobufCMessageDescriptor *message,
			     const ProtobufCFieldDescriptor *field, size_t at, size_t bytes)
{
	const uint8_t *text = wire->bytes + at;
	bool is_prose = strcmp(field->name, "doc_string") == 0 || strcmp(field->name, "value") == 0;

	if (bytes > 0 && memchr(text, 0, bytes))
		return err_raise(-EINVAL, "%s/model.onnx: byte %zu: %s.%s contains a NUL character",
				 wire->name, at, message->short_name, field->name);
	if (is_prose)
		return 0;
	if (bytes > ONNX_NAME_BYTES_MAX)
		return err_raise(
			-EINVAL,
			"%s/model.onnx: byte %zu: %s.%s has %zu bytes; at most %d are read",
			wire->name, at, message->short_name, field->name, bytes,
			ONNX_NAME_BYTES_MAX);
	if (!text_is_clean(text, bytes))
		return err_raise(-EINVAL,
				 "%s/model.onnx: byte %zu: %s.%s is not UTF-8 text without control "
				 "characters",
				 wire->name, at, message->short_name, field->name);
	return 0;
}

static bool wire_type_fits(const ProtobufCFieldDescriptor *field, unsigned type)
{
	bool is_number = true;
	unsigned wanted;

	switch (field->type) {
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
		wanted = WIRE_32;
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
		wanted = WIRE_64;
		break;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		wanted = WIRE_BYTES;
		is_number = false;
		break;
	default:
		wanted = WIRE_VARINT;
	}
	if (type == wanted)
		return true;
	return type == WIRE_BYTES && is_number && field->label == PROTOBUF_C_LABEL_REPEATED;
}

/* A field that may be there once, or one of a group of which one may be there. */
static bool wire_is_second(const ProtobufCMessageDescriptor *message,
			   const ProtobufCFieldDescriptor *field, uint64_t *seen)
{
	unsigned own_index = (unsigned)(field - message->fields);

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return false;
	if (*seen >> own_index & 1)
		return true;
	*seen |= UINT64_C(1) << own_index;
	if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
		return false;
	for (unsigned index = 0; index < message->n_fields; index++) {
		const ProtobufCFieldDescriptor *other = &message->fields[index];

		if (index != own_index && (*seen >> index & 1) &&
		    (other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
		    other->quantifier_offset == field->quantifier_offset)
			return true;
	}
	return false;
}

/* Reads tag and, for counted fields, length; *ret_at is where the value starts. */
static int wire_field(const struct wire *wire, const ProtobufCMessageDescriptor *message, size_t at,
		      size_t end, uint64_t *ret_tag, size_t *ret_at, size_t *ret_bytes)
{
	uint64_t tag, number, length;
	size_t step = wire_varint(wire, at, end, &tag);

	if (step == 0 || step > WIRE_TAG_BYTES_MAX)
		return wire_bad(wire, message, at, "a field's tag is cut short or too long");
	if (tag >> 3 == 0 || tag >> 3 > WIRE_FIELD_NUMBER_MAX)
		return wire_bad(wire, message, at, "a field's number is not one protobuf has");
	switch (tag & 7) {
	case WIRE_VARINT:
		length = wire_varint(wire, at + step, end, &number);
		if (length == 0)
			return wire_bad(wire, message, at, "a number is cut short or too long");
		break;
	case WIRE_64:
		length = 8;
		break;
	case WIRE_32:
		length = 4;
		break;
	case WIRE_BYTES: {
		size_t length_step = wire_varint(wire, at + step, end, &length);

		if (length_step == 0 || length_step > WIRE_TAG_BYTES_MAX)
			return wire_bad(wire, message, at, "a length is cut short or too long");
		step += length_step;
		break;
	}
	default:
		return wire_bad(wire, message, at, "a wire type is not one ONNX uses");
	}
	if (length > end - at - step)
		return err_raise(-EINVAL,
				 "%s/model.onnx: byte %zu (in %s): field %u wants %llu bytes and "
				 "%zu are left; the file is damaged or cut short",
				 wire->name, at, message->short_name, (unsigned)(tag >> 3),
				 (unsigned long long)length, end - at - step);
	*ret_tag = tag;
	*ret_at = at + step;
	*ret_bytes = length;
	return 0;
}

static int wire_check_message(const struct wire *wire, const ProtobufCMessageDescriptor *message,
			      size_t at, size_t end, unsigned depth)
{
	uint64_t seen = 0;
	int r = 0;

	assert(message->n_fields <= 64);
	if (depth > ONNX_DEPTH_MAX)
		return wire_bad(wire, message, at, "messages are nested more than 64 deep");
	while (at < end) {
		const ProtobufCFieldDescriptor *field;
		size_t value_at = 0, value_bytes = 0;
		uint64_t tag = 0;

		r = wire_field(wire, message, at, end, &tag, &value_at, &value_bytes);
		if (r < 0)
			return err_trace(r);
		field = protobuf_c_message_descriptor_get_field(message, (unsigned)(tag >> 3));
		if (field && !wire_type_fits(field, (unsigned)(tag & 7)))
			return err_raise(
				-EINVAL,
				"%s/model.onnx: byte %zu: %s.%s has wire type %u, which is "
				"not its own",
				wire->name, at, message->short_name, field->name,
				(unsigned)(tag & 7));
		if (field && wire_is_second(message, field, &seen))
			return err_raise(-EINVAL, "%s/model.onnx: byte %zu: %s.%s is there twice",
					 wire->name, at, message->short_name, field->name);
		if (field && field->type == PROTOBUF_C_TYPE_MESSAGE)
			r = wire_check_message(wire, field->descriptor, value_at,
					       value_at + value_bytes, depth + 1);
		else if (field && field->type == PROTOBUF_C_TYPE_STRING)
			r = wire_check_string(wire, message, field, value_at, value_bytes);
		if (r < 0)
			return r;
		at = value_at + value_bytes;
	}
	return 0;
}

/* Each allocation carries its size in front of it, on a line of its own alignment. */
struct wire_header {
	max_align_t bytes;
};

static void *budget_alloc(void *context, size_t bytes)
{
	struct onnx_wire_budget *budget = context;
	struct wire_header *header;

	if (bytes > budget->limit_bytes || budget->used_bytes > budget->limit_bytes - bytes ||
	    budget->limit_bytes - bytes - budget->used_bytes < sizeof(*header)) {
		budget->is_spent = true;
		return NULL;
	}
	header = malloc(sizeof(*header) + bytes);
	if (!header) {
		budget->is_failed = true;
		return NULL;
	}
	bytes += sizeof(*header);
	memcpy(header, &bytes, sizeof(bytes));
	budget->used_bytes += bytes;
	if (budget->used_bytes > budget->used_bytes_max)
		budget->used_bytes_max = budget->used_bytes;
	return header + 1;
}

static void budget_free(void *context, void *address)
{
	struct onnx_wire_budget *budget = context;
	struct wire_header *header = address;
	size_t bytes;

	if (!header)
		return;
	header--;
	memcpy(&bytes, header, sizeof(bytes));
	assert(budget->used_bytes >= bytes);
	budget->used_bytes -= bytes;
	free(header);
}

uint64_t onnx_wire_limit_bytes(uint64_t file_bytes)
{
	uint64_t structure_bytes =
		file_bytes < WIRE_STRUCTURE_BYTES_MAX ? file_bytes : WIRE_STRUCTURE_BYTES_MAX;

	return WIRE_GROWTH_BULK * file_bytes + WIRE_GROWTH_STRUCTURE * structure_bytes +
	       WIRE_BASE_BYTES;
}

int onnx_wire_unpack(const char *name, const void *bytes, size_t byte_count,
		     struct onnx_wire_budget *budget, struct Onnx__ModelProto **ret_proto)
{
	const struct wire wire = {.name = name, .bytes = bytes};
	ProtobufCAllocator allocator = {budget_alloc, budget_free, budget};
	Onnx__ModelProto *proto;
	int r;

	if (byte_count == 0)
		return err_raise(-EINVAL, "%s/model.onnx is empty", name);
	r = wire_check_message(&wire, &onnx__model_proto__descriptor, 0, byte_count, 1);
	if (r < 0)
		return err_trace(r);

	proto = onnx__model_proto__unpack(&allocator, byte_count, bytes);
	if (!proto && budget->is_failed)
		return err_raise(-ENOMEM, "%s/model.onnx: no memory to unpack %zu bytes", name,
				 byte_count);
	if (!proto && budget->is_spent)
		return err_raise(-EINVAL,
				 "%s/model.onnx: %zu bytes unfold into more than %llu; write large "
				 "tensors as raw_data or external data",
				 name, byte_count, (unsigned long long)budget->limit_bytes);
	if (!proto)
		return err_raise(-EINVAL, "%s/model.onnx is not a protobuf message of ONNX", name);

	*ret_proto = proto;
	return 0;
}

void onnx_wire_free(struct Onnx__ModelProto *proto, struct onnx_wire_budget *budget)
{
	ProtobufCAllocator allocator = {budget_alloc, budget_free, budget};

	if (proto)
		onnx__model_proto__free_unpacked(proto, &allocator);
}

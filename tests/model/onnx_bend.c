/* SPDX-License-Identifier: MIT */
/* tests/model/onnx_bend.c - a sound file becomes one that is nearly sound */
#include "onnx_bend.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "graph/ops.h"
#include "model/onnx_parts.h"
#include "onnx.pb-c.h"

#define POOL_BYTES (UINT64_C(16) << 20)
#define BENDS_MAX 4
#define LIST_MAX 4096

struct random {
	uint64_t state;
};

static uint64_t random_next(struct random *random)
{
	uint64_t mixed = random->state += UINT64_C(0x9e3779b97f4a7c15);

	mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ mixed >> 31;
}

static size_t random_below(struct random *random, size_t bound)
{
	return bound ? random_next(random) % bound : 0;
}

static int64_t random_number(struct random *random)
{
	static const int64_t edges[] = {
		0, 1, -1, 2, 3, 4, 7, 8, 9, 16, 17, 127, 128, 255, 4095, 4096, 65535, 1 << 20,
		INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN, INT64_C(1) << 40,
		INT64_C(1) << 61, INT64_C(1) << 62, 1115904, 1115905,
	};

	if (random_below(random, 4) == 0)
		return (int64_t)random_next(random);
	return edges[random_below(random, sizeof(edges) / sizeof(edges[0]))];
}

/* One of the supported operators. */
static const char *random_op(struct random *random)
{
	static char name[32];
	const char *list = op_list();
	size_t at = random_below(random, strlen(list));
	size_t bytes;

	while (at > 0 && list[at - 1] != ' ')
		at--;
	bytes = strcspn(list + at, " ,");
	if (bytes >= sizeof(name))
		return "Add";
	memcpy(name, list + at, bytes);
	name[bytes] = '\0';
	return op_find(name)->name;
}

static const char *random_word(struct random *random)
{
	static const char *const words[] = {
		"", "x", "y", "w", "b", "h", "c", "z", "ids", "table", "value", "values", "offsets",
		"batch", "axis", "axes", "to", "alpha", "beta", "transA", "transB", "perm",
		"keepdims", "starts", "ends", "start", "end", "epsilon", "min", "max", "allowzero",
		"value_int", "value_ints", "value_float", "value_floats", "noop_with_empty_axes",
		"equation", "bij,jk->bik", "...j,jk", "->", "batch_dims", "reduction", "none", "add",
		"k", "largest", "new_axis", "dtype", "then_branch", "else_branch", "body",
		"ai.onnx", "com.example", "location", "offset", "length", "checksum", "model.bin",
		"model.onnx", "../model.bin", "/etc/passwd", ".", "..", "a/../b", "./model.bin",
		"inside.bin", "outside.bin", "hard.bin", "linked/model.bin", "fifo", "sub",
		"sub/model.bin", "0", "1", "-1", "8", "64", "4096", "4097",
		"18446744073709551615", "9223372036854775807", "\xff", "a\nb", "%s%n",
	};

	if (random_below(random, 3) == 0)
		return random_op(random);
	return words[random_below(random, sizeof(words) / sizeof(words[0]))];
}

/* The arena of an unpacked file: freed whole, so that entries may be shared. */
struct pool {
	size_t used_bytes;
	size_t bytes;
	uint8_t *data;
};

static void *pool_alloc(void *context, size_t bytes)
{
	struct pool *pool = context;
	void *address = pool->data + pool->used_bytes;

	bytes = (bytes + 15) & ~(size_t)15;
	if (bytes > pool->bytes - pool->used_bytes)
		return NULL;
	pool->used_bytes += bytes;
	return address;
}

static void pool_free(void *context, void *address)
{
	(void)context;
	(void)address;
}

static size_t element_bytes(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_DOUBLE:
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return 8;
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return 4;
	}
}

/* Sets one value of a field: at `member`, of the field's own type. */
static void bend_value(struct random *random, const ProtobufCFieldDescriptor *field, void *member)
{
	int64_t number = random_number(random);
	ProtobufCBinaryData *bytes;

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		*(char **)member = (char *)(uintptr_t)random_word(random);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		bytes = member;
		bytes->len = random_below(random, bytes->len + 1);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		break;
	default:
		memcpy(member, &number, element_bytes(field));
	}
}

/* A list one longer: one entry is there twice. */
static void list_lengthen(struct pool *pool, const ProtobufCFieldDescriptor *field, size_t *count,
			  uint8_t **list, size_t twice)
{
	size_t bytes = element_bytes(field);
	uint8_t *longer;

	if (*count > LIST_MAX)
		return;
	longer = pool_alloc(pool, (*count + 1) * bytes);
	if (!longer)
		return;
	memcpy(longer, *list, *count * bytes);
	memcpy(longer + *count * bytes, *list + twice * bytes, bytes);
	*list = longer;
	*count += 1;
}

static void bend_list(struct random *random, struct pool *pool,
		      const ProtobufCFieldDescriptor *field, size_t *count, uint8_t **whole)
{
	size_t bytes = element_bytes(field);
	uint8_t *list = *whole;
	size_t one = random_below(random, *count);
	size_t other = random_below(random, *count);
	uint8_t saved[sizeof(ProtobufCBinaryData)];

	if (*count == 0)
		return;
	switch (random_below(random, 6)) {
	case 0:
		*count = random_below(random, *count + 1);
		break;
	case 3:
		list_lengthen(pool, field, count, whole, one);
		break;
	case 1:
		memcpy(saved, list + one * bytes, bytes);
		memmove(list + one * bytes, list + other * bytes, bytes);
		memcpy(list + other * bytes, saved, bytes);
		break;
	case 2:
		memmove(list + one * bytes, list + other * bytes, bytes);
		break;
	default:
		bend_value(random, field, list + one * bytes);
	}
}

static void bend_field(struct random *random, struct pool *pool, ProtobufCMessage *message,
		       const ProtobufCFieldDescriptor *field)
{
	uint8_t *base = (uint8_t *)message;
	void *member = base + field->offset;
	void *quantifier = base + field->quantifier_offset;

	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		bend_list(random, pool, field, quantifier, member);
	} else if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		/* Only the member that is there: the others share its memory. */
		if (*(uint32_t *)quantifier != field->id)
			return;
		if (random_below(random, 4) == 0)
			*(uint32_t *)quantifier = 0;
		else
			bend_value(random, field, member);
	} else if (field->type == PROTOBUF_C_TYPE_STRING) {
		*(const char **)member = random_below(random, 4) ? random_word(random) : NULL;
	} else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
		if (random_below(random, 8) == 0)
			*(void **)member = NULL;
	} else {
		*(protobuf_c_boolean *)quantifier = random_below(random, 4) != 0;
		bend_value(random, field, member);
	}
}

/* Visits every message below; the one at which *countdown reaches 0 is returned. */
static ProtobufCMessage *message_at(ProtobufCMessage *message, size_t *countdown)
{
	const ProtobufCMessageDescriptor *descriptor = message->descriptor;

	if ((*countdown)-- == 0)
		return message;
	for (unsigned index = 0; index < descriptor->n_fields; index++) {
		const ProtobufCFieldDescriptor *field = &descriptor->fields[index];
		uint8_t *base = (uint8_t *)message;
		ProtobufCMessage **list = (ProtobufCMessage **)(base + field->offset);
		size_t count = 1;

		if (field->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			count = *(size_t *)(base + field->quantifier_offset);
			list = *(ProtobufCMessage ***)(base + field->offset);
		} else if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
			   *(uint32_t *)(base + field->quantifier_offset) != field->id) {
			continue;
		}
		for (size_t entry = 0; entry < count; entry++) {
			ProtobufCMessage *found =
				list[entry] ? message_at(list[entry], countdown) : NULL;

			if (found)
				return found;
		}
	}
	return NULL;
}

static void bend_message(struct random *random, struct pool *pool, Onnx__ModelProto *model)
{
	size_t all = SIZE_MAX;
	size_t count;
	ProtobufCMessage *message;

	message_at(&model->base, &all);
	count = SIZE_MAX - all;
	all = random_below(random, count);
	message = message_at(&model->base, &all);
	bend_field(
		random, pool, message,
		&message->descriptor->fields[random_below(random, message->descriptor->n_fields)]);
}

/* protobuf-c recurses as deep as the bytes tell it to: only what the loader would unpack is. */
static bool is_unpackable(const uint8_t *bytes, size_t byte_count)
{
	struct onnx_wire_budget budget = {.limit_bytes = POOL_BYTES / 2};
	struct Onnx__ModelProto *proto = NULL;

	if (onnx_wire_unpack("bent/1", bytes, byte_count, &budget, &proto) < 0)
		return false;
	onnx_wire_free(proto, &budget);
	return true;
}

size_t onnx_bend(uint8_t *bytes, size_t byte_count, size_t bytes_max, uint32_t seed)
{
	static struct pool pool;
	struct random random = {.state = seed};
	ProtobufCAllocator allocator = {pool_alloc, pool_free, &pool};
	Onnx__ModelProto *model;

	if (!pool.data) {
		pool.data = aligned_alloc(16, POOL_BYTES);
		if (!pool.data)
			abort();
		pool.bytes = POOL_BYTES;
	}
	if (!is_unpackable(bytes, byte_count))
		return 0;
	pool.used_bytes = 0;
	model = onnx__model_proto__unpack(&allocator, byte_count, bytes);
	if (!model)
		return 0;
	for (size_t bends = 1 + random_below(&random, BENDS_MAX); bends > 0; bends--)
		bend_message(&random, &pool, model);
	byte_count = onnx__model_proto__get_packed_size(model);
	if (byte_count > bytes_max)
		return 0;
	return onnx__model_proto__pack(model, bytes);
}

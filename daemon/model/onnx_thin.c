/* SPDX-License-Identifier: MIT */
/*
 * daemon/model/onnx_thin.c - model.onnx without the bytes of its large initializers
 *
 * Weights that are written into model.onnx itself (raw_data) are most of the file. They stay in it,
 * and are read from there into their place as external ones are: what is parsed is a copy of the
 * file without them, and a list of where they lie. A message that became shorter gets a length of
 * as many bytes as any length may have, because it is written before what follows is known.
 *
 * This reader judges nothing. Whatever it does not expect it leaves to the whole file and to
 * onnx_wire.c, which has the words for it.
 */
#include "onnx_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES (256U << 10)
#define VARINT_BYTES_MAX 10
#define LENGTH_BYTES 5 /* holds 35 bits */
#define COPY_BYTES_MIN 4096

enum wire_type {
	WIRE_VARINT = 0,
	WIRE_64 = 1,
	WIRE_BYTES = 2,
	WIRE_32 = 5,
};

/* ModelProto.graph, GraphProto.initializer, TensorProto.raw_data. */
static const uint32_t path[] = { 7, 5, 9 };
#define LEVELS (sizeof(path) / sizeof(path[0]))

struct thinning {
	const struct range_file *file;
	uint64_t at; /* in the file */
	uint8_t *window;
	uint64_t window_at;
	uint64_t window_bytes;
	uint64_t capacity; /* of the copy */
	uint32_t left_capacity;
	uint32_t initializers;
	struct onnx_thin *thin;
};

/* The file's next bytes, `wanted` or all that are left; at most a window. */
static int file_peek(struct thinning *thinning, uint64_t wanted, const uint8_t **ret_from,
		     uint64_t *ret_bytes)
{
	uint64_t left = thinning->file->bytes - thinning->at;
	uint64_t into = thinning->at - thinning->window_at;
	uint64_t bytes = left < WINDOW_BYTES ? left : WINDOW_BYTES;

	if (wanted > left)
		wanted = left;
	if (thinning->at < thinning->window_at || into + wanted > thinning->window_bytes) {
		int r;

		r = range_file_read(thinning->file, thinning->at, bytes, thinning->window);
		if (r < 0)
			return err_trace(r);
		thinning->window_at = thinning->at;
		thinning->window_bytes = bytes;
		into = 0;
	}
	*ret_from = thinning->window + into;
	*ret_bytes = wanted;
	return 0;
}

static uint8_t *copy_reserve(struct thinning *thinning, uint64_t bytes)
{
	struct onnx_thin *thin = thinning->thin;
	uint64_t wanted = thin->byte_count + bytes;
	uint8_t *grown;

	if (wanted > thinning->capacity) {
		uint64_t capacity = 2 * wanted + COPY_BYTES_MIN;

		grown = realloc(thin->bytes, capacity);
		if (!grown)
			return NULL;
		thin->bytes = grown;
		thinning->capacity = capacity;
	}
	return thin->bytes + thin->byte_count;
}

static int no_memory(const struct thinning *thinning)
{
	return err_raise(-ENOMEM, "%s/%s: no memory for %llu bytes of it", thinning->file->folder,
			 thinning->file->location,
			 (unsigned long long)thinning->thin->byte_count);
}

static int copy_bytes(struct thinning *thinning, uint64_t bytes)
{
	uint8_t *place = copy_reserve(thinning, bytes);
	int r;

	if (!place)
		return no_memory(thinning);
	if (bytes <= WINDOW_BYTES) {
		uint64_t got = 0;
		const uint8_t *from = NULL;

		r = file_peek(thinning, bytes, &from, &got);
		if (r < 0)
			return err_trace(r);
		memcpy(place, from, got);
	} else {
		r = range_file_read(thinning->file, thinning->at, bytes, place);
		if (r < 0)
			return err_trace(r);
	}
	thinning->thin->byte_count += bytes;
	thinning->at += bytes;
	return 0;
}

/* The number at `at`, which is copied and passed. THICK: none that ends before `end`. */
static int copy_varint(struct thinning *thinning, uint64_t end, uint64_t *ret_value)
{
	const uint8_t *from = NULL;
	uint64_t got = 0;
	uint64_t value = 0;
	uint64_t count = 0;
	int r;

	r = file_peek(thinning, VARINT_BYTES_MAX, &from, &got);
	if (r < 0)
		return err_trace(r);
	if (got > end - thinning->at)
		got = end - thinning->at;
	do {
		if (count == got)
			return ONNX_E_THICK;
		value |= (uint64_t)(from[count] & 0x7f) << (7 * count);
	} while (from[count++] & 0x80);
	*ret_value = value;
	return copy_bytes(thinning, count);
}

static int left_add(struct thinning *thinning, uint64_t bytes)
{
	struct onnx_thin *thin = thinning->thin;

	if (thin->left_count == thinning->left_capacity) {
		uint32_t capacity = 2 * thinning->left_capacity + 16;
		struct onnx_left *grown = realloc(thin->left, capacity * sizeof(*grown));

		if (!grown)
			return no_memory(thinning);
		thin->left = grown;
		thinning->left_capacity = capacity;
	}
	thin->left[thin->left_count++] = (struct onnx_left){
		.initializer = thinning->initializers - 1,
		.offset = thinning->at,
		.bytes = bytes,
	};
	thinning->at += bytes;
	return 0;
}

/* A length is written when it is known; all its bytes but the last say that another one follows. */
static void length_write(uint8_t *place, uint64_t length)
{
	for (uint32_t index = 0; index < LENGTH_BYTES; index++) {
		place[index] = (uint8_t)(length & 0x7f) | (index < LENGTH_BYTES - 1 ? 0x80 : 0);
		length >>= 7;
	}
}

static int message_copy(struct thinning *thinning, uint64_t end, uint32_t level);

static int message_enter(struct thinning *thinning, uint64_t length, uint32_t level)
{
	uint64_t length_at = thinning->thin->byte_count;
	int r;

	if (!copy_reserve(thinning, LENGTH_BYTES))
		return no_memory(thinning);
	thinning->thin->byte_count += LENGTH_BYTES;
	r = message_copy(thinning, thinning->at + length, level);
	if (r == 0)
		length_write(thinning->thin->bytes + length_at,
			     thinning->thin->byte_count - length_at - LENGTH_BYTES);
	return r < 0 ? err_trace(r) : r;
}

/* A counted field, behind its tag. */
static int counted_copy(struct thinning *thinning, uint64_t end, uint32_t level, bool is_on_path,
			bool *has_one)
{
	uint64_t tag_end = thinning->thin->byte_count;
	uint64_t length = 0;
	int r;

	r = copy_varint(thinning, end, &length);
	if (r != 0)
		return r < 0 ? err_trace(r) : r;
	if (length > end - thinning->at)
		return ONNX_E_THICK;
	if (!is_on_path)
		return copy_bytes(thinning, length);
	if (*has_one && path[level] != 5) /* of these there are many */
		return ONNX_E_THICK;
	*has_one = true;
	if (level == LEVELS - 1 && length < ONNX_LEFT_BYTES_MIN)
		return copy_bytes(thinning, length);
	thinning->thin->byte_count = tag_end;
	if (level < LEVELS - 1) {
		thinning->initializers += level == 1;
		return message_enter(thinning, length, level + 1);
	}
	/* The field stands there empty. */
	if (!copy_reserve(thinning, 1))
		return no_memory(thinning);
	thinning->thin->bytes[thinning->thin->byte_count++] = 0;
	return left_add(thinning, length);
}

static int message_copy(struct thinning *thinning, uint64_t end, uint32_t level)
{
	bool has_one = false;
	int r = 0;

	while (r == 0 && thinning->at < end) {
		uint64_t tag = 0;
		uint64_t number = 0;

		r = copy_varint(thinning, end, &tag);
		if (r != 0)
			break;
		switch (tag & 7) {
		case WIRE_VARINT:
			r = copy_varint(thinning, end, &number);
			break;
		case WIRE_64:
		case WIRE_32:
			number = (tag & 7) == WIRE_64 ? 8 : 4;
			r = number > end - thinning->at ? ONNX_E_THICK
							: copy_bytes(thinning, number);
			break;
		case WIRE_BYTES:
			r = counted_copy(thinning, end, level, tag >> 3 == path[level], &has_one);
			break;
		default:
			r = ONNX_E_THICK;
		}
	}
	return r < 0 ? err_trace(r) : r;
}

int onnx_thin_read(const struct range_file *file, struct onnx_thin *ret_thin)
{
	struct onnx_thin thin = { .bytes = NULL };
	struct thinning thinning = { .file = file, .thin = &thin };
	int r;

	if (file->bytes < ONNX_LEFT_BYTES_MIN)
		return ONNX_E_THICK;
	thinning.window = malloc(WINDOW_BYTES);
	r = thinning.window ? message_copy(&thinning, file->bytes, 0) : no_memory(&thinning);
	free(thinning.window);
	if (r != 0) {
		onnx_thin_deinit(&thin);
		return r < 0 ? err_trace(r) : r;
	}
	*ret_thin = thin;
	return 0;
}

void onnx_thin_deinit(struct onnx_thin *thin)
{
	free(thin->bytes);
	free(thin->left);
	*thin = (struct onnx_thin){ .bytes = NULL };
}

/* SPDX-License-Identifier: MIT */
/*
 * daemon/model/onnx_kept.c - a model without its files: all that its graph was made of, in a memfd
 *
 * What is kept is model.onnx without the bytes of its large initializers, where those lay, the sizes
 * of the external files, and each small external tensor that was read before onnx_keep: whoever
 * builds the graph again asks for the same. Weights are not among it.
 *
 *     u64 magic, format, left_count, file_count, note_count, thin_bytes
 *     left_count of   u64 initializer, offset, bytes
 *     file_count of   u64 bytes, location_bytes; the location
 *     note_count of   u64 file, offset, bytes; the tensor's bytes
 *     thin_bytes of   model.onnx
 *
 * Each part begins at a multiple of 8 bytes.
 */
#include "onnx_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory/sealed.h"

#define MAGIC UINT64_C(0x6c65646f6d787268)
#define FORMAT UINT64_C(1)
#define KEPT_BYTES_MAX (UINT64_C(64) << 20) /* of a model.onnx that has to be parsed whole */
#define NOTES_MAX 4096

enum header {
	HEADER_MAGIC,
	HEADER_FORMAT,
	HEADER_LEFTS,
	HEADER_FILES,
	HEADER_NOTES,
	HEADER_THIN_BYTES,
	HEADER_WORDS,
};

static uint64_t padded(uint64_t bytes)
{
	return (bytes + 7) & ~UINT64_C(7);
}

/* --- what is read while the graph is built -------------------------------------------------------- */

static const struct onnx_note *note_find(const struct onnx_whole *whole,
					 const struct onnx_tensor *tensor)
{
	const struct onnx_note *note;

	for (note = whole->notes; note; note = note->next)
		if (note->file_index == tensor->file_index && note->offset == tensor->offset &&
		    note->bytes == tensor->bytes)
			return note;
	return NULL;
}

void onnx_note(struct onnx_whole *whole, const struct onnx_tensor *tensor, const void *bytes)
{
	struct onnx_note *note;

	if (whole->is_noted || whole->is_kept || note_find(whole, tensor))
		return;
	note = tensor->bytes < ONNX_LEFT_BYTES_MIN && whole->note_count < NOTES_MAX
		       ? onnx_alloc(whole, 1, sizeof(*note) + tensor->bytes)
		       : NULL;
	if (!note) {
		whole->is_unkeepable = true;
		return;
	}
	*note = (struct onnx_note){
		.next = whole->notes,
		.file_index = tensor->file_index,
		.offset = tensor->offset,
		.bytes = tensor->bytes,
	};
	memcpy(note->data, bytes, tensor->bytes);
	whole->notes = note;
	whole->note_count++;
}

int onnx_kept_read(const struct onnx_whole *whole, const struct onnx_tensor *tensor,
		   void *destination)
{
	const struct onnx_note *note = note_find(whole, tensor);

	if (!note)
		return err_raise(-ENODATA, "%s: tensor '%s' is not among what was kept of the model",
				 whole->name, tensor->name);
	memcpy(destination, note->data, note->bytes);
	return 0;
}

/* --- writing ------------------------------------------------------------------------------------- */

struct pen {
	uint8_t *bytes;
	uint64_t used;
};

static void put(struct pen *pen, const void *bytes, uint64_t byte_count)
{
	if (pen->bytes && byte_count > 0)
		memcpy(pen->bytes + pen->used, bytes, byte_count);
	pen->used += padded(byte_count);
}

/* Without bytes a pen measures. */
static void whole_put(struct pen *pen, const struct onnx_whole *whole,
		      const struct onnx_thin *thin)
{
	const uint64_t header[HEADER_WORDS] = {
		[HEADER_MAGIC] = MAGIC,		   [HEADER_FORMAT] = FORMAT,
		[HEADER_LEFTS] = thin->left_count, [HEADER_FILES] = whole->file_count,
		[HEADER_NOTES] = whole->note_count, [HEADER_THIN_BYTES] = thin->byte_count,
	};
	const struct onnx_note *note;

	put(pen, header, sizeof(header));
	for (uint32_t index = 0; index < thin->left_count; index++) {
		const struct onnx_left *left = &thin->left[index];

		put(pen, (uint64_t[]){ left->initializer, left->offset, left->bytes }, 24);
	}
	for (uint32_t index = 0; index < whole->file_count; index++) {
		const struct range_file *source = &whole->files[index].source;
		uint64_t location_bytes = strlen(source->location);

		put(pen, (uint64_t[]){ source->bytes, location_bytes }, 16);
		put(pen, source->location, location_bytes);
	}
	for (note = whole->notes; note; note = note->next) {
		put(pen, (uint64_t[]){ note->file_index, note->offset, note->bytes }, 24);
		put(pen, note->data, note->bytes);
	}
	put(pen, thin->bytes, thin->byte_count);
}

/* model.onnx once more, as it was parsed. */
static int thin_again(const struct onnx_whole *whole, struct onnx_thin *ret_thin)
{
	const struct range_file *file = &whole->files[0].source;
	struct onnx_thin thin = { .byte_count = file->bytes };
	int r;

	if (!whole->is_thick)
		return onnx_thin_read(file, ret_thin);
	if (file->bytes > KEPT_BYTES_MAX)
		return ONNX_E_UNKEPT;
	thin.bytes = malloc(file->bytes + 1);
	if (!thin.bytes)
		return err_raise(-ENOMEM, "%s/model.onnx: no memory for %llu bytes", whole->name,
				 (unsigned long long)file->bytes);
	r = range_file_read(file, 0, file->bytes, thin.bytes);
	if (r < 0) {
		onnx_thin_deinit(&thin);
		return err_trace(r);
	}
	*ret_thin = thin;
	return 0;
}

int onnx_keep(struct onnx_model *model, int *ret_fd)
{
	struct onnx_whole *whole = (struct onnx_whole *)model;
	struct onnx_thin thin = { .bytes = NULL };
	struct pen pen = { .bytes = NULL };
	int r;

	whole->is_noted = true;
	if (whole->is_unkeepable || whole->is_kept)
		return ONNX_E_UNKEPT;
	r = thin_again(whole, &thin);
	if (r != 0)
		return r < 0 ? err_trace(r) : ONNX_E_UNKEPT;
	whole_put(&pen, whole, &thin);
	pen.bytes = calloc(1, pen.used);
	if (pen.bytes) {
		pen.used = 0;
		whole_put(&pen, whole, &thin);
		r = sealed_new("hearth-model", pen.bytes, pen.used, ret_fd);
	} else {
		r = err_raise(-ENOMEM, "%s: no memory to keep %llu bytes of its graph", whole->name,
			      (unsigned long long)pen.used);
	}
	free(pen.bytes);
	onnx_thin_deinit(&thin);
	return r < 0 ? err_trace(r) : 0;
}

/* --- reading ------------------------------------------------------------------------------------- */

struct reader {
	const char *name;
	const uint8_t *bytes;
	uint64_t left_bytes;
};

static int damaged(const struct reader *reader)
{
	return err_raise(-EINVAL, "%s: what was kept of the model is damaged or of another format",
			 reader->name);
}

/* NULL: there is not so much. */
static const void *take(struct reader *reader, uint64_t byte_count)
{
	const void *taken = reader->bytes;

	if (byte_count > reader->left_bytes || padded(byte_count) > reader->left_bytes)
		return NULL;
	reader->bytes += padded(byte_count);
	reader->left_bytes -= padded(byte_count);
	return taken;
}

static int lefts_take(struct reader *reader, uint64_t count, struct onnx_thin *thin)
{
	const uint64_t *words;

	if (count > reader->left_bytes / 24)
		return damaged(reader);
	words = take(reader, count * 24);
	thin->left = malloc(count * sizeof(*thin->left) + 1);
	if (!words || !thin->left)
		return words ? err_raise(-ENOMEM, "%s: no memory for a model", reader->name)
			     : damaged(reader);
	for (uint64_t index = 0; index < count; index++, words += 3)
		thin->left[index] = (struct onnx_left){
			.initializer = (uint32_t)words[0],
			.offset = words[1],
			.bytes = words[2],
		};
	thin->left_count = (uint32_t)count;
	return 0;
}

static int files_take(struct reader *reader, uint64_t count, struct onnx_whole *whole)
{
	if (count == 0 || count > ONNX_FILES_MAX)
		return damaged(reader);
	whole->files = onnx_alloc(whole, count, sizeof(whole->files[0]));
	if (!whole->files)
		return onnx_no_memory(whole);
	whole->file_count = 0;
	for (uint64_t index = 0; index < count; index++) {
		struct onnx_file *file = &whole->files[index];
		const uint64_t *words = take(reader, 16);
		const char *text = words && words[1] <= ONNX_NAME_BYTES_MAX
					   ? take(reader, words[1])
					   : NULL;
		char *location;

		if (!text || words[0] > INT64_MAX)
			return damaged(reader);
		location = onnx_alloc(whole, words[1] + 1, 1);
		if (!location)
			return onnx_no_memory(whole);
		memcpy(location, text, words[1]);
		file->source = (struct range_file){
			.folder = whole->name,
			.location = location,
			.fd = -1,
			.direct_fd = -1,
			.bytes = words[0],
		};
		file->stat.st_size = (off_t)words[0];
		whole->file_count++;
	}
	whole->file_capacity = whole->file_count;
	return 0;
}

static int notes_take(struct reader *reader, uint64_t count, struct onnx_whole *whole)
{
	for (uint64_t index = 0; index < count; index++) {
		const uint64_t *words = take(reader, 24);
		const void *data = words && words[2] < ONNX_LEFT_BYTES_MIN ? take(reader, words[2])
									   : NULL;
		struct onnx_note *note;

		if (!data || words[0] >= whole->file_count)
			return damaged(reader);
		note = onnx_alloc(whole, 1, sizeof(*note) + words[2]);
		if (!note)
			return onnx_no_memory(whole);
		*note = (struct onnx_note){
			.next = whole->notes,
			.file_index = (uint32_t)words[0],
			.offset = words[1],
			.bytes = words[2],
		};
		memcpy(note->data, data, words[2]);
		whole->notes = note;
	}
	return 0;
}

int onnx_kept_take(struct onnx_whole *whole, const void *bytes, uint64_t byte_count,
		   const void **ret_thin)
{
	struct reader reader = { whole->name, bytes, byte_count };
	const uint64_t *header = take(&reader, HEADER_WORDS * sizeof(*header));
	int r;

	if (!header || header[HEADER_MAGIC] != MAGIC || header[HEADER_FORMAT] != FORMAT)
		return damaged(&reader);
	r = lefts_take(&reader, header[HEADER_LEFTS], &whole->thin);
	if (r == 0)
		r = files_take(&reader, header[HEADER_FILES], whole);
	if (r == 0)
		r = notes_take(&reader, header[HEADER_NOTES], whole);
	if (r < 0)
		return err_trace(r);
	*ret_thin = take(&reader, header[HEADER_THIN_BYTES]);
	if (!*ret_thin || reader.left_bytes != 0)
		return damaged(&reader);
	whole->thin.byte_count = header[HEADER_THIN_BYTES];
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* daemon/model/onnx.c - a model's arena and life: open, read, retry, close */
#include "model/onnx.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/sealed.h"
#include "onnx_parts.h"

#define MODEL_FILE "model.onnx"
#define MODEL_ATTEMPTS 2
#define ARENA_BLOCK_BYTES 65536
#define FILES_AT_FIRST 4

static_assert(offsetof(struct onnx_whole, model) == 0, "a model is the first member of its whole");

/* The arena: blocks, the newest first. Each allocation is aligned to 16 bytes. */
struct onnx_block {
	struct onnx_block *next;
	size_t used_bytes;
	size_t bytes;
	max_align_t data[];
};

static void whole_free(struct onnx_whole *whole)
{
	if (!whole)
		return;
	for (uint32_t index = 0; index < whole->file_count; index++)
		onnx_file_close(&whole->files[index]);
	if (whole->directory_fd >= 0)
		close(whole->directory_fd);
	while (whole->blocks) {
		struct onnx_block *block = whole->blocks;

		whole->blocks = block->next;
		free(block);
	}
	free(whole);
}

static int whole_new(int directory_fd, const char *name, struct onnx_whole **ret_whole)
{
	struct onnx_whole *whole = calloc(1, sizeof(*whole));

	if (!whole)
		return err_raise(-ENOMEM, "%s: no memory for a model", name);
	whole->is_kept = directory_fd < 0;
	whole->directory_fd = whole->is_kept ? -1 : fcntl(directory_fd, F_DUPFD_CLOEXEC, 0);
	if (whole->directory_fd < 0 && !whole->is_kept) {
		int error = errno;

		whole_free(whole);
		return err_raise(-error, "%s: its directory cannot be kept open: %s", name,
				 strerror(error));
	}
	whole->name = onnx_copy_string(whole, name);
	whole->files = onnx_alloc(whole, FILES_AT_FIRST, sizeof(whole->files[0]));
	if (!whole->name || !whole->files) {
		whole_free(whole);
		return err_raise(-ENOMEM, "%s: no memory for a model", name);
	}
	whole->file_capacity = FILES_AT_FIRST;
	whole->file_count = 1;
	whole->files[0].source =
		(struct range_file){.location = MODEL_FILE, .fd = -1, .direct_fd = -1};

	*ret_whole = whole;
	return 0;
}

/* Converts what was unpacked, and frees it. */
static int whole_convert(struct onnx_whole *whole, struct Onnx__ModelProto *proto,
			 struct onnx_wire_budget *budget)
{
	int r;

	r = onnx_graph_fill(whole, proto);
	onnx_wire_free(proto, budget);
	assert(budget->used_bytes == 0);
	return r < 0 ? err_trace(r) : 0;
}

static int whole_fill(struct onnx_whole *whole, const void *bytes, size_t byte_count)
{
	struct onnx_wire_budget budget = {.limit_bytes = onnx_wire_limit_bytes(byte_count)};
	struct Onnx__ModelProto *proto = NULL;
	int r;

	r = onnx_wire_unpack(whole->name, bytes, byte_count, &budget, &proto);
	if (r == 0)
		r = whole_convert(whole, proto, &budget);
	return r < 0 ? err_trace(r) : 0;
}

/* All of the file. */
static int whole_read_thick(struct onnx_whole *whole)
{
	const struct range_file *file = &whole->files[0].source;
	struct onnx_wire_budget budget = {.limit_bytes = onnx_wire_limit_bytes(file->bytes)};
	struct Onnx__ModelProto *proto = NULL;
	void *buffer = malloc(file->bytes + 1);
	int r;

	if (!buffer)
		return err_raise(-ENOMEM, "%s/model.onnx: no memory for %llu bytes", whole->name,
				 (unsigned long long)file->bytes);
	r = range_file_read(file, 0, file->bytes, buffer);
	if (r == 0)
		r = onnx_wire_unpack(whole->name, buffer, file->bytes, &budget, &proto);
	free(buffer); /* protobuf-c has its copies */
	if (r == 0)
		r = whole_convert(whole, proto, &budget);
	return r < 0 ? err_trace(r) : 0;
}

/* Without its large initializers, where it has some. A file that does not unpack so is read whole:
 * the sentence then names the byte of the file. */
static int whole_read(struct onnx_whole *whole)
{
	const struct range_file *file = &whole->files[0].source;
	struct onnx_wire_budget budget = {.limit_bytes = 0};
	struct Onnx__ModelProto *proto = NULL;
	int r;

	if (file->bytes > ONNX_FILE_BYTES_MAX)
		return err_raise(-EINVAL,
				 "%s/model.onnx has %llu bytes; a protobuf message has at most "
				 "2 GiB: keep large tensors as external data",
				 whole->name, (unsigned long long)file->bytes);
	r = onnx_thin_read(file, &whole->thin);
	if (r == 0) {
		budget.limit_bytes = onnx_wire_limit_bytes(whole->thin.byte_count);
		if (onnx_wire_unpack(whole->name, whole->thin.bytes, whole->thin.byte_count,
				     &budget, &proto) < 0) {
			onnx_thin_deinit(&whole->thin);
			r = ONNX_E_THICK;
		}
	}
	whole->is_thick = r == ONNX_E_THICK;
	if (whole->is_thick)
		r = whole_read_thick(whole);
	else if (r == 0)
		r = whole_convert(whole, proto, &budget);
	onnx_thin_deinit(&whole->thin);
	return r < 0 ? err_trace(r) : 0;
}

/* OPEN_E_CHANGED: the file was written while it was read. */
#define OPEN_E_CHANGED 1

static int whole_open(int directory_fd, const char *file, const char *name,
		      struct onnx_whole **ret_whole)
{
	struct onnx_whole *whole = NULL;
	int r, changed;

	r = whole_new(directory_fd, name, &whole);
	if (r < 0)
		return err_trace(r);
	file = onnx_copy_string(whole, file);
	r = file
		    ? onnx_file_open(directory_fd, whole->name, file, &whole->files[0])
		    : err_raise(-ENOMEM, "%s: no memory for a file's name", name);
	if (r < 0) {
		whole_free(whole);
		return err_trace(r);
	}
	r = whole_read(whole);
	changed = onnx_file_verify(&whole->files[0]);
	if (changed == ONNX_E_CHANGED)
		r = OPEN_E_CHANGED;
	else if (changed < 0 && r == 0)
		r = changed;
	if (r != 0) {
		whole_free(whole);
		return r < 0 ? err_trace(r) : r;
	}

	*ret_whole = whole;
	return 0;
}

void *onnx_alloc(struct onnx_whole *whole, size_t count, size_t bytes)
{
	struct onnx_block *block = whole->blocks;
	size_t total, block_bytes;
	void *address;

	if (__builtin_mul_overflow(count, bytes, &total) || total > SIZE_MAX / 2)
		return NULL;
	total = (total + 15) & ~(size_t)15;
	if (!block || block->bytes - block->used_bytes < total) {
		block_bytes = total > ARENA_BLOCK_BYTES ? total : ARENA_BLOCK_BYTES;
		block = calloc(1, sizeof(*block) + block_bytes);
		if (!block)
			return NULL;
		block->bytes = block_bytes;
		if (total > ARENA_BLOCK_BYTES && whole->blocks) {
			/* A large one stands alone; the open block stays in front. */
			block->next = whole->blocks->next;
			whole->blocks->next = block;
		} else {
			block->next = whole->blocks;
			whole->blocks = block;
		}
	}
	address = (uint8_t *)block->data + block->used_bytes;
	block->used_bytes += total;
	return address;
}

char *onnx_copy_string(struct onnx_whole *whole, const char *string)
{
	size_t bytes = string ? strlen(string) : 0;
	char *copy = onnx_alloc(whole, bytes + 1, 1);

	if (copy && bytes > 0)
		memcpy(copy, string, bytes);
	return copy;
}

int onnx_parse(int directory_fd, const char *name, const void *bytes, size_t byte_count,
	       struct onnx_model **ret_model)
{
	struct onnx_whole *whole = NULL;
	int r;

	r = whole_new(directory_fd, name, &whole);
	if (r < 0)
		return err_trace(r);
	r = whole_fill(whole, bytes, byte_count);
	if (r < 0) {
		whole_free(whole);
		return err_trace(r);
	}

	*ret_model = &whole->model;
	return 0;
}

int onnx_open_file(int directory_fd, const char *file, const char *name,
		   struct onnx_model **ret_model)
{
	struct onnx_whole *whole = NULL;
	int r = OPEN_E_CHANGED;

	for (int attempt = 0; attempt < MODEL_ATTEMPTS && r == OPEN_E_CHANGED; attempt++)
		r = whole_open(directory_fd, file, name, &whole);
	if (r < 0)
		return err_trace(r);
	if (r == OPEN_E_CHANGED)
		return err_raise(-ESTALE,
				 "%s/model.onnx changed twice while it was read; put a version in "
				 "place by renaming its directory",
				 name);

	*ret_model = &whole->model;
	return 0;
}

int onnx_open(int directory_fd, const char *name, struct onnx_model **ret_model)
{
	return onnx_open_file(directory_fd, MODEL_FILE, name, ret_model);
}

static int whole_take(struct onnx_whole *whole, const void *bytes, uint64_t byte_count)
{
	const void *thin = NULL;
	int r;

	r = onnx_kept_take(whole, bytes, byte_count, &thin);
	if (r == 0)
		r = whole_fill(whole, thin, whole->thin.byte_count);
	onnx_thin_deinit(&whole->thin);
	return r < 0 ? err_trace(r) : 0;
}

int onnx_open_kept(int fd, const char *name, struct onnx_model **ret_model)
{
	struct onnx_whole *whole = NULL;
	const void *bytes = NULL;
	uint64_t byte_count = 0;
	int r;

	r = sealed_map(fd, name, &bytes, &byte_count);
	if (r < 0)
		return err_trace(r);
	r = whole_new(-1, name, &whole);
	if (r == 0)
		r = whole_take(whole, bytes, byte_count);
	sealed_unmap(bytes, byte_count);
	if (r < 0) {
		whole_free(whole);
		return err_trace(r);
	}

	*ret_model = &whole->model;
	return 0;
}

void onnx_close(struct onnx_model *model)
{
	whole_free((struct onnx_whole *)model);
}

/* SPDX-License-Identifier: MIT */
/*
 * daemon/model/onnx_parts.h - what the parts of the ONNX loader share; nobody else includes it
 *
 *     onnx.c         the arena; open, retry, close
 *     onnx_graph.c   names, inputs, outputs, what the model is made of
 *     onnx_node.c    one NodeProto and its attributes
 *     onnx_tensor.c  one TensorProto: sizes, inline bytes, external words
 *     onnx_files.c   files beneath the model's directory: open, read, verify
 *     onnx_thin.c    model.onnx without the bytes of its large initializers
 *     onnx_kept.c    a model without its files
 *     onnx_wire.c    the protobuf bytes, checked before and bounded while they are unpacked
 *
 * Owns:     struct onnx_whole is what onnx_open hands out as its first member
 */
#ifndef HEARTH_MODEL_ONNX_PARTS_H
#define HEARTH_MODEL_ONNX_PARTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "memory/range_reader.h"
#include "model/onnx.h"

struct Onnx__GraphProto;
struct Onnx__ModelProto;
struct Onnx__NodeProto;
struct Onnx__TensorProto;

#define ONNX_FILE_BYTES_MAX (UINT64_C(2) << 30) /* protobuf's own limit */
#define ONNX_FILES_MAX 1024
#define ONNX_NAME_BYTES_MAX 1024
#define ONNX_LABEL_BYTES 512 /* which node or tensor a sentence is about */
#define ONNX_DEPTH_MAX 64 /* messages in messages */

struct onnx_block;

struct onnx_file {
	struct range_file source;
	struct stat stat; /* as it was right after the file was opened */
};

/* Bytes of an initializer that were left in model.onnx. */
struct onnx_left {
	uint32_t initializer; /* its index in the file */
	uint64_t offset;
	uint64_t bytes;
};

struct onnx_thin {
	uint8_t *bytes; /* the file without them */
	size_t byte_count;
	struct onnx_left *left; /* in the file's order */
	uint32_t left_count;
};

/* A small external tensor that was read. */
struct onnx_note {
	struct onnx_note *next;
	uint32_t file_index;
	uint64_t offset;
	uint64_t bytes;
	uint8_t data[];
};

struct onnx_whole {
	struct onnx_model model;
	const char *name;
	struct onnx_block *blocks; /* the arena */
	int directory_fd;          /* a duplicate; external files are opened beneath it; -1: kept */
	uint32_t file_count;
	uint32_t file_capacity;
	struct onnx_file *files; /* 0 is model.onnx */
	struct onnx_thin thin;   /* while the model is filled in */
	struct onnx_note *notes; /* external tensors read before onnx_keep, or kept */
	uint32_t note_count;
	bool is_kept;       /* there are no files, only what was kept of them */
	bool is_thick;      /* model.onnx was parsed whole */
	bool is_noted;      /* nothing more is noted */
	bool is_unkeepable; /* something large was read, or too much */
};

/* onnx.c */
/* Zeroed; NULL: no memory. */
void *onnx_alloc(struct onnx_whole *whole, size_t count, size_t bytes);
char *onnx_copy_string(struct onnx_whole *whole, const char *string);

/* The model in `bytes`, which may go after the call. onnx_open does this after
 * it has read model.onnx; fuzzing and tests start here. */
must_check int onnx_parse(int directory_fd, const char *name, const void *bytes, size_t byte_count,
			  struct onnx_model **ret_model);

/* onnx_graph.c */
enum onnx_name_kind {
	ONNX_NAME_INITIALIZER,
	ONNX_NAME_INPUT,
	ONNX_NAME_OUTPUT,
};

struct onnx_name {
	const char *name;
	enum onnx_name_kind kind;
	uint32_t index; /* of the initializer, the input, or the node that has the output */
};

struct onnx_names {
	struct onnx_name *entries; /* sorted by name, then kind */
	size_t count;
	const struct onnx_names *outer; /* of the graph around a body; NULL: the model's own */
	size_t outer_node;              /* the node of that graph whose body this is */
	unsigned depth;                 /* bodies in bodies */
};

int onnx_string_compare(const void *one, const void *other); /* of char *, for qsort */
int onnx_no_memory(const struct onnx_whole *whole);
const struct onnx_name *onnx_names_find(const struct onnx_names *names, const char *name);
/* What the graphs around a body define before its node; NULL: nothing of that name. */
const struct onnx_name *onnx_names_find_outer(const struct onnx_names *names, const char *name);
must_check int onnx_graph_fill(struct onnx_whole *whole, const struct Onnx__ModelProto *proto);
/* The body of node `outer_node` of the graph whose names are `outer`. */
must_check int onnx_body_fill(struct onnx_whole *whole, const struct Onnx__GraphProto *proto,
			      const char *label, const struct onnx_names *outer,
			      size_t outer_node, const struct onnx_graph **ret_graph);

/* onnx_node.c */
must_check int onnx_node_fill(struct onnx_whole *whole, const struct Onnx__NodeProto *proto,
			      const struct onnx_names *names, size_t node_index,
			      struct onnx_node *node);

/* onnx_tensor.c: `label` says which tensor in sentences; `left`: its raw_data is in model.onnx. */
must_check int onnx_tensor_fill(struct onnx_whole *whole, const struct Onnx__TensorProto *proto,
				const char *label, bool may_be_external,
				const struct onnx_left *left, struct onnx_tensor *tensor);

/* onnx_files.c */
must_check int onnx_file_open(int directory_fd, const char *name, const char *location,
			      struct onnx_file *ret_file);
must_check int onnx_file_verify(const struct onnx_file *file);
must_check int onnx_file_find(struct onnx_whole *whole, const char *location,
			      uint32_t *ret_file_index);
void onnx_file_close(struct onnx_file *file);

/* onnx_thin.c. ONNX_E_THICK: the file is small, or not written as expected: read all of it. */
#define ONNX_E_THICK 1
#define ONNX_LEFT_BYTES_MIN (64U << 10)
must_check int onnx_thin_read(const struct range_file *file, struct onnx_thin *ret_thin);
void onnx_thin_deinit(struct onnx_thin *thin);

/* onnx_kept.c */
void onnx_note(struct onnx_whole *whole, const struct onnx_tensor *tensor, const void *bytes);
must_check int onnx_kept_read(const struct onnx_whole *whole, const struct onnx_tensor *tensor,
			      void *destination);
/* Files, notes and what was left; the bytes of model.onnx are at *ret_thin, within `bytes`. */
must_check int onnx_kept_take(struct onnx_whole *whole, const void *bytes, uint64_t byte_count,
			      const void **ret_thin);

/* onnx_wire.c: what unpacking may allocate for a file of so many bytes, and what
 * it did allocate at most at one time. */
uint64_t onnx_wire_limit_bytes(uint64_t file_bytes);

struct onnx_wire_budget {
	uint64_t limit_bytes;
	uint64_t used_bytes;
	uint64_t used_bytes_max;
	bool is_spent;  /* the limit said no */
	bool is_failed; /* malloc said no */
};

must_check int onnx_wire_unpack(const char *name, const void *bytes, size_t byte_count,
				struct onnx_wire_budget *budget,
				struct Onnx__ModelProto **ret_proto);
void onnx_wire_free(struct Onnx__ModelProto *proto, struct onnx_wire_budget *budget);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/model/onnx.h - an ONNX file, read and checked, with no opinion about its meaning
 *
 * Owns:     the parsed structure, small tensors, and the open external files
 * Threads:  one thread at a time
 * Units:    bytes, offsets in the file
 * Errors:   -EINVAL a file that is not what it says; -ENOENT, -EACCES, -ELOOP, ...
 *           from the system; -EOPNOTSUPP an encoding that is not read;
 *           -ESTALE the files changed while they were read, twice;
 *           each with a sentence that names the file and the tensor or node
 * Source:   onnx.proto of ONNX 1.12 (IR version 8), parsed by protobuf-c
 *
 * Initializers of 64 KiB and more stay in their file until they are asked for.
 * Memory is bounded by the size of model.onnx: every count and length is
 * checked against the bytes that are really there before anything is allocated.
 */
#ifndef HEARTH_MODEL_ONNX_H
#define HEARTH_MODEL_ONNX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "kernels/types.h"

#define ONNX_RANK_MAX 8
#define ONNX_BODIES_MAX 8 /* bodies in bodies */
#define ONNX_PAGE_BYTES 4096

enum onnx_source {
	ONNX_INLINE,   /* bytes inside model.onnx, held in memory */
	ONNX_EXTERNAL, /* bytes of a file of the same directory, or large ones of model.onnx */
};

struct onnx_tensor {
	const char *name;
	int32_t dtype; /* TensorProto.DataType; enum dtype where hearth computes with it */
	uint32_t rank;
	int64_t dims[ONNX_RANK_MAX];
	uint64_t bytes; /* product of dims times the element's size; checked against the source */
	enum onnx_source source;
	const void *data;    /* ONNX_INLINE: little endian, 8-byte aligned */
	uint32_t file_index; /* ONNX_EXTERNAL */
	uint64_t offset;     /* ONNX_EXTERNAL */
};

enum onnx_attribute_type {
	ONNX_ATTRIBUTE_INT,
	ONNX_ATTRIBUTE_FLOAT,
	ONNX_ATTRIBUTE_STRING,
	ONNX_ATTRIBUTE_INTS,
	ONNX_ATTRIBUTE_FLOATS,
	ONNX_ATTRIBUTE_TENSOR,
	ONNX_ATTRIBUTE_GRAPH, /* the body of a node: If, Loop, Scan */
	ONNX_ATTRIBUTE_OTHER, /* lists of graphs, sparse tensors, ...: named, not read */
};

struct onnx_graph;
struct range_left;

struct onnx_attribute {
	const char *name;
	enum onnx_attribute_type type;
	int64_t i;
	float f;
	const char *s; /* terminated; s_bytes without the terminator */
	uint32_t s_bytes;
	uint32_t count; /* of ints or floats */
	const int64_t *ints;
	const float *floats;
	const struct onnx_tensor *tensor;
	const struct onnx_graph *graph;
};

struct onnx_node {
	const char *name;    /* "" when the file gives none */
	const char *op_type;
	const char *domain;  /* "" is ONNX's own */
	uint32_t input_count;
	uint32_t output_count;
	uint32_t attribute_count;
	const char **inputs; /* "" is an input left out */
	const char **outputs;
	struct onnx_attribute *attributes;
};

struct onnx_dim {
	int64_t value;     /* >= 0; -1: symbolic */
	const char *param; /* the symbol's name; "" when it has none */
};

struct onnx_value {
	const char *name;
	int32_t dtype; /* in a body 0 where it is no tensor, or the file does not say */
	bool has_shape;
	uint32_t rank;
	struct onnx_dim dims[ONNX_RANK_MAX];
};

/* A node's body. It reads its own names and those that are defined before its node, in the
 * graphs around it; none of its names is one of those, and nothing outside reads its names. */
struct onnx_graph {
	uint32_t node_count;
	uint32_t tensor_count;
	uint32_t input_count; /* without those that are initializers */
	uint32_t output_count;
	struct onnx_node *nodes; /* in the file's order, which is topological */
	struct onnx_tensor *tensors; /* initializers */
	struct onnx_value *inputs;
	struct onnx_value *outputs;
};

struct onnx_model {
	const char *producer;
	int64_t ir_version;
	int64_t opset; /* of ONNX's own domain */
	uint32_t node_count;
	uint32_t tensor_count;
	uint32_t input_count; /* without those that are initializers */
	uint32_t output_count;
	struct onnx_node *nodes; /* in the file's order, which is topological */
	struct onnx_tensor *tensors; /* initializers */
	struct onnx_value *inputs;
	struct onnx_value *outputs;
};

/* Opens model.onnx under directory_fd and the external files it names, with
 * openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS). `name` is for messages. */
must_check int onnx_open(int directory_fd, const char *name, struct onnx_model **ret_model);
/* The same of a file of another name, of at most ONNX_NAME_BYTES_MAX bytes. */
must_check int onnx_open_file(int directory_fd, const char *file, const char *name,
			      struct onnx_model **ret_model);
void onnx_close(struct onnx_model *model);

/* A sealed memfd of what the graph was made of, to open the model again without a file. What is read
 * of it from here on is weights. ONNX_E_UNKEPT: it read more of its files than is kept. */
#define ONNX_E_UNKEPT 1
must_check int onnx_keep(struct onnx_model *model, int *ret_fd);
/* Of that memfd, which stays the caller's. What was not kept is -ENODATA. */
must_check int onnx_open_kept(int fd, const char *name, struct onnx_model **ret_model);

/* A number that changes with their names, sizes, inodes or times: of the files that were opened, or
 * of those that are under directory_fd now where the model was opened from what was kept. */
uint64_t onnx_files_hash(const struct onnx_model *model, int directory_fd);

/* Where in its first page of the file the tensor begins. 0 for inline tensors. */
uint32_t onnx_skew(const struct onnx_tensor *tensor);

/* Brings the tensor's bytes, and writes nothing beside them, to `destination`. */
must_check int onnx_read(const struct onnx_model *model, const struct onnx_tensor *tensor,
			 void *destination);

/* Opens the file of an external tensor once more, for whoever reads single rows of it; the caller
 * closes both descriptors. *ret_direct_fd is with O_DIRECT; -1: the file system has none. The
 * tensor's bytes are at *ret_offset. */
must_check int onnx_tensor_open(const struct onnx_model *model, const struct onnx_tensor *tensor,
				int *ret_fd, int *ret_direct_fd, uint64_t *ret_offset);

/* An external tensor, to come to `place` in `pages` (memory/range_reader.h). The model stays open
 * until it has. */
struct range_left onnx_range(const struct onnx_model *model, const struct onnx_tensor *tensor,
			     void *pages, void *place);
/* Why a file of those that were streamed was read through the page cache; 0: none was. */
int onnx_direct_error(const struct onnx_model *model, const char **ret_location);

/* Have the files changed (dev, ino, size, mtime, ctime) since onnx_open? Call it
 * after the last byte has arrived. ONNX_E_CHANGED: throw everything away and open
 * again; a caller that meets it twice refuses the model with -ESTALE. */
#define ONNX_E_CHANGED 1
must_check int onnx_verify(const struct onnx_model *model);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tests/model/onnx_writer_parts.h - what the parts of the writer share; nobody else includes it
 *
 *     onnx_writer.c        values and tensors, memory, files
 *     onnx_writer_nodes.c  nodes, their attributes and bodies
 */
#ifndef HEARTH_TESTS_MODEL_ONNX_WRITER_PARTS_H
#define HEARTH_TESTS_MODEL_ONNX_WRITER_PARTS_H

#include "onnx.pb-c.h"
#include "onnx_writer.h"

#define WRITER_LIST_MAX 64
#define WRITER_BODIES_MAX 32

struct block {
	struct block *next;
	max_align_t bytes[];
};

struct external {
	struct external *next;
	char *location;
	uint8_t *data;
	size_t bytes;
};

struct onnx_writer {
	struct block *blocks;
	struct external *externals;
	Onnx__ModelProto model;
	Onnx__GraphProto graph;
	Onnx__GraphProto *current; /* the graph, or the body that is being written */
	Onnx__GraphProto *around[WRITER_BODIES_MAX];
	uint32_t body_count;
	Onnx__OperatorSetIdProto opset;
	Onnx__OperatorSetIdProto *opsets[1];
	uint32_t node_count;
};

__attribute__((noreturn, format(printf, 1, 2))) void writer_die(const char *format, ...);

/* Zeroed, and the writer's. */
void *writer_alloc(struct onnx_writer *writer, size_t bytes);
char *writer_string(struct onnx_writer *writer, const char *string);
/* Appends an entry to a list of pointers; the old list stays in its block. */
void *writer_append(struct onnx_writer *writer, void *list, size_t *count, void *entry);
/* Cuts "a,,b" into its entries; "" has none. Returns how many. */
size_t writer_split(struct onnx_writer *writer, const char *list,
		    char *ret_entries[WRITER_LIST_MAX]);

/* Without data; NULL: without a name. */
Onnx__TensorProto *writer_tensor(struct onnx_writer *writer, const char *name, int32_t dtype,
				 const char *shape);
void writer_raw(struct onnx_writer *writer, Onnx__TensorProto *tensor, const void *data,
		uint64_t bytes);

#endif

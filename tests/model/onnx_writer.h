/* SPDX-License-Identifier: MIT */
/*
 * tests/model/onnx_writer.h - small ONNX files for tests, built in memory and written whole
 *
 *     struct onnx_writer *writer = onnx_writer_new(17);
 *     onnx_writer_input(writer, "x", DTYPE_F32, "batch,10");
 *     onnx_writer_tensor(writer, "w", DTYPE_F32, "10,4", weights, sizeof(weights));
 *     onnx_writer_external(writer, "table", DTYPE_F32, "1000,16", rows, bytes, "model.bin", 64);
 *     onnx_writer_node(writer, "Gemm", "x,w", "y");
 *     onnx_writer_int(writer, "transB", 0);
 *     onnx_writer_output(writer, "y", DTYPE_F32, "batch,4");
 *     r = onnx_writer_save(writer, directory);
 *     onnx_writer_free(writer);
 *
 * A shape is a list: "batch,10" has a symbolic and a fixed dimension, "?" one
 * without a name, "" is a scalar, NULL leaves the shape out. Inputs and outputs
 * of a node are lists too: "data,,steps" leaves the second input out, and ""
 * is an empty list.
 *
 * Owns:     copies of everything it is given
 * Threads:  one thread at a time
 * Units:    bytes
 * Errors:   save returns -errno; everything else ends the program with a sentence,
 *           because only a bug in the test breaks it
 */
#ifndef HEARTH_TESTS_MODEL_ONNX_WRITER_H
#define HEARTH_TESTS_MODEL_ONNX_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/types.h"

struct onnx_writer;

struct onnx_writer *onnx_writer_new(int64_t opset);

/* dtype is a TensorProto.DataType: enum dtype, or any other number. */
void onnx_writer_input(struct onnx_writer *writer, const char *name, int32_t dtype,
		       const char *shape);
void onnx_writer_output(struct onnx_writer *writer, const char *name, int32_t dtype,
			const char *shape);

/* An initializer inside the file (raw_data). */
void onnx_writer_tensor(struct onnx_writer *writer, const char *name, int32_t dtype,
			const char *shape, const void *data, uint64_t bytes);

/* The same of int64. */
void onnx_writer_i64(struct onnx_writer *writer, const char *name, const char *shape,
		     const int64_t *values, uint64_t count);

/* An initializer in the file `location` beside model.onnx, at the next multiple
 * of `alignment`. onnx_writer_save writes that file too. */
void onnx_writer_external(struct onnx_writer *writer, const char *name, int32_t dtype,
			  const char *shape, const void *data, uint64_t bytes,
			  const char *location, uint64_t alignment);

/* The same, but only the words: the caller makes the file, or does not. A NULL
 * offset or length is left out. */
void onnx_writer_external_words(struct onnx_writer *writer, const char *name, int32_t dtype,
				const char *shape, const char *location, const char *offset,
				const char *length);

/* Nodes are written in the order of the calls; their name is "node_0", "node_1", ... */
void onnx_writer_node(struct onnx_writer *writer, const char *op_type, const char *inputs,
		      const char *outputs);

/* A Constant node: its output `name` has this value. */
void onnx_writer_constant(struct onnx_writer *writer, const char *name, int32_t dtype,
			  const char *shape, const void *data, uint64_t bytes);

/* Attributes of the last node. */
void onnx_writer_int(struct onnx_writer *writer, const char *name, int64_t value);
void onnx_writer_float(struct onnx_writer *writer, const char *name, float value);
void onnx_writer_string(struct onnx_writer *writer, const char *name, const char *value);
void onnx_writer_ints(struct onnx_writer *writer, const char *name, const int64_t *values,
		      size_t count);
void onnx_writer_floats(struct onnx_writer *writer, const char *name, const float *values,
			size_t count);
/* A graph: the calls from here on write into it, up to onnx_writer_body_end; then the node whose
 * body it is is the last one again. */
void onnx_writer_body(struct onnx_writer *writer, const char *name);
void onnx_writer_body_end(struct onnx_writer *writer);

void onnx_writer_domain(struct onnx_writer *writer, const char *domain); /* of the last node */

/* The last node's first output becomes one without a name: nobody wants it. */
void onnx_writer_unwanted(struct onnx_writer *writer);

/* For tests that need what no verb above says: the protobuf-c message
 * (Onnx__ModelProto of onnx.pb-c.h). What is hung into it must outlive the
 * writer, or come from onnx_writer_copy. */
void *onnx_writer_message(struct onnx_writer *writer);
void *onnx_writer_copy(struct onnx_writer *writer, const void *data, size_t bytes);

/* The packed bytes; the caller frees them. */
uint8_t *onnx_writer_pack(struct onnx_writer *writer, size_t *ret_bytes);

/* Writes model.onnx and the external files into an existing directory, replacing
 * what has the same names. */
int onnx_writer_save(struct onnx_writer *writer, const char *directory);
int onnx_writer_save_at(struct onnx_writer *writer, int directory_fd);

void onnx_writer_free(struct onnx_writer *writer);

#endif

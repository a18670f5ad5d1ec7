/* SPDX-License-Identifier: MIT */
/*
 * tests/model/small_models.h - models of a node or two, for a seed to bend
 *
 * Owns:     nothing; the writer is the caller's
 */
#ifndef HEARTH_TESTS_MODEL_SMALL_MODELS_H
#define HEARTH_TESTS_MODEL_SMALL_MODELS_H

#include "onnx_writer.h"

/* y = x + w, where w [2] is external data with these words */
struct onnx_writer *small_external(const char *location, const char *offset, const char *length);

/* y = op(x), x [batch, 3, 4] */
struct onnx_writer *small_node(int64_t opset, const char *op_type, const char *inputs);

/* The same with a second input of integers that the file holds. */
struct onnx_writer *small_with_integers(const char *op_type, const char *shape,
					const int64_t *values, uint64_t count);

/* One free size, which a request may make 0, beside large ones. */
struct onnx_writer *small_free_size(const char *op_type, const char *shape, const char *ids);

/* An output that no node computes: the input, or a constant of these three dims without values. */
struct onnx_writer *small_passed_through(int64_t *dims);

/* y = x + c, where c [1] is a Constant */
struct onnx_writer *small_constant(void);

/* Slice of x [batch, 3, 4], from 2 to the end on the left, with this step */
struct onnx_writer *small_sliced(int64_t step);

/* y = Relu(o), where o is of a node with a body, in which there is one, ..., so many deep. */
struct onnx_writer *small_bodies(int depth);

#endif

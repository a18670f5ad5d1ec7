/* SPDX-License-Identifier: MIT */
/*
 * tests/graph/shown.h - a pass must not change an answer: a model and its twin, run side by side
 *
 * The twin gives values between as outputs, too. Nobody may fuse what an output shows, so that it
 * computes each operator by itself.
 */
#ifndef HEARTH_TESTS_GRAPH_SHOWN_H
#define HEARTH_TESTS_GRAPH_SHOWN_H

#include <stdint.h>

#include "tests/model/onnx_writer.h"

#define SHOWN_IDS 7

/* Writes the inputs, constants and nodes of the model that belongs to the seed. Input "x" and
 * output "y", and more inputs, of any shape [batch, ...], f32 or ids below SHOWN_IDS. */
typedef void (*shown_write)(struct onnx_writer *writer, uint32_t seed);

/* Writes both, the twin with the outputs `shown` ("a,b,c"), and runs them with 1, 2, 7, 13 and 64
 * rows of random floats: all bits of y agree. */
void shown_check(shown_write write, uint32_t seed, const char *shown);

/* An odd width in [least, most], drawn from *seed. */
int64_t shown_width(uint32_t *seed, int64_t least, int64_t most);

/* A random f32 constant [rows, columns], or [columns] where rows is 0. */
void shown_matrix(struct onnx_writer *writer, const char *name, int64_t rows, int64_t columns,
		  uint32_t *seed);

/* An input "name" of shape [batch, columns]. */
void shown_input(struct onnx_writer *writer, const char *name, int64_t columns);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tests/model/onnx_walk.h - touches every byte of a loaded model and checks what onnx.h promises
 *
 * Ends the program with a sentence when a promise is broken. Tensors of more
 * than `read_bytes_max` are not read.
 */
#ifndef HEARTH_TESTS_MODEL_ONNX_WALK_H
#define HEARTH_TESTS_MODEL_ONNX_WALK_H

#include "model/onnx.h"

/* Returns a checksum, so that nothing is left out as unused. */
uint64_t onnx_walk(const struct onnx_model *model, uint64_t read_bytes_max);

const struct onnx_tensor *onnx_walk_tensor(const struct onnx_model *model, const char *name);
const struct onnx_node *onnx_walk_node(const struct onnx_model *model, const char *name);

#endif

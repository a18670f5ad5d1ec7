/* SPDX-License-Identifier: MIT */
/*
 * tests/model/sound_models.h - small models of all that hearth loads: a fuzzer begins with them
 *
 * Among them is every operator (test_onnx_loads.c). Each has the name of its seed.
 *
 * Owns:     nothing; the writer is the caller's
 */
#ifndef HEARTH_TESTS_MODEL_SOUND_MODELS_H
#define HEARTH_TESTS_MODEL_SOUND_MODELS_H

#include <stdbool.h>

#include "onnx_writer.h"

/* x [batch, 3] -> Gemm with w [3, 2] and b [2] -> h -> Relu -> y */
struct onnx_writer *sound_mlp(void);

struct onnx_writer *sound_ranking(void); /* a part of its weights is in model.bin (traps.h) */
struct onnx_writer *sound_shape_chain(void);
struct onnx_writer *sound_operators(void);
struct onnx_writer *sound_folded(void); /* as above */

/* An If, whose branch has a Loop of so many iterations, which inserts into a sequence. */
struct onnx_writer *sound_control(int64_t trips);

struct onnx_writer *sound_bag_loop(void);
struct onnx_writer *sound_bag_sequence(bool padded);
struct onnx_writer *sound_unary(void);
struct onnx_writer *sound_logic(void);
struct onnx_writer *sound_reductions(void);
struct onnx_writer *sound_moves(void);
struct onnx_writer *sound_points(void);
struct onnx_writer *sound_bytes(void);
struct onnx_writer *sound_einsum(const char *equation); /* of x [batch, 3, 4] and w [4, 2] */
struct onnx_writer *sound_sequences(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tests/model/onnx_bend.h - a sound file becomes one that is nearly sound
 *
 * A file is unpacked and some of its fields are changed by the schema's
 * descriptors: numbers to the edges of their ranges, words to words that mean
 * something, lists cut, swapped, repeated and lengthened; then it is packed again.
 *
 * Owns:     one arena, made at the first call
 * Threads:  one thread at a time
 */
#ifndef HEARTH_TESTS_MODEL_ONNX_BEND_H
#define HEARTH_TESTS_MODEL_ONNX_BEND_H

#include <stddef.h>
#include <stdint.h>

/* Changes the file in `bytes`, which has room for bytes_max; the same seed changes the same
 * file in the same way. Returns its bytes then, 0 when it is not a file that can be unpacked
 * or has no room. */
size_t onnx_bend(uint8_t *bytes, size_t byte_count, size_t bytes_max, uint32_t seed);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/cold_model.h - a small model of large tables
 *
 * y [batch, 33] = [sum of `users` by history [batch, 3], `items` by item [batch], `biases` by item].
 * A table's elements are small integers that row and column decide, so that sums are exact.
 */
#ifndef HEARTH_TESTS_EXEC_COLD_MODEL_H
#define HEARTH_TESTS_EXEC_COLD_MODEL_H

#include <stdint.h>

#include "tests/model/onnx_writer.h"

#define COLD_HISTORY 3
#define COLD_USERS 5000
#define COLD_ITEMS 1100
#define COLD_DIM 16
#define COLD_WIDTH (2 * COLD_DIM + 1)

/* The tables lie in files of their own. */
struct onnx_writer *cold_model(void);

/* `users` and `items` lie in model.onnx itself, as raw_data: with shifts from 0 to 3 each of them
 * begins once at a multiple of 4 and thrice between two. `biases` lies in a file of its own. */
struct onnx_writer *cold_model_within(uint32_t shift);

/* One row of y. */
void cold_answer(const int64_t history[COLD_HISTORY], int32_t item, float y[COLD_WIDTH]);

#endif

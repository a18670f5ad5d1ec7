/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/cold_model.h - a small model whose tables lie in files of their own
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
#define COLD_ITEMS 700
#define COLD_DIM 16
#define COLD_WIDTH (2 * COLD_DIM + 1)

struct onnx_writer *cold_model(void);

/* One row of y. */
void cold_answer(const int64_t history[COLD_HISTORY], int32_t item, float y[COLD_WIDTH]);

#endif

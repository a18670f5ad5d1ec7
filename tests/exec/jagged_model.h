/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/jagged_model.h - two bags of values and offsets beside dense rows and a user
 *
 * Inputs:   x f32 [batch, LOOP_DIM]; ids i64 [values], offsets i64 [batch]; others i32 [more],
 *           starts i32 [batch], weights f32 [more]; user f32 [1, LOOP_DIM]
 * Output:   y f32 [batch, LOOP_DIM]
 *
 * Ids are below LOOP_ROWS. With `include_last` it is one weighted bag alone, of ids, offsets
 * [batch + 1] and weights: its rows are counted by nothing else.
 */
#ifndef HEARTH_TESTS_JAGGED_MODEL_H
#define HEARTH_TESTS_JAGGED_MODEL_H

#include <stdbool.h>

#include "tests/exec/loop_model.h"

enum jagged_input {
	JAGGED_X,
	JAGGED_IDS,
	JAGGED_OFFSETS,
	JAGGED_OTHERS,
	JAGGED_STARTS,
	JAGGED_WEIGHTS,
	JAGGED_USER,
};

/* Free sizes, in the order in which the inputs have them. */
enum jagged_size {
	JAGGED_ROWS,
	JAGGED_VALUES,
	JAGGED_MORE,
	JAGGED_SIZES,
};

/* The same weights at every call. */
struct onnx_writer *jagged_model(bool include_last);

#endif

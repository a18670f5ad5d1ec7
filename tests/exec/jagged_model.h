/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/jagged_model.h - two bags of values and offsets beside dense rows and a user
 *
 * Inputs:   x f32 [batch, LOOP_DIM]; ids i64 [values], offsets i64 [batch]; others i32 [more],
 *           starts i32 [batch], weights f32 [more]; user f32 [1, LOOP_DIM]
 * Output:   y f32 [batch, LOOP_DIM]
 *
 * Ids are below LOOP_ROWS. Other kinds have other inputs, their rows are as wide.
 */
#ifndef HEARTH_TESTS_JAGGED_MODEL_H
#define HEARTH_TESTS_JAGGED_MODEL_H

#include "tests/exec/loop_model.h"

enum jagged_kind {
	JAGGED_BESIDE, /* as above; weights are computed from `weights` */
	JAGGED_READ,   /* the same, but `weights` are the weights */
	JAGGED_LAST,   /* a weighted bag alone: ids, offsets [rows + 1], weights */
	JAGGED_MANY,   /* x, and ids and offsets of JAGGED_BAGS bags, each of values of its own;
			* every fourth has offsets [rows + 1], by a size of another name */
	JAGGED_KINDS,
};

#define JAGGED_BAGS 26

/* Of JAGGED_BESIDE. */
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
struct onnx_writer *jagged_model(enum jagged_kind kind);

#endif

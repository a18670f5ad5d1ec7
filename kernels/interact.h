/* SPDX-License-Identifier: MIT */
/*
 * kernels/interact.h - dot products between vectors of a row
 *
 *     y[r, p] = sum_k x[r, i_p, k] * x[r, j_p, k]
 *
 * Shapes:   x [rows, vectors, depth], row r at x + r * x_stride; y [rows, pairs], row r at
 *           y + r * y_stride, is given as runs: run u holds the products of vector `left` with
 *           the vectors right to right + count - 1, at y + r * y_stride + at.
 *           head [rows, head_count], of the same stride as y, takes the elements of each row of x
 *           from head_from on as they are; head_count 0: head is not looked at
 * Types:    f32; each sum runs over k in ascending order from zero: the bits of kernels/matmul.h
 * Aliasing: y and head may overlap nothing, except that they may lie between each other
 * Limits:   rows >= 0; 1 <= vectors <= INTERACT_VECTORS_MAX; depth >= 0; count >= 1; left, and
 *           right to right + count - 1, are below vectors; strides in elements
 * Traffic:  4 * rows * (vectors * depth + pairs + head_count) bytes
 * Error:    |y - ref| <= depth * 2^-24 * sum |x * x|
 * Source:   Naumov et al. 2019, arXiv:1906.00091 (DLRM)
 */
#ifndef HEARTH_KERNELS_INTERACT_H
#define HEARTH_KERNELS_INTERACT_H

#include "kernels/types.h"

#define INTERACT_VECTORS_MAX 256

struct interact_run {
	int32_t left;
	int32_t right;
	int32_t count;
	int32_t at;
};

struct interact_args {
	const float *x;
	const struct interact_run *runs;
	float *y;
	float *head;
	int64_t rows;
	int64_t vectors;
	int64_t depth;
	int64_t run_count;
	int64_t pair_count; /* of all runs together */
	int64_t x_stride;
	int64_t y_stride;
	int64_t head_from;
	int64_t head_count;
};

/* The rows [first, first + rows) of a call. */
static inline struct interact_args interact_rows(const struct interact_args *args, int64_t first,
						 int64_t rows)
{
	struct interact_args part = *args;

	part.x += first * args->x_stride;
	part.y += first * args->y_stride;
	if (args->head_count > 0)
		part.head += first * args->y_stride;
	part.rows = rows;
	return part;
}

#endif

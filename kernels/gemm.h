/* SPDX-License-Identifier: MIT */
/*
 * kernels/gemm.h - y = post(activation(x * weight + bias) * multiplier + residual)
 *
 * Shapes:   x [rows, k], row r at x + r * x_stride; y, multiplier and residual
 *           [rows, n] likewise; weight packed by gemm_pack; bias [n]. bias,
 *           multiplier and residual may be NULL, and then are not applied
 * Types:    f32; each sum runs over k in ascending order from zero, so a row's
 *           bits do not depend on the rows beside it. What follows the sum is
 *           rounded one operation at a time: bit for bit what the operators
 *           give one after the other
 * Aliasing: y may overlap nothing; x, multiplier and residual may overlap each other
 * Limits:   rows >= 0; k >= 1; n >= 1; strides in elements
 * Traffic:  4 * (rows * (k + n) + k * n) bytes, and 4 * rows * n for each of
 *           multiplier and residual
 * Error:    |y - ref| <= (k + 2) * 2^-24 * (sum |x * w| + |bias|), before the
 *           activation; sigmoid and tanh add 4e-7, elu 4e-7 * |low|; gelu, both
 *           kinds, and silu 6e-7 * max(1, |x|)
 */
#ifndef HEARTH_KERNELS_GEMM_H
#define HEARTH_KERNELS_GEMM_H

#include <stddef.h>

#include "kernels/types.h"

struct gemm_args {
	const float *x;
	const float *weight; /* packed */
	const float *bias;   /* [n] or NULL */
	float *y;
	int64_t rows;
	int64_t k;
	int64_t n;
	int64_t x_stride;
	int64_t y_stride;
	enum activation activation;
	float low, high; /* of the activation */

	const float *multiplier; /* [rows, n] or NULL */
	int64_t multiplier_stride;
	const float *residual; /* [rows, n] or NULL */
	int64_t residual_stride;
	enum activation post_activation; /* of the product and sum */
	float post_low, post_high;
};

/* A packed matrix is [ceil(n / GEMM_PANEL_COLUMNS), k, GEMM_PANEL_COLUMNS], the same for every
 * instruction set; zeros after column n. */
#define GEMM_PANEL_COLUMNS 16

/* Where a call may be split, for the same bits: at any row, and at columns that are multiples of
 * GEMM_PANEL_COLUMNS. Parts of a multiple of GEMM_SPLIT_COLUMNS keep the tiles whole. */
#define GEMM_SPLIT_COLUMNS 64

/* Bytes that a packed [k, n] matrix takes; a multiple of 64. */
size_t gemm_packed_bytes(int64_t k, int64_t n);

/* w[row, column] is at w + row * row_stride + column * column_stride. */
void gemm_pack(float *packed, const float *w, int64_t k, int64_t n, int64_t row_stride,
	       int64_t column_stride);

/* The columns [first, first + columns) of a call; first is a multiple of GEMM_PANEL_COLUMNS. */
struct gemm_args gemm_columns(const struct gemm_args *args, int64_t first, int64_t columns);

/* The rows [first, first + rows) of a call. */
struct gemm_args gemm_rows(const struct gemm_args *args, int64_t first, int64_t rows);

#endif

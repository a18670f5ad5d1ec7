/* SPDX-License-Identifier: MIT */
/*
 * kernels/gemm.h - y[r,c] = activation(sum_k x[r,k] * w[k,c] + bias[c])
 *
 * Shapes:   x [rows, k], row r at x + r * x_stride; y [rows, n] likewise;
 *           weight packed by gemm_pack; bias [n] or NULL
 * Types:    f32; each sum runs over k in ascending order from zero, so a row's
 *           bits do not depend on the rows beside it
 * Aliasing: y may overlap nothing
 * Limits:   rows >= 0; k >= 1; n >= 1; strides in elements
 * Traffic:  4 * (rows * (k + n) + k * n) bytes
 * Error:    |y - ref| <= (k + 2) * 2^-24 * (sum |x * w| + |bias|), before the activation
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
	float low, high; /* ACTIVATION_CLIP */
};

/* A packed matrix is [ceil(n / GEMM_PANEL_COLUMNS), k, GEMM_PANEL_COLUMNS], the same for every
 * instruction set; zeros after column n. */
#define GEMM_PANEL_COLUMNS 16

/* Bytes that a packed [k, n] matrix takes; a multiple of 64. */
size_t gemm_packed_bytes(int64_t k, int64_t n);

/* w[row, column] is at w + row * row_stride + column * column_stride. */
void gemm_pack(float *packed, const float *w, int64_t k, int64_t n, int64_t row_stride,
	       int64_t column_stride);

#endif

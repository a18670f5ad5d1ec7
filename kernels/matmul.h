/* SPDX-License-Identifier: MIT */
/*
 * kernels/matmul.h - y[b,i,j] = sum_k a[b,i,k] * b[b,k,j], both known only at run time
 *
 * Shapes:   up to three batch dimensions, outermost first, unused ones 1;
 *           element (i,k) of a at i * a_row + k * a_column, and so on, all
 *           strides in elements, 0 broadcasts; y is contiguous [batch..., m, n]
 * Types:    f32; each sum runs over k in ascending order from zero
 * Aliasing: y may overlap nothing
 */
#ifndef HEARTH_KERNELS_MATMUL_H
#define HEARTH_KERNELS_MATMUL_H

#include "kernels/types.h"

#define MATMUL_BATCH_RANK 3

struct matmul_args {
	const float *a;
	const float *b;
	float *y;
	int64_t batch[MATMUL_BATCH_RANK];
	int64_t a_batch[MATMUL_BATCH_RANK];
	int64_t b_batch[MATMUL_BATCH_RANK];
	int64_t m, k, n;
	int64_t a_row, a_column;
	int64_t b_row, b_column;
};

#endif

/* SPDX-License-Identifier: MIT */
/*
 * kernels/compare.h - y[...] = a[...] op b[...], a bool, with NumPy broadcasting
 *
 * Shapes:   y contiguous, dims [rank]; a and b by strides in elements, 0 where they are broadcast
 * Types:    a and b share `dtype`: f32, i32 and i64 for comparisons, bool for and, or, xor and
 *           equal; y bool. What is compared with NaN is false, and not equal to it
 * Aliasing: y may overlap nothing
 */
#ifndef HEARTH_KERNELS_COMPARE_H
#define HEARTH_KERNELS_COMPARE_H

#include "kernels/types.h"

enum compare {
	COMPARE_EQUAL,
	COMPARE_NOT_EQUAL,
	COMPARE_LESS,
	COMPARE_LESS_OR_EQUAL,
	COMPARE_GREATER,
	COMPARE_GREATER_OR_EQUAL,
	COMPARE_AND,
	COMPARE_OR,
	COMPARE_XOR,
	COMPARE_COUNT,
};

struct compare_args {
	const void *a;
	const void *b;
	uint8_t *y;
	int64_t dims[KERNEL_RANK_MAX];
	int64_t a_strides[KERNEL_RANK_MAX];
	int64_t b_strides[KERNEL_RANK_MAX];
	uint32_t rank; /* 0: one element */
	enum compare op;
	enum dtype dtype;
};

#endif

/* SPDX-License-Identifier: MIT */
/*
 * kernels/where.h - y[...] = condition[...] ? a[...] : b[...], with NumPy broadcasting
 *
 * Shapes:   y contiguous, dims [rank]; the others by strides in elements, 0 where broadcast
 * Types:    condition bool; a, b and y of element_bytes 1, 2, 4 or 8
 * Aliasing: y may be a or b where that one is not broadcast
 */
#ifndef HEARTH_KERNELS_WHERE_H
#define HEARTH_KERNELS_WHERE_H

#include "kernels/types.h"

struct where_args {
	const uint8_t *condition;
	const void *a;
	const void *b;
	void *y;
	int64_t dims[KERNEL_RANK_MAX];
	int64_t condition_strides[KERNEL_RANK_MAX];
	int64_t a_strides[KERNEL_RANK_MAX];
	int64_t b_strides[KERNEL_RANK_MAX];
	uint32_t rank; /* 0: one element */
	uint32_t element_bytes;
};

#endif

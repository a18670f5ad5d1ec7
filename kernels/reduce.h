/* SPDX-License-Identifier: MIT */
/*
 * kernels/reduce.h - y[kept...] = sum or mean of x[kept..., reduced...]
 *
 * Shapes:   y contiguous, dims `kept`; x by strides in elements
 * Types:    f32, i32, i64 (mean of integers truncates)
 * Order:    a sum's order follows from the reduced dims and strides alone, so
 *           an element's bits do not depend on its neighbours
 * Error:    |y - ref| <= count * 2^-24 * sum |x|
 */
#ifndef HEARTH_KERNELS_REDUCE_H
#define HEARTH_KERNELS_REDUCE_H

#include "kernels/types.h"

enum reduce {
	REDUCE_SUM,
	REDUCE_MEAN,
};

struct reduce_args {
	const void *x;
	void *y;
	int64_t kept[KERNEL_RANK_MAX];
	int64_t kept_strides[KERNEL_RANK_MAX];
	int64_t reduced[KERNEL_RANK_MAX];
	int64_t reduced_strides[KERNEL_RANK_MAX];
	uint32_t kept_rank;
	uint32_t reduced_rank;
	enum reduce op;
	enum dtype dtype;
};

#endif

/* SPDX-License-Identifier: MIT */
/*
 * kernels/reduce.h - y[kept...] = sum, mean, product, largest or smallest of x[kept..., ...]
 *
 * Shapes:   y contiguous, dims `kept`; x by strides in elements
 * Types:    f32, i32, i64 (mean of integers truncates)
 *           max and min are NaN where one is; of nothing they are the least and the most
 * Order:    a sum's order follows from the reduced dims and strides alone, so
 *           an element's bits do not depend on its neighbours
 * Error:    |y - ref| <= count * 2^-24 * sum |x|; product: count * 2^-24 * |ref|
 */
#ifndef HEARTH_KERNELS_REDUCE_H
#define HEARTH_KERNELS_REDUCE_H

#include "kernels/types.h"

enum reduce {
	REDUCE_SUM,
	REDUCE_MEAN,
	REDUCE_PROD,
	REDUCE_MAX,
	REDUCE_MIN,
	REDUCE_COUNT,
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

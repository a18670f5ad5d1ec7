/* SPDX-License-Identifier: MIT */
/*
 * kernels/copy.h - y[...] = x[...] by strides: concat, slice, transpose, expand
 *
 * Shapes:   dims [rank]; strides of both sides in elements, negative ones allowed
 * Types:    element_bytes 1, 2, 4 or 8
 * Aliasing: y may overlap nothing
 */
#ifndef HEARTH_KERNELS_COPY_H
#define HEARTH_KERNELS_COPY_H

#include "kernels/types.h"

struct copy_args {
	const void *x;
	void *y;
	int64_t dims[KERNEL_RANK_MAX];
	int64_t x_strides[KERNEL_RANK_MAX];
	int64_t y_strides[KERNEL_RANK_MAX];
	uint32_t rank; /* 0: one element */
	uint32_t element_bytes;
};

#endif

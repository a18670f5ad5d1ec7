/* SPDX-License-Identifier: MIT */
/*
 * kernels/arg.h - y[o,i] = the a at which x[o,a,i] is largest, or smallest
 *
 * Shapes:   x [outer, axis, inner], y [outer, inner], contiguous
 * Types:    x f32, i32, i64; y i64. The first NaN is what is looked for, where there is one
 * Limits:   axis >= 1
 */
#ifndef HEARTH_KERNELS_ARG_H
#define HEARTH_KERNELS_ARG_H

#include <stdbool.h>

#include "kernels/types.h"

struct arg_args {
	const void *x;
	int64_t *y;
	int64_t outer;
	int64_t axis;
	int64_t inner;
	bool is_smallest;
	bool takes_last; /* of several that are equal */
	enum dtype dtype;
};

#endif

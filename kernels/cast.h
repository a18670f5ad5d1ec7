/* SPDX-License-Identifier: MIT */
/*
 * kernels/cast.h - y[i] = (to)x[i]
 *
 * Shapes:   x, y [count], contiguous
 * Types:    f32, i32, i64; f32 to integer truncates, saturates, and NaN is 0
 * Aliasing: y may overlap nothing
 */
#ifndef HEARTH_KERNELS_CAST_H
#define HEARTH_KERNELS_CAST_H

#include "kernels/types.h"

struct cast_args {
	const void *x;
	void *y;
	int64_t count;
	enum dtype from;
	enum dtype to;
};

#endif

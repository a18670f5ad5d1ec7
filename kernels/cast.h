/* SPDX-License-Identifier: MIT */
/*
 * kernels/cast.h - y[i] = (to)x[i]
 *
 * Shapes:   x, y [count], contiguous
 * Types:    all of enum dtype; a float to an integer truncates, saturates, and NaN is 0; an
 *           integer to a narrower one wraps; to bool: is it not 0; to f16 and bf16: the nearest,
 *           ties to even, by way of f32, and beyond the largest infinity
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

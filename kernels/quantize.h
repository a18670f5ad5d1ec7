/* SPDX-License-Identifier: MIT */
/*
 * kernels/quantize.h - y = saturate(round(x / scale) + zero), and y = (x - zero) * scale
 *
 * Shapes:   x, y [outer, axis, inner], contiguous; scale and zero [axis]
 * Types:    one side f32, the other `dtype`: u8 or i8, and i32 to f32; zero of that type, or NULL:
 *           0. Rounds to the nearest, ties to even; NaN is the zero
 * Aliasing: y may overlap nothing
 * Error:    exact: one division or multiplication in f32
 */
#ifndef HEARTH_KERNELS_QUANTIZE_H
#define HEARTH_KERNELS_QUANTIZE_H

#include "kernels/types.h"

struct quantize_args {
	const void *x;
	void *y;
	const float *scale;
	const void *zero;
	int64_t outer;
	int64_t axis;
	int64_t inner;
	enum dtype dtype;
};

/* KERNEL_QUANTIZE_DYNAMIC: to u8, by the range of x itself, which includes 0: scale = (high - low) /
 * 255, zero = round(-low / scale), y as above. A scale of nothing is 1. NaN does not widen the
 * range; where x has infinities, the scale is one, and every y the zero. */
struct quantize_dynamic_args {
	const float *x;
	uint8_t *y;
	float *scale;
	uint8_t *zero;
	int64_t count;
};

#endif

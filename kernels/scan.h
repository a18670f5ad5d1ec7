/* SPDX-License-Identifier: MIT */
/*
 * kernels/scan.h - y[o,a,i] = sum of x[o,0..a,i], along the axis and back
 *
 * Shapes:   x, y [outer, axis, inner], contiguous
 * Types:    f32, i32, i64 (wrap); each sum in the order of the axis
 * Aliasing: y may overlap nothing
 * Error:    |y - ref| <= axis * 2^-24 * sum |x|
 */
#ifndef HEARTH_KERNELS_SCAN_H
#define HEARTH_KERNELS_SCAN_H

#include <stdbool.h>

#include "kernels/types.h"

struct scan_args {
	const void *x;
	void *y;
	int64_t outer;
	int64_t axis;
	int64_t inner;
	bool is_exclusive; /* without x[o,a,i] itself */
	bool is_reverse;   /* from the end */
	enum dtype dtype;
};

#endif

/* SPDX-License-Identifier: MIT */
/*
 * kernels/range.h - y[i] = start + i * delta
 *
 * Shapes:   y [count]
 * Types:    f32 (computed in double, rounded once), i32 and i64 (wrap)
 */
#ifndef HEARTH_KERNELS_RANGE_H
#define HEARTH_KERNELS_RANGE_H

#include "kernels/types.h"

struct range_args {
	void *y;
	int64_t count;
	int64_t start_i64, delta_i64;
	float start, delta; /* f32 */
	enum dtype dtype;
};

#endif

/* SPDX-License-Identifier: MIT */
/*
 * kernels/softmax.h - y[o,a,i] = exp(x[o,a,i] - max_a) / sum_a exp(x[o,a,i] - max_a)
 *
 * or, with `logarithm`, its logarithm: x[o,a,i] - max_a - log(sum_a exp(x[o,a,i] - max_a))
 *
 * Shapes:   x, y [outer, axis, inner], contiguous
 * Types:    f32; the sum runs over the axis in an order that depends on `axis` and `inner` alone
 * Aliasing: y may be x
 * Error:    |y - ref| <= 2e-6 * ref + 1e-30; logarithm: 1e-6 * (1 + |ref|)
 */
#ifndef HEARTH_KERNELS_SOFTMAX_H
#define HEARTH_KERNELS_SOFTMAX_H

#include <stdbool.h>

#include "kernels/types.h"

struct softmax_args {
	const float *x;
	float *y;
	int64_t outer;
	int64_t axis;
	int64_t inner;
	bool logarithm;
};

#endif

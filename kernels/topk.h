/* SPDX-License-Identifier: MIT */
/*
 * kernels/topk.h - the k largest or smallest of x[o,:,i], in their order, and where they are
 *
 * Shapes:   x [outer, axis, inner]; y, indices [outer, k, inner]; contiguous
 * Types:    x, y f32, i32, i64; indices i64. NaN is larger than all numbers, -0 equals 0, and of
 *           several that are equal the one with the lower index comes first
 * Aliasing: y and indices may overlap nothing
 * Limits:   0 <= k <= axis
 */
#ifndef HEARTH_KERNELS_TOPK_H
#define HEARTH_KERNELS_TOPK_H

#include <stdbool.h>

#include "kernels/types.h"

struct topk_args {
	const void *x;
	void *y; /* NULL: nobody reads it */
	int64_t *indices;
	int64_t outer;
	int64_t axis;
	int64_t inner;
	int64_t k;
	bool is_smallest;
	enum dtype dtype;
};

#endif

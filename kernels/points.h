/* SPDX-License-Identifier: MIT */
/*
 * kernels/points.h - slices by coordinates: gather y[b,i,:] = x[b, p(b,i), :], and scatter
 * y[p(i), :] = op(y[p(i), :], updates[i, :])
 *
 * Shapes:   ids [batch, count, depth]: point p(b,i) has `depth` coordinates, each along one of
 *           dims[0..depth-1]; x [batch, dims..., inner]; gathered y [batch, count, inner];
 *           scattered y [dims..., inner], updates [count, inner]; all contiguous
 * Types:    gather and SCATTER_SET any of element_bytes 1, 2, 4 or 8; other scatters f32, i32 and
 *           i64 (wrap), a NaN on either side is the largest and the smallest; ids i32 or i64
 * Aliasing: y may overlap nothing
 * Limits:   1 <= depth <= KERNEL_RANK_MAX; each of dims >= 1; ids_per_row >= 1; a scatter's batch 1
 *
 * An id is read once, checked, clamped, then used; -dim..-1 count from the end. A point with an id
 * outside its dim is told to the status of the batch row that owns it, ids_per_row ids each: it
 * reads the first slice of its batch, and writes nothing. Points that name one slice are taken in
 * their order.
 */
#ifndef HEARTH_KERNELS_POINTS_H
#define HEARTH_KERNELS_POINTS_H

#include "kernels/types.h"

struct points {
	const void *ids;
	struct row_status *status; /* [batch * count * depth / ids_per_row], or NULL */
	int64_t batch;
	int64_t count;
	int64_t dims[KERNEL_RANK_MAX];
	int64_t inner;
	int64_t ids_per_row;
	uint32_t depth;
	uint32_t element_bytes;
	uint32_t site;
	enum dtype ids_dtype;
};

enum scatter {
	SCATTER_SET,
	SCATTER_ADD,
	SCATTER_MUL,
	SCATTER_MAX,
	SCATTER_MIN,
};

struct gather_nd_args {
	struct points points;
	const void *x;
	void *y;
};

struct scatter_nd_args {
	struct points points;
	void *y;
	const void *updates;
	enum scatter op;
	enum dtype dtype;
};

#endif

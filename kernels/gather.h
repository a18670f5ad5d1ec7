/* SPDX-License-Identifier: MIT */
/*
 * kernels/gather.h - y[o, i, :] = data[o, ids[i], :]
 *
 * Shapes:   data [outer, axis, inner], ids [count], y [outer, count, inner];
 *           id i is at ids + i * ids_stride elements
 * Types:    data any type of element_bytes 1, 2, 4 or 8; ids i32 or i64
 * Limits:   axis >= 1; ids_per_row >= 1
 *
 * An id is read once, checked, clamped, then used. An id outside the table is
 * treated as `missing` says; the batch row that owns id i is i / ids_per_row,
 * and its row_status is told. An erroneous id reads row 0.
 */
#ifndef HEARTH_KERNELS_GATHER_H
#define HEARTH_KERNELS_GATHER_H

#include "kernels/types.h"

struct gather_args {
	const void *data;
	const void *ids;
	void *y;
	struct row_status *status; /* [count / ids_per_row], or NULL: nobody is told */
	int64_t outer;
	int64_t axis;
	int64_t inner;
	int64_t count;
	int64_t ids_stride;
	int64_t ids_per_row;
	int64_t missing_row; /* MISSING_ROW */
	uint32_t element_bytes;
	uint32_t site;
	enum dtype ids_dtype;
	enum missing missing;
};

#endif

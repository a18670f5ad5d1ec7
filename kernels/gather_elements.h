/* SPDX-License-Identifier: MIT */
/*
 * kernels/gather_elements.h - y[..., i, ...] = x[..., ids[..., i, ...], ...] along one axis
 *
 * Shapes:   ids, y dims, contiguous; x by x_strides, in elements, which are 0 along the axis: there
 *           id a is a * axis_stride elements on
 * Types:    x any type of element_bytes 1, 2, 4 or 8; ids i32 or i64
 * Limits:   axis >= 1; ids_per_row >= 1
 *
 * An id is read once, checked, clamped, then used; -axis..-1 count from the end. An id outside is
 * told to the status of the batch row that owns it, ids_per_row ids each, and reads index 0.
 */
#ifndef HEARTH_KERNELS_GATHER_ELEMENTS_H
#define HEARTH_KERNELS_GATHER_ELEMENTS_H

#include "kernels/types.h"

struct gather_elements_args {
	const void *x;
	const void *ids;
	void *y;
	struct row_status *status; /* [elements of ids / ids_per_row], or NULL */
	int64_t dims[KERNEL_RANK_MAX];
	int64_t x_strides[KERNEL_RANK_MAX];
	int64_t axis;
	int64_t axis_stride;
	int64_t ids_per_row;
	uint32_t rank;
	uint32_t element_bytes;
	uint32_t site;
	enum dtype ids_dtype;
};

#endif

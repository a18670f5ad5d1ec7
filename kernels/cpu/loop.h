/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/loop.h - nested loops over two strided operands, with as few dimensions as possible
 *
 *     loop_init(&loop, args->dims, args->a_strides, args->b_strides, args->rank);
 *     do {
 *             ... the innermost dimension, from loop.left and loop.right ...
 *     } while (loop_next(&loop));
 *
 * Only when no dimension is 0: see loop_empty. After its last place a loop is back at
 * its first and can be walked again.
 */
#ifndef HEARTH_KERNELS_CPU_LOOP_H
#define HEARTH_KERNELS_CPU_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/cpu/isa.h"

struct loop {
	uint32_t rank; /* at least 1; the innermost dimension is rank - 1 */
	int64_t dims[KERNEL_RANK_MAX];
	int64_t left_strides[KERNEL_RANK_MAX];
	int64_t right_strides[KERNEL_RANK_MAX];
	int64_t index[KERNEL_RANK_MAX];
	int64_t left; /* elements from the start of each operand */
	int64_t right;
};

ALWAYS_INLINE bool loop_empty(const int64_t *dims, uint32_t rank)
{
	for (uint32_t dim = 0; dim < rank; dim++)
		if (dims[dim] <= 0)
			return true;
	return false;
}

/* Dimensions of 1 vanish; two that both operands walk in one stride become one. */
static inline void loop_init(struct loop *loop, const int64_t *dims, const int64_t *left_strides,
			     const int64_t *right_strides, uint32_t rank)
{
	uint32_t kept = 0;

	for (uint32_t dim = 0; dim < rank; dim++) {
		if (dims[dim] == 1)
			continue;
		if (kept > 0 && loop->left_strides[kept - 1] == left_strides[dim] * dims[dim] &&
		    loop->right_strides[kept - 1] == right_strides[dim] * dims[dim]) {
			loop->dims[kept - 1] *= dims[dim];
			loop->left_strides[kept - 1] = left_strides[dim];
			loop->right_strides[kept - 1] = right_strides[dim];
			continue;
		}
		loop->dims[kept] = dims[dim];
		loop->left_strides[kept] = left_strides[dim];
		loop->right_strides[kept] = right_strides[dim];
		loop->index[kept] = 0;
		kept++;
	}
	if (kept == 0) {
		loop->dims[0] = 1;
		loop->left_strides[0] = 1;
		loop->right_strides[0] = 1;
		loop->index[0] = 0;
		kept = 1;
	}
	loop->rank = kept;
	loop->left = 0;
	loop->right = 0;
}

/* The next place of all dimensions but the innermost `inner`; false after the last. */
ALWAYS_INLINE bool loop_next_outside(struct loop *loop, uint32_t inner)
{
	for (uint32_t dim = loop->rank - inner; dim-- > 0;) {
		loop->left += loop->left_strides[dim];
		loop->right += loop->right_strides[dim];
		if (++loop->index[dim] < loop->dims[dim])
			return true;
		loop->left -= loop->left_strides[dim] * loop->dims[dim];
		loop->right -= loop->right_strides[dim] * loop->dims[dim];
		loop->index[dim] = 0;
	}
	return false;
}

ALWAYS_INLINE bool loop_next(struct loop *loop)
{
	return loop_next_outside(loop, 1);
}

#endif

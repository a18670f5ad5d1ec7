/* SPDX-License-Identifier: MIT */
/*
 * kernels/limit.h - as fast as one core goes: what a step's predicted time divides by
 *
 * multiply_add: `count` multiply-adds of f32 in registers.
 * read:         every line of 64 bytes of `memory`, one after the other.
 * rows:         `count` lines at places drawn from all over `memory`, prefetched as far ahead
 *               as a core keeps misses in flight.
 *
 * Limits:   count a multiple of LIMIT_STEP; memory aligned to 64 bytes, at least one line
 * Output:   result, 1 value that depends on all that was done
 */
#ifndef HEARTH_KERNELS_LIMIT_H
#define HEARTH_KERNELS_LIMIT_H

#include "kernels/types.h"

#define LIMIT_STEP 256 /* multiply-adds of a turn: 16 independent chains of 16 lanes */
#define LIMIT_LINE_BYTES 64

struct limit_args {
	const void *memory;
	uint64_t bytes;
	uint64_t count;
	float *result;
};

#endif

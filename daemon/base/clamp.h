/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/clamp.h - a number of a peer stays inside its bound, whatever the processor guesses
 *
 * A branch that checks a number is predicted, and for some tens of
 * instructions the processor can go on with a number that the branch is about
 * to refuse. What it reads meanwhile is taken back, but not out of the cache.
 * So a number that was checked is masked, too, before it addresses anything:
 * the mask is arithmetic, and nothing guesses it.
 *
 * Limits:   value and limit < 2^63
 * Source:   array_index_mask_nospec of Linux, Documentation/staging/speculation.rst
 */
#ifndef HEARTH_BASE_CLAMP_H
#define HEARTH_BASE_CLAMP_H

#include <stdint.h>

/* All ones where value < limit, otherwise 0. */
static inline uint64_t clamp_mask(uint64_t value, uint64_t limit)
{
	/* The compiler knows what the caller's branch proved, and would leave the mask out: it
	 * may not see that this is the number which was checked. */
	__asm__("" : "+r"(value));
	return (uint64_t)((int64_t)~(value | (limit - 1 - value)) >> 63);
}

/* The index, and 0 instead of one that is not below count. */
static inline uint32_t clamp_index(uint32_t index, uint32_t count)
{
	return index & (uint32_t)clamp_mask(index, count);
}

#endif

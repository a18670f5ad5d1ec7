/* SPDX-License-Identifier: MIT */
/*
 * shm/prefetch.h - asks for the cache line that will be written some messages from now
 *
 * A hint: it changes no value and orders nothing, so the rings are the same with
 * it and without. One way it moves half as much again (`make bench BENCH=ring`);
 * a round trip takes as long as before.
 *
 * The compiler's own __builtin_prefetch asks for a line to be read unless it is
 * told that the processor has PREFETCHW, which all of x86-64 accepts.
 */
#ifndef HEARTH_SHM_PREFETCH_H
#define HEARTH_SHM_PREFETCH_H

#include <stdint.h>

#include "shm/layout.h"

#define HEARTH_PREFETCH_SLOTS 16u
/* In a smaller ring the slot would be one that the other side still looks at. */
#define HEARTH_PREFETCH_SLOTS_MIN (4u * HEARTH_PREFETCH_SLOTS)

static inline void hearth_prefetch_write(const void *line)
{
#if defined(__x86_64__)
	__asm__ __volatile__("prefetchw %0" : : "m"(*(const char *)line));
#else
	__builtin_prefetch(line, 1);
#endif
}

/* Of a ring of 64-byte slots: after a push to the place before `position`. */
static inline void hearth_prefetch_slot(const void *slots, uint32_t slot_count, uint64_t position)
{
	if (slot_count >= HEARTH_PREFETCH_SLOTS_MIN)
		hearth_prefetch_write((const uint8_t *)slots +
				      ((position + HEARTH_PREFETCH_SLOTS) & (slot_count - 1)) *
					      sizeof(struct hearth_request_slot));
}

#endif

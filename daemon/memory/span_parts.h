/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/span_parts.h - what span.c and span_plan.c share: a span before it has an address
 *
 * Owns:     nothing
 * Threads:  any
 * Units:    bytes
 * Errors:   -EINVAL, -ENOMEM with a sentence
 */
#ifndef HEARTH_MEMORY_SPAN_PARTS_H
#define HEARTH_MEMORY_SPAN_PARTS_H

#include <stdbool.h>

#include "memory/span.h"

#define HUGE_BYTES SPAN_PART_BYTES

/* Bytes, parts and node; what cannot be anywhere is refused. */
must_check int span_describe(const struct span_part parts[], uint32_t part_count,
			     const struct topology *topology, struct span *ret_span);

/* Rounds its last part up to whole pages of `unit` bytes. */
void span_shape(struct span *span, uint64_t unit);

/* Have its nodes as much ordinary memory? */
bool span_has_memory(const struct span *span, const struct topology *topology);

/* -ENOMEM: names the node that lacks its share, what it has of either kind, and what mends it. */
must_check int span_refuse(const struct span *span, const struct topology *topology);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/span.h - a range of resident memory, bound to a node
 *
 * Owns:     the mapping
 * Threads:  map and unmap on any thread; the bytes are the owner's
 * Units:    bytes
 * Errors:   -EINVAL zero bytes, or a node without memory; -ENOMEM; what madvise
 *           and mbind return; each with a sentence
 *
 * A span is populated when span_map returns: each page was written once by a
 * checked call (MADV_POPULATE_WRITE), because MAP_POPULATE succeeds partially
 * without a word. 2 MiB huge pages when the pool has them, else transparent
 * huge pages, else pages of 4 KiB; `backing` says what happened. The last two
 * have a guard page on each side, so an overrun faults.
 */
#ifndef HEARTH_MEMORY_SPAN_H
#define HEARTH_MEMORY_SPAN_H

#include <stdint.h>

#include "base/error.h"

enum span_backing {
	SPAN_NONE,
	SPAN_HUGE_2M, /* hugetlbfs pages of 2 MiB */
	SPAN_THP,     /* transparent huge pages, as far as the kernel gave them */
	SPAN_4K,
};

struct span {
	void *address;
	uint64_t bytes;      /* asked for */
	uint64_t used_bytes; /* mapped: rounded up to whole pages */
	enum span_backing backing;
	int node; /* bound to; -1: not bound */
	int is_locked; /* never swapped: huge, or mlock was granted */
};

/* node -1 leaves the choice to the kernel. `huge_wanted` false goes straight
 * to 4 KiB pages. */
must_check int span_map(uint64_t bytes, int node, int huge_wanted, struct span *ret_span);
void span_unmap(struct span *span);

const char *span_backing_name(enum span_backing backing); /* "2M", "thp", "4k" */

#endif

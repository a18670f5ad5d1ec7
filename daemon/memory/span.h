/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/span.h - a range of resident memory, bound to nodes
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
 * huge pages as far as it fills them, else pages of 4 KiB; `backing` says what happened. It has a
 * guard page on each side, so an overrun faults.
 *
 * Whole GiB of a part on one node lie in pages of 1 GiB, as many as the node's pool has, and all else
 * as above: no such page is taken for less than it holds. So that none is lost to where a part begins,
 * they are one range around the beginning of the last part.
 *
 * Where somebody keeps books (memory/tier.h), a span has its row from before its first page
 * until after its last one.
 *
 * Where its owner's books have a reserve (memory/reserve.h), its huge pages are those of the reserve
 * first.
 *
 * What span_map would do is worked out by span_plan, which maps nothing: the same
 * order of pages, from what the machine says is free.
 */
#ifndef HEARTH_MEMORY_SPAN_H
#define HEARTH_MEMORY_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "memory/place.h"
#include "memory/tier.h"

enum span_backing {
	SPAN_NONE,
	SPAN_HUGE_1G, /* hugetlbfs pages of 1 GiB */
	SPAN_HUGE_2M, /* hugetlbfs pages of 2 MiB */
	SPAN_THP,     /* transparent huge pages, as far as the kernel gave them */
	SPAN_4K,
};

/* Consecutive parts of a span may lie on different nodes. */
struct span_part {
	uint64_t bytes; /* all but the last: multiples of SPAN_PART_BYTES */
	struct place place;
};
#define SPAN_PARTS_MAX 2
#define SPAN_PART_BYTES ((uint64_t)2 << 20)
#define SPAN_GIANT_BYTES ((uint64_t)1 << 30)

struct span {
	void *address;
	uint64_t bytes;      /* asked for */
	uint64_t used_bytes; /* mapped: rounded up to whole pages */
	enum span_backing backing; /* of what is not in pages of 1 GiB */
	struct span_part parts[SPAN_PARTS_MAX]; /* of used_bytes */
	uint32_t part_count;
	uint64_t giant_offset; /* where the range in pages of 1 GiB begins */
	uint64_t giant_bytes;
	int node; /* all of it is bound to; -1: not bound, or to several */
	int is_locked; /* never swapped: huge, or mlock was granted */
	struct tier_table *tiers; /* in which it has a row; NULL: none */
	uint32_t tier_row;
	struct reserve *reserve; /* that counts its pages; NULL: none */
	uint64_t shelved_offset; /* where what is counted by the shelf begins (memory/shelf.h) */
	uint64_t shelved_bytes;
};

/* node -1 leaves the choice to the kernel. `huge_wanted` false goes straight
 * to 4 KiB pages. */
must_check int span_map(uint64_t bytes, int node, int huge_wanted, struct span *ret_span);
/* The same in somebody's books; `owner` may be NULL. */
must_check int span_map_for(const struct tier_owner *owner, uint64_t bytes, int node,
			    int huge_wanted, struct span *ret_span);
must_check int span_map_parts(const struct tier_owner *owner, const struct span_part parts[],
			      uint32_t part_count, int huge_wanted, struct span *ret_span);
void span_unmap(struct span *span);

/* What planned spans take from. */
struct span_budget {
	struct topology left;
	char lack[512]; /* of the first span that does not fit: what its node lacks; "": all fit */
};
/* Free pages, and those of the reserve of these tiers, which may be NULL. */
must_check int span_budget_read(const struct tier_table *tiers, struct span_budget *ret_budget);

/* Takes from the budget what such a span would, and describes it, without an address. One that does
 * not fit has the backing SPAN_NONE, and takes nothing. */
must_check int span_plan(const struct span_part parts[], uint32_t part_count, int huge_wanted,
			 struct span_budget *budget, struct span *ret_span);

/* span_map without a budget, and with one the plan of it. */
must_check int span_take(struct span_budget *budget, const struct tier_owner *owner, uint64_t bytes,
			 int node, int huge_wanted, struct span *ret_span);

/* What the budget has when a span that is mapped is no more. */
void span_give(const struct span *span, struct span_budget *budget);

/* A description without so many bytes of the last part, which stay when the rest goes; of these
 * `giant_bytes` are in pages of 1 GiB. It is taken from the end: of a part that is dealt out to several
 * nodes one may have a piece more or less. */
void span_shorten(struct span *span, uint64_t bytes, uint64_t giant_bytes);

/* Bytes of used_bytes on `node`; -1: those that are not bound. */
uint64_t span_share(const struct span *span, int node);
/* Of these, those in the first `bytes` of the span. */
uint64_t span_share_before(const struct span *span, uint64_t bytes, int node);
/* Of those, the ones in pages of 1 GiB. */
uint64_t span_giant_share(const struct span *span, uint64_t bytes, int node);

const char *span_backing_name(enum span_backing backing); /* "1G", "2M", "thp", "4k" */

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/span_kept.h - a span in a descriptor, which outlives the process that filled it
 *
 * Owns:     the mapping, which span_unmap ends; descriptors are the caller's
 * Threads:  as memory/span.h
 * Units:    bytes
 * Errors:   as memory/span.h; -EINVAL a descriptor that is not such memory, or could still be
 *           written; each with a sentence
 *
 * It is written once and sealed: F_SEAL_WRITE tells whoever gets the descriptor that nobody has
 * changed a byte since. It consists of sheets, of which each has a descriptor, so that several spans
 * can have one in common (memory/shelf.h). Its pages are reserved huge ones when the pool has them, else transparent
 * huge pages, else pages of 4 KiB; all are there when a call returns, and no later access faults.
 *
 * A sheet has pages of one size. Those of whole GiB that follow each other in the last part lie in pages
 * of 1 GiB: of several such ranges the largest that the pool has room for.
 */
#ifndef HEARTH_MEMORY_SPAN_KEPT_H
#define HEARTH_MEMORY_SPAN_KEPT_H

#include "memory/span.h"

/* Consecutive ranges of the span have a descriptor each. */
struct span_sheet {
	uint64_t bytes; /* all but the last: multiples of SPAN_PART_BYTES */
	int fd;
};

/* Zeroed, to be written; `owner` may be NULL. Fills in the descriptors, which are the caller's.
 * `name` is for sentences and /proc. */
must_check int span_kept_map(const struct tier_owner *owner, const char *name,
			     const struct span_part parts[], uint32_t part_count,
			     struct span_sheet sheets[], uint32_t sheet_count,
			     struct span *ret_span);

/* Takes from the budget what span_kept_map would, and describes it as span_plan does. */
must_check int span_kept_plan(const struct span_part parts[], uint32_t part_count,
			      const struct span_sheet sheets[], uint32_t sheet_count,
			      struct span_budget *budget, struct span *ret_span);

/* From here on it is only read, where it lies. SPAN_E_HELD: something has the pages in use, and may
 * write them; the span can be read, but the descriptors prove nothing. `span` is for span_unmap also
 * on failure. */
#define SPAN_E_HELD 1
must_check int span_kept_seal(struct span *span, const struct span_sheet sheets[],
			      uint32_t sheet_count);

/* Other memory with the bytes of this sheet takes its place. As above on failure. */
must_check int span_kept_replace(struct span *span, uint64_t offset,
				 const struct span_sheet *sheet);

/* What of a range its reserve counts, by node (-1: what is not bound). */
void span_range_count(const struct span *span, uint64_t offset, uint64_t bytes, int node,
		      uint64_t *ret_huge_bytes, uint64_t *ret_giant_bytes);
/* From here on the shelf counts the range, which follows the last one. */
void span_kept_shelve(struct span *span, uint64_t offset, uint64_t bytes);

/* Sealed memory of the same bytes, to be read. All sheets but the first are the
 * shelf's. It is not moved: the places of ret_span->parts are those
 * where it lies, which may be others than are wanted, and none where that is on several nodes. */
must_check int span_kept_adopt(const struct tier_owner *owner, const char *name,
			       const struct span_part parts[], uint32_t part_count,
			       const struct span_sheet sheets[], uint32_t sheet_count,
			       struct span *ret_span);

#endif

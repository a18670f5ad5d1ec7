/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/span_parts.h - what the kinds of spans share; nobody else includes it
 *
 *     span.c        memory of this process
 *     span_kept.c   memory in a descriptor
 *     span_plan.c   a span before it has an address
 *     span_lend.c   what of a span its reserve counts
 *     reserve.c     pages that are in no span yet
 *
 * Owns:     nothing
 * Threads:  any
 * Units:    bytes
 * Errors:   -EINVAL, -ENOMEM with a sentence
 */
#ifndef HEARTH_MEMORY_SPAN_PARTS_H
#define HEARTH_MEMORY_SPAN_PARTS_H

#include <stdbool.h>
#include <unistd.h>

#include "memory/span.h"
#include "memory/span_kept.h"

#define HUGE_BYTES SPAN_PART_BYTES
#define GIANT_BYTES SPAN_GIANT_BYTES
#define SPAN_E_EMPTY 1 /* this kind of page is not to be had; try the next kind */

static inline uint64_t span_round_up(uint64_t bytes, uint64_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

/* As much as there is; returns what is lacking. */
static inline uint64_t span_subtract(uint64_t *left, uint64_t wanted)
{
	uint64_t taken = wanted < *left ? wanted : *left;

	*left -= taken;
	return wanted - taken;
}

static inline uint64_t span_page_bytes(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* To which a span of transparent huge pages is rounded: what does not fill another one takes ordinary
 * pages, unless it is all there is. */
static inline uint64_t span_thp_unit(const struct span *span)
{
	return span->bytes < HUGE_BYTES ? HUGE_BYTES : span_page_bytes();
}

/* Bytes, parts and node; what cannot be anywhere is refused. */
must_check int span_describe(const struct span_part parts[], uint32_t part_count,
			     const struct topology *topology, struct span *ret_span);

/* The node that all of its parts are bound to; -1: there is none. */
int span_only(const struct span *span);

/* Rounds its last part up to whole pages of `unit` bytes. */
void span_shape(struct span *span, uint64_t unit);

/* Chooses what of it lies in pages of 1 GiB, of those that are free. */
void span_choose_giants(struct span *span, const struct topology *topology);

/* The same of a span of sheets, each of which has pages of one size. */
void span_choose_sheets(struct span *span, const struct span_sheet sheets[], uint32_t sheet_count,
			const struct topology *topology);

/* Have its nodes the huge pages, and as much ordinary memory, for what is not in those? */
bool span_has_pool(const struct span *span, const struct topology *topology);
bool span_has_memory(const struct span *span, const struct topology *topology);

/* -ENOMEM: names the node that lacks its share, what it has of either kind, and what mends it. */
must_check int span_refuse(const struct span *span, const struct topology *topology);

/* An inaccessible range with a page of the same before and after, which span_release frees with it,
 * as long as the span and aligned; where it has pages of 1 GiB these are.
 * The guards also keep the kernel from merging two spans into one entry of /proc/self/smaps, which
 * span_thp_bytes relies on. NULL: there is none. */
void *span_reserve(const struct span *span, uint64_t alignment);
void span_release(void *address, uint64_t bytes);

/* What could not be mapped (SPAN_E_EMPTY, or an error) gives up its addresses, its row and what it has
 * of a reserve, as far as it came to have them. */
void span_abandon(struct span *span, int result);

/* Huge pages in a reserved range, of a descriptor (mmap's flags) or of none, without touching one. They
 * are reserved beside the range and moved there: where there are not enough nothing of it is lost to
 * another thread's mapping. */
must_check int span_lay(void *address, uint64_t bytes, int flags, int fd);

/* Its parts' pages, none of which was touched, come from their nodes. */
must_check int span_bind(const struct span *span, void *address, const struct topology *topology);

/* What is free to who has these books, which may be NULL: their reserve, too. */
must_check int span_topology(const struct tier_owner *owner, struct topology *ret_topology);

/* Its pages, as its backing says, are had of the reserve that its owner's books have. Where they are
 * foreseen to be there that is before they are mapped, and returns true; and else when they are. */
void span_lend(struct span *span, const struct tier_owner *owner);
bool span_lend_foreseen(struct span *span, const struct tier_owner *owner,
			const struct topology *topology);
/* Nobody's any more: all, a range, or what could not be mapped (SPAN_E_EMPTY, or an error). */
void span_return(struct span *span);
void span_return_range(const struct span *span, uint64_t offset, uint64_t bytes);
void span_lend_fail(struct span *span, int result);
/* Of sealed memory that is taken over: its own, without what lies on the shelf. */
void span_lend_adopted(struct span *span, const struct tier_owner *owner);

/* In its owner's books, before the first page; and out of them, after the last one. */
must_check int span_enter(struct span *span, const struct tier_owner *owner, const void *address);
void span_leave(struct span *span);

/* MADV_POPULATE_WRITE or _READ, as often as it takes; where a kernel before 5.14 lacks them and
 * `may_touch`, a store to each page. SPAN_E_EMPTY: some are not to be had. */
must_check int span_populate(void *address, uint64_t bytes, int advice, bool may_touch);

/* Bytes of the range that lie in transparent huge pages, from smaps: advice to use them is no proof
 * that the kernel had any. */
uint64_t span_thp_bytes(const void *address, uint64_t bytes);

#endif

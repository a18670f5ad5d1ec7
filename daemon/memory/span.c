/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/span.c - map, bind, populate, and say what came of it
 *
 * The order matters: a page lies where the policy says at its first touch, so
 * binding stands between mapping and populating. Reserved huge pages are
 * counted for the machine and taken from a node: a bound mapping can succeed
 * and still find its node's pool empty, which shows only when the pages are
 * populated (EFAULT, where a plain store would raise SIGBUS).
 */

#include "memory/span.h"

#include <errno.h>
#include <linux/mman.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/mapping.h"
#include "memory/resident.h"
#include "memory/span_parts.h"

#define RETRIES_MAX 16

int span_bind(const struct span *span, void *address, const struct topology *topology)
{
	char *at = address;
	uint32_t index;
	int r;

	for (index = 0; index < span->part_count; index++) {
		const struct span_part *part = &span->parts[index];

		r = place_bind(part->place, at, part->bytes, topology);
		if (r < 0)
			return err_trace(r);
		at += part->bytes;
	}
	return 0;
}

/* Kernels before 5.14 lack MADV_POPULATE_WRITE. A store may not stand in for it on huge pages, because
 * an empty pool would end the process. */
int span_populate(void *address, uint64_t bytes, int advice, bool may_touch)
{
	int attempt;

	for (attempt = 0; attempt < RETRIES_MAX; attempt++) {
		if (madvise(address, bytes, advice) == 0)
			return 0;
		if (errno == EINVAL && may_touch) {
			resident_touch(address, bytes);
			return 0;
		}
		if (errno != EINTR && errno != EAGAIN)
			break;
	}
	return SPAN_E_EMPTY;
}

int span_enter(struct span *span, const struct tier_owner *owner, const void *address)
{
	int r = tier_add_range(owner, address, span->bytes, span->used_bytes, span->node,
			       &span->tier_row);

	span->tiers = span->tier_row != TIER_NO_ROW ? owner->table : NULL;
	return err_trace(r);
}

void span_leave(struct span *span)
{
	if (span->tiers)
		tier_remove(span->tiers, span->tier_row);
	span->tiers = NULL;
}

int span_lay(void *address, uint64_t bytes, int flags, int fd)
{
	void *pages;

	if (bytes == 0)
		return 0;
	/* Reserves from the pool (no MAP_NORESERVE): an empty one fails here. */
	pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (pages == MAP_FAILED)
		return SPAN_E_EMPTY;
	if (mremap(pages, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, address) == MAP_FAILED) {
		munmap(pages, bytes);
		return SPAN_E_EMPTY;
	}
	return 0;
}

void *span_reserve(const struct span *span, uint64_t alignment)
{
	uint64_t guard_bytes = span_page_bytes();
	uint64_t unit = span->giant_bytes > 0 ? GIANT_BYTES : alignment;
	uint64_t reserved_bytes = span->used_bytes + unit + 2 * guard_bytes;
	uintptr_t aligned;
	char *reserved;
	char *address;
	char *end;

	reserved = mmap(NULL, reserved_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (reserved == MAP_FAILED)
		return NULL;
	aligned = span_round_up((uintptr_t)reserved + guard_bytes + span->giant_offset, unit);
	address = (char *)(aligned - span->giant_offset);
	end = address + span->used_bytes + guard_bytes;
	if (address - guard_bytes > reserved)
		munmap(reserved, (size_t)(address - guard_bytes - reserved));
	if (end < reserved + reserved_bytes)
		munmap(end, (size_t)(reserved + reserved_bytes - end));
	return address;
}

void span_release(void *address, uint64_t bytes)
{
	uint64_t guard_bytes = span_page_bytes();

	munmap((char *)address - guard_bytes, bytes + 2 * guard_bytes);
}

void span_abandon(struct span *span, int result)
{
	if (span->address)
		span_release(span->address, span->used_bytes);
	span_lend_fail(span, result);
	span_leave(span);
	span->address = NULL;
}

/* A range, and what of it lies in transparent huge pages. */
struct huge_share {
	uintptr_t begin;
	uintptr_t end;
	uint64_t bytes;
};

static void huge_add(void *context, const struct mapping *map)
{
	struct huge_share *share = context;

	if (map->begin >= share->begin && map->end <= share->end)
		share->bytes += map->thp_bytes;
}

uint64_t span_thp_bytes(const void *address, uint64_t bytes)
{
	struct huge_share share = { .begin = (uintptr_t)address, .end = (uintptr_t)address + bytes };
	FILE *smaps = fopen("/proc/self/smaps", "re");

	if (!smaps)
		return 0;
	(void)!mapping_each_of(smaps, NULL, huge_add, &share);
	fclose(smaps);
	return share.bytes;
}

/* What is not in pages of 1 GiB: `bytes` of the span from `offset`. */
static int rest_lay(const struct span *span, uint64_t offset, uint64_t bytes)
{
	char *address = (char *)span->address + offset;
	int advice = span->backing == SPAN_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE;

	if (bytes == 0)
		return 0;
	if (span->backing == SPAN_HUGE_2M)
		return span_lay(address, bytes,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1);
	if (mprotect(address, bytes, PROT_READ | PROT_WRITE) < 0 ||
	    (madvise(address, bytes, advice) < 0 && span->backing == SPAN_THP))
		return SPAN_E_EMPTY;
	return 0;
}

static int lay(struct span *span, const struct tier_owner *owner, const struct topology *topology)
{
	char *giants = (char *)span->address + span->giant_offset;
	uint64_t end = span->giant_offset + span->giant_bytes;
	int r;

	r = span_lay(giants, span->giant_bytes,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_1GB, -1);
	if (r == 0)
		r = rest_lay(span, 0, span->giant_offset);
	if (r == 0)
		r = rest_lay(span, end, span->used_bytes - end);
	if (r == 0)
		r = span_bind(span, span->address, topology);
	if (r == 0)
		r = span_enter(span, owner, span->address);
	/* As large as what is left is, it fails before pages of 1 GiB are cleared. */
	if (r == 0 && span->giant_offset > 0)
		r = span_populate(span->address, span->giant_offset, MADV_POPULATE_WRITE,
				  span->backing > SPAN_HUGE_2M);
	if (r == 0 && end < span->used_bytes)
		r = span_populate((char *)span->address + end, span->used_bytes - end,
				  MADV_POPULATE_WRITE, span->backing > SPAN_HUGE_2M);
	if (r == 0 && span->giant_bytes > 0)
		r = span_populate(giants, span->giant_bytes, MADV_POPULATE_WRITE, false);
	return r < 0 ? err_trace(r) : r;
}

/* Locked where the process may: the limit is the administrator's answer, and the span works either
 * way. Reserved pages are never swapped. */
static bool lock(const struct span *span)
{
	char *address = span->address;
	uint64_t end = span->giant_offset + span->giant_bytes;

	return span->backing <= SPAN_HUGE_2M ||
	       ((span->giant_offset == 0 || mlock(address, span->giant_offset) == 0) &&
		(end == span->used_bytes || mlock(address + end, span->used_bytes - end) == 0));
}

/* In pages of 1 GiB as far as was chosen, and in that kind for the rest. */
static int kind_map(struct span *span, const struct tier_owner *owner, enum span_backing kind,
		    const struct topology *topology)
{
	uint64_t alignment = kind == SPAN_4K ? span_page_bytes() : HUGE_BYTES;
	bool is_lent;
	int r;

	span_shape(span, kind == SPAN_HUGE_2M ? HUGE_BYTES
			 : kind == SPAN_THP   ? span_thp_unit(span)
					      : span_page_bytes());
	span->backing = kind;
	span->address = span_reserve(span, alignment);
	if (!span->address)
		return SPAN_E_EMPTY;
	is_lent = span_lend_foreseen(span, owner, topology);
	r = lay(span, owner, topology);
	if (r == 0 && !is_lent)
		span_lend(span, owner);
	if (r != 0) {
		span_abandon(span, r);
		return r < 0 ? err_trace(r) : r;
	}
	span->is_locked = lock(span);
	if (span->giant_bytes == span->used_bytes)
		span->backing = SPAN_HUGE_1G;
	else if (kind == SPAN_THP && span_thp_bytes(span->address, span->used_bytes) == 0)
		span->backing = SPAN_4K;
	return 0;
}

static int kinds_map(struct span *span, const struct tier_owner *owner, int huge_wanted,
		     const struct topology *topology)
{
	int r = SPAN_E_EMPTY;

	if (huge_wanted)
		r = kind_map(span, owner, SPAN_HUGE_2M, topology);
	/* Ordinary memory that is not there would wake the OOM killer, not fail. */
	if (r > 0 && !span_has_memory(span, topology))
		return r;
	if (r > 0 && huge_wanted)
		r = kind_map(span, owner, SPAN_THP, topology);
	if (r > 0)
		r = kind_map(span, owner, SPAN_4K, topology);
	return r < 0 ? err_trace(r) : r;
}

int span_map_parts(const struct tier_owner *owner, const struct span_part parts[],
		   uint32_t part_count, int huge_wanted, struct span *ret_span)
{
	struct topology topology;
	struct span span;
	int r;

	r = span_topology(owner, &topology);
	if (r < 0)
		return err_trace(r);
	r = span_describe(parts, part_count, &topology, &span);
	if (r < 0)
		return err_trace(r);

	if (huge_wanted)
		span_choose_giants(&span, &topology);
	r = kinds_map(&span, owner, huge_wanted, &topology);
	/* A control group, or somebody who was faster, may keep them from us. */
	if (r > 0 && span.giant_bytes > 0) {
		span.giant_bytes = span.giant_offset = 0;
		r = kinds_map(&span, owner, huge_wanted, &topology);
	}
	if (r > 0)
		return err_trace(span_refuse(&span, &topology));
	if (r < 0)
		return err_trace(r);
	*ret_span = span;
	return 0;
}

int span_map_for(const struct tier_owner *owner, uint64_t bytes, int node, int huge_wanted,
		 struct span *ret_span)
{
	struct span_part part = { .bytes = bytes };

	if (node >= TOPOLOGY_NODES_MAX)
		return err_raise(-EINVAL, "node %d: a node from 0 to %d is wanted", node,
				 TOPOLOGY_NODES_MAX - 1);
	part.place = place_node(node);
	return err_trace(span_map_parts(owner, &part, 1, huge_wanted, ret_span));
}

int span_map(uint64_t bytes, int node, int huge_wanted, struct span *ret_span)
{
	return err_trace(span_map_for(NULL, bytes, node, huge_wanted, ret_span));
}

void span_unmap(struct span *span)
{
	if (!span->address)
		return;
	span_release(span->address, span->used_bytes);
	span_return(span);
	span_leave(span);
	*span = (struct span){ .node = -1 };
}

const char *span_backing_name(enum span_backing backing)
{
	switch (backing) {
	case SPAN_HUGE_1G:
		return "1G";
	case SPAN_HUGE_2M:
		return "2M";
	case SPAN_THP:
		return "thp";
	case SPAN_4K:
		return "4k";
	case SPAN_NONE:
		break;
	}
	return "none";
}

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

/* Kernels before 5.14 lack MADV_POPULATE_WRITE. A store may not stand in for it
 * on huge pages, because an empty pool would end the process. */
static void pages_touch(void *address, uint64_t bytes)
{
	uint64_t step = span_page_bytes();
	uint64_t offset;

	for (offset = 0; offset < bytes; offset += step)
		((volatile char *)address)[offset] = 0;
}

int span_populate(void *address, uint64_t bytes, int advice, bool may_touch)
{
	int attempt;

	for (attempt = 0; attempt < RETRIES_MAX; attempt++) {
		if (madvise(address, bytes, advice) == 0)
			return 0;
		if (errno == EINVAL && may_touch) {
			pages_touch(address, bytes);
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

static int huge_map(struct span *span, const struct tier_owner *owner,
		    const struct topology *topology)
{
	void *address;
	int r;

	span_shape(span, HUGE_BYTES);
	/* Reserves from the pool (no MAP_NORESERVE): an empty one fails here. */
	address = mmap(NULL, span->used_bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);
	if (address == MAP_FAILED)
		return SPAN_E_EMPTY;

	r = span_bind(span, address, topology);
	if (r == 0)
		r = span_enter(span, owner, address);
	if (r == 0)
		r = span_populate(address, span->used_bytes, MADV_POPULATE_WRITE, false);
	if (r != 0) {
		munmap(address, span->used_bytes);
		span_leave(span);
		return r < 0 ? err_trace(r) : r;
	}
	span->address = address;
	span->backing = SPAN_HUGE_2M;
	span->is_locked = 1;
	return 0;
}

void *span_reserve(uint64_t bytes, uint64_t alignment)
{
	uint64_t guard_bytes = span_page_bytes();
	uint64_t reserved_bytes = bytes + alignment + 2 * guard_bytes;
	char *reserved;
	char *address;
	char *end;

	reserved = mmap(NULL, reserved_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (reserved == MAP_FAILED)
		return NULL;
	address = (char *)(uintptr_t)span_round_up((uintptr_t)reserved + guard_bytes, alignment);
	end = address + bytes + guard_bytes;
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

/* Ordinary pages, transparent huge ones where `is_thp` asks and the kernel has
 * some. Locked where the process may: the limit is the administrator's answer,
 * and the span works either way. */
static int pages_map(struct span *span, const struct tier_owner *owner, int is_thp,
		     const struct topology *topology)
{
	uint64_t alignment = is_thp ? HUGE_BYTES : span_page_bytes();
	void *address;
	int r;

	span_shape(span, is_thp ? span_thp_unit(span) : span_page_bytes());
	address = span_reserve(span->used_bytes, alignment);
	if (!address)
		return SPAN_E_EMPTY;
	if (mprotect(address, span->used_bytes, PROT_READ | PROT_WRITE) < 0 ||
	    (madvise(address, span->used_bytes, is_thp ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) < 0 &&
	     is_thp)) {
		span_release(address, span->used_bytes);
		return SPAN_E_EMPTY;
	}
	r = span_bind(span, address, topology);
	if (r == 0)
		r = span_enter(span, owner, address);
	if (r == 0)
		r = span_populate(address, span->used_bytes, MADV_POPULATE_WRITE, true);
	if (r != 0) {
		span_release(address, span->used_bytes);
		span_leave(span);
		return r < 0 ? err_trace(r) : r;
	}
	span->address = address;
	span->is_guarded = true;
	span->is_locked = mlock(address, span->used_bytes) == 0;
	span->backing = is_thp && span_thp_bytes(address, span->used_bytes) > 0 ? SPAN_THP : SPAN_4K;
	return 0;
}

int span_map_parts(const struct tier_owner *owner, const struct span_part parts[],
		   uint32_t part_count, int huge_wanted, struct span *ret_span)
{
	struct topology topology;
	struct span span;
	int r;

	r = topology_read(&topology);
	if (r < 0)
		return err_trace(r);
	r = span_describe(parts, part_count, &topology, &span);
	if (r < 0)
		return err_trace(r);

	r = SPAN_E_EMPTY;
	if (huge_wanted)
		r = huge_map(&span, owner, &topology);
	/* Ordinary memory that is not there would wake the OOM killer, not fail. */
	if (r > 0 && !span_has_memory(&span, &topology))
		return err_trace(span_refuse(&span, &topology));
	if (r > 0 && huge_wanted)
		r = pages_map(&span, owner, 1, &topology);
	if (r > 0)
		r = pages_map(&span, owner, 0, &topology);
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
	if (span->is_guarded)
		span_release(span->address, span->used_bytes);
	else
		munmap(span->address, span->used_bytes);
	span_leave(span);
	*span = (struct span){ .node = -1 };
}

const char *span_backing_name(enum span_backing backing)
{
	switch (backing) {
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

/* SPDX-License-Identifier: MIT */
/* daemon/memory/span_lend.c - pages of a span, by node and size, as its reserve counts them */
#include "memory/reserve.h"
#include "memory/span_parts.h"

typedef void (*reserve_count)(struct reserve *reserve, int node, uint64_t page_bytes,
			      uint64_t bytes);

void span_range_count(const struct span *span, uint64_t offset, uint64_t bytes, int node,
		      uint64_t *ret_huge_bytes, uint64_t *ret_giant_bytes)
{
	uint64_t giants = span_giant_share(span, offset + bytes, node) -
			  span_giant_share(span, offset, node);
	uint64_t all = span_share_before(span, offset + bytes, node) -
		       span_share_before(span, offset, node);

	*ret_giant_bytes = giants;
	*ret_huge_bytes = span->backing <= SPAN_HUGE_2M ? span_round_up(all - giants, HUGE_BYTES)
							: 0;
}

static void range_count(const struct span *span, uint64_t offset, uint64_t bytes,
			reserve_count count)
{
	for (int node = -1; bytes > 0 && node < TOPOLOGY_NODES_MAX; node++) {
		uint64_t huge_bytes;
		uint64_t giant_bytes;

		span_range_count(span, offset, bytes, node, &huge_bytes, &giant_bytes);
		count(span->reserve, node, GIANT_BYTES, giant_bytes);
		count(span->reserve, node, HUGE_BYTES, huge_bytes);
	}
}

/* All of it that the shelf does not count. */
static void own_count(const struct span *span, reserve_count count)
{
	uint64_t end = span->shelved_bytes > 0 ? span->shelved_offset : span->used_bytes;
	uint64_t after = span->shelved_offset + span->shelved_bytes;

	range_count(span, 0, end, count);
	if (span->shelved_bytes > 0 && after < span->used_bytes)
		range_count(span, after, span->used_bytes - after, count);
}

static struct reserve *reserve_of(const struct tier_owner *owner)
{
	return owner ? tier_reserve(owner->table) : NULL;
}

int span_topology(const struct tier_owner *owner, struct topology *ret_topology)
{
	int r = reserve_topology(reserve_of(owner), ret_topology);

	return r < 0 ? err_trace(r) : 0;
}

void span_lend(struct span *span, const struct tier_owner *owner)
{
	span->reserve = reserve_of(owner);
	if (span->reserve)
		own_count(span, reserve_lend);
}

bool span_lend_foreseen(struct span *span, const struct tier_owner *owner,
			const struct topology *topology)
{
	if (span->backing <= SPAN_HUGE_2M && !span_has_pool(span, topology))
		return false;
	span_lend(span, owner);
	return true;
}

void span_lend_adopted(struct span *span, const struct tier_owner *owner)
{
	span->reserve = reserve_of(owner);
	if (span->reserve)
		own_count(span, reserve_adopt);
}

void span_return(struct span *span)
{
	if (span->reserve)
		own_count(span, reserve_return);
	span->reserve = NULL;
}

void span_return_range(const struct span *span, uint64_t offset, uint64_t bytes)
{
	if (span->reserve)
		range_count(span, offset, bytes, reserve_return);
}

void span_lend_fail(struct span *span, int result)
{
	if (span->reserve && result == SPAN_E_EMPTY &&
	    (span->backing <= SPAN_HUGE_2M || span->giant_bytes > 0))
		reserve_lose(span->reserve);
	span_return(span);
}

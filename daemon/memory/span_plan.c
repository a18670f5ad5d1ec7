/* SPDX-License-Identifier: MIT */
/* daemon/memory/span_plan.c - which pages a span would get, and what its nodes lack for it */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "memory/reserve.h"
#include "memory/span_parts.h"

#define MEND_BYTES 256
#define SPAN_BYTES_MAX ((uint64_t)1 << 46) /* no address space holds more */

uint64_t span_share_before(const struct span *span, uint64_t bytes, int node)
{
	uint64_t share = 0;
	uint32_t index;

	for (index = 0; index < span->part_count && bytes > 0; index++) {
		const struct span_part *part = &span->parts[index];
		uint64_t here = bytes < part->bytes ? bytes : part->bytes;

		if (node >= 0)
			share += place_share_before(part->place, part->bytes, here, node);
		else
			share += part->place.nodes ? 0 : here;
		bytes -= here;
	}
	return share;
}

uint64_t span_share(const struct span *span, int node)
{
	return span_share_before(span, UINT64_MAX, node);
}

uint64_t span_giant_share(const struct span *span, uint64_t bytes, int node)
{
	uint64_t end = span->giant_offset + span->giant_bytes;
	uint64_t begin = 0;
	uint64_t share = 0;
	uint32_t index;

	end = bytes < end ? bytes : end;
	for (index = 0; index < span->part_count; index++) {
		const struct span_part *part = &span->parts[index];
		uint64_t part_end = begin + part->bytes < end ? begin + part->bytes : end;
		uint64_t from = begin > span->giant_offset ? begin : span->giant_offset;

		if (place_only(part->place) == node && from < part_end)
			share += part_end - from;
		begin += part->bytes;
	}
	return share;
}

/* What of the node's share is in other pages; -1: of what is not bound. */
static uint64_t rest_share(const struct span *span, int node)
{
	return span_share(span, node) - span_giant_share(span, UINT64_MAX, node);
}

static uint64_t span_nodes(const struct span *span)
{
	uint64_t nodes = 0;
	uint32_t index;

	for (index = 0; index < span->part_count; index++)
		nodes |= span->parts[index].place.nodes;
	return nodes;
}

int span_only(const struct span *span)
{
	return span_share(span, -1) ? -1 : place_only((struct place){ .nodes = span_nodes(span) });
}

int span_describe(const struct span_part parts[], uint32_t part_count,
		  const struct topology *topology, struct span *ret_span)
{
	struct span span = { .part_count = part_count };
	uint32_t index;
	int r;

	for (index = 0; index < part_count; index++) {
		r = place_check(parts[index].place, topology);
		if (r < 0)
			return err_trace(r);
		span.parts[index] = parts[index];
		if (__builtin_add_overflow(span.bytes, parts[index].bytes, &span.bytes))
			span.bytes = UINT64_MAX;
	}
	if (span.bytes == 0)
		return err_raise(-EINVAL, "a span of zero bytes was asked for");
	span.used_bytes = span.bytes;
	span.node = span_only(&span);
	if (span.bytes > SPAN_BYTES_MAX)
		return err_trace(span_refuse(&span, topology));
	*ret_span = span;
	return 0;
}

void span_shape(struct span *span, uint64_t unit)
{
	uint64_t *last_bytes = &span->parts[span->part_count - 1].bytes;
	uint64_t before_bytes = span->used_bytes - *last_bytes;

	span->used_bytes = span_round_up(span->bytes, unit);
	*last_bytes = span->used_bytes - before_bytes;
}

/* --- what the nodes have ---------------------------------------------------------------------------- */

static uint64_t free_pages(const struct topology *topology, int node)
{
	return topology_pools(topology, node, HUGE_BYTES).free_pages;
}

/* Whole GiB of a part, as far as its node has pages for them beside what is taken already. */
static uint64_t giants_of(const struct span_part *part, uint64_t bytes, uint64_t taken_bytes,
			  const struct topology *topology)
{
	int node = place_only(part->place);
	uint64_t free = topology_pools(topology, node, GIANT_BYTES).free_pages * GIANT_BYTES;
	uint64_t left = free > taken_bytes ? free - taken_bytes : 0;
	uint64_t whole = bytes / GIANT_BYTES * GIANT_BYTES;

	if (node < 0 && part->place.nodes)
		return 0;
	return whole < left ? whole : left;
}

void span_choose_sheets(struct span *span, const struct span_sheet sheets[], uint32_t sheet_count,
			const struct topology *topology)
{
	const struct span_part *last = &span->parts[span->part_count - 1];
	uint64_t free = giants_of(last, UINT64_MAX, 0, topology);
	uint64_t run_offset = 0;
	uint64_t run_bytes = 0;
	uint64_t offset = 0;
	uint32_t index;

	for (index = 0; index < sheet_count; index++) {
		uint64_t bytes = sheets[index].bytes;

		if (offset < span->used_bytes - last->bytes || bytes % GIANT_BYTES > 0)
			run_bytes = 0;
		else if (bytes > free - run_bytes)
			run_bytes = bytes > free ? 0 : bytes;
		else
			run_bytes += bytes;
		run_offset = offset + bytes - run_bytes;
		if (run_bytes > span->giant_bytes) {
			span->giant_offset = run_offset;
			span->giant_bytes = run_bytes;
		}
		offset += bytes;
	}
}

static bool have_pool_in_common(const struct span_part *one, const struct span_part *other)
{
	return !one->place.nodes || !other->place.nodes || one->place.nodes == other->place.nodes;
}

void span_choose_giants(struct span *span, const struct topology *topology)
{
	const struct span_part *last = &span->parts[span->part_count - 1];
	uint64_t last_offset = span->used_bytes - last->bytes;
	uint64_t after = giants_of(last, span->bytes - last_offset, 0, topology);
	uint64_t before = 0;

	if (span->part_count > 1)
		before = giants_of(last - 1, last[-1].bytes,
				   have_pool_in_common(last - 1, last) ? after : 0, topology);
	span->giant_offset = last_offset - before;
	span->giant_bytes = before + after;
	if (span->giant_bytes == 0)
		span->giant_offset = 0;
}

static uint64_t wanted_pages(uint64_t bytes)
{
	return bytes / HUGE_BYTES + (bytes % HUGE_BYTES > 0);
}

bool span_has_pool(const struct span *span, const struct topology *topology)
{
	int node;

	for (node = 0; node < TOPOLOGY_NODES_MAX; node++)
		if (wanted_pages(rest_share(span, node)) > free_pages(topology, node))
			return false;
	return wanted_pages(span->used_bytes - span->giant_bytes) <= free_pages(topology, -1);
}

bool span_has_memory(const struct span *span, const struct topology *topology)
{
	int node;

	for (node = 0; node < TOPOLOGY_NODES_MAX; node++)
		if (rest_share(span, node) > topology_available(topology, node))
			return false;
	return span->used_bytes - span->giant_bytes <= topology_available(topology, -1);
}

/* The first of its nodes that has not got its share in any kind of page. */
static int lacking_node(const struct span *span, const struct topology *topology)
{
	int node;

	for (node = 0; node < TOPOLOGY_NODES_MAX; node++)
		if (rest_share(span, node) > topology_available(topology, node))
			return node;
	return span->node;
}

/* The pool takes its pages of ordinary memory, whatever a control group leaves of that. */
static uint64_t ordinary_pages(const struct topology *topology, int node)
{
	uint64_t pages = 0;
	uint32_t index;

	for (index = 0; index < topology->node_count; index++)
		if (node < 0 || topology->nodes[index].node == node)
			pages += topology->nodes[index].available_bytes / HUGE_BYTES;
	return pages;
}

/* What mends it: a larger pool, where there is memory for one. */
static void shortage_mend(const struct topology *topology, int node, uint64_t lacking_pages,
			  char text[MEND_BYTES])
{
	char path[96] = "/proc/sys/vm/nr_hugepages";

	/* Where there is one node the pool of all is its own. */
	if (node >= 0 && topology->node_count > 1)
		snprintf(path, sizeof(path),
			 "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/nr_hugepages",
			 node);
	if (lacking_pages <= ordinary_pages(topology, node))
		snprintf(text, MEND_BYTES, "reserve huge pages: echo %" PRIu64 " > %s",
			 topology_pools(topology, node, HUGE_BYTES).total_pages + lacking_pages,
			 path);
	else
		snprintf(text, MEND_BYTES,
			 "that is too little in pages of any size: `hearthctl mem` "
			 "tells what has the rest and `hearthctl unload MODEL` gives it back, or leave "
			 "tables in their files ([model NAME] cold = yes)");
}

int span_refuse(const struct span *span, const struct topology *topology)
{
	int node = lacking_node(span, topology);
	uint64_t bytes = node < 0 ? span->bytes - span->giant_bytes : rest_share(span, node);
	uint64_t wanted = wanted_pages(bytes);
	uint64_t free = free_pages(topology, node);
	char where[32] = "this machine";
	char mend[MEND_BYTES];

	if (node >= 0)
		snprintf(where, sizeof(where), "node %d", node);
	shortage_mend(topology, node, wanted > free ? wanted - free : 0, mend);
	return err_raise(-ENOMEM,
			 "%s cannot hold %.1f MiB: wanted %" PRIu64 " huge pages of 2 MiB, "
			 "got %" PRIu64 " free ones, and %.1f MiB of ordinary memory are "
			 "available; %s",
			 where, (double)bytes / (1 << 20), wanted, free,
			 (double)topology_available(topology, node) / (1 << 20), mend);
}

/* --- what it would take ------------------------------------------------------------------------------- */

int span_budget_read(const struct tier_table *tiers, struct span_budget *ret_budget)
{
	int r = reserve_topology(tier_reserve(tiers), &ret_budget->left);

	ret_budget->lack[0] = '\0';
	return r < 0 ? err_trace(r) : 0;
}

static struct topology_pool *pool_of(struct topology_node *node, uint64_t page_bytes)
{
	return (struct topology_pool *)(uintptr_t)topology_pool(node, page_bytes);
}

/* Bytes that the pool has not got. */
static uint64_t pool_take(struct topology_node *node, uint64_t page_bytes, uint64_t bytes)
{
	struct topology_pool *pool = pool_of(node, page_bytes);

	return pool ? page_bytes * span_subtract(&pool->free_pages, bytes / page_bytes) : bytes;
}

static void pool_give(struct topology_node *node, uint64_t page_bytes, uint64_t bytes)
{
	struct topology_pool *pool = pool_of(node, page_bytes);

	if (pool)
		pool->free_pages += bytes / page_bytes;
}

/* From each node its share, and from whichever comes first what is not bound. */
static void budget_take(const struct span *span, struct topology *topology)
{
	uint64_t giants = span_giant_share(span, UINT64_MAX, -1);
	uint64_t unbound = rest_share(span, -1);
	uint32_t index;

	for (index = 0; index < topology->node_count; index++) {
		struct topology_node *node = &topology->nodes[index];
		uint64_t bytes = rest_share(span, node->node) + unbound;

		giants += span_giant_share(span, UINT64_MAX, node->node);
		giants = pool_take(node, GIANT_BYTES, giants);
		if (span->backing > SPAN_HUGE_2M)
			unbound = span_subtract(&node->available_bytes, bytes);
		else
			unbound = pool_take(node, HUGE_BYTES, bytes);
	}
	if (span->backing > SPAN_HUGE_2M && topology->group_available_bytes != TOPOLOGY_UNLIMITED)
		(void)span_subtract(&topology->group_available_bytes,
			       span->used_bytes - span->giant_bytes);
}

void span_give(const struct span *span, struct span_budget *budget)
{
	struct topology *topology = &budget->left;
	uint64_t giants = span_giant_share(span, UINT64_MAX, -1);
	uint64_t unbound = rest_share(span, -1);
	uint32_t index;

	for (index = 0; index < topology->node_count; index++) {
		struct topology_node *node = &topology->nodes[index];
		uint64_t bytes = rest_share(span, node->node) + unbound;

		giants += span_giant_share(span, UINT64_MAX, node->node);
		pool_give(node, GIANT_BYTES, giants);
		giants = unbound = 0;
		if (span->backing > SPAN_HUGE_2M)
			node->available_bytes += bytes;
		else
			pool_give(node, HUGE_BYTES, bytes);
	}
	if (span->backing > SPAN_HUGE_2M && topology->group_available_bytes != TOPOLOGY_UNLIMITED)
		topology->group_available_bytes += span->used_bytes - span->giant_bytes;
}

void span_shorten(struct span *span, uint64_t bytes, uint64_t giant_bytes)
{
	span->parts[span->part_count - 1].bytes -= bytes;
	span->used_bytes -= bytes;
	span->giant_bytes -= giant_bytes;
	if (span->giant_bytes == 0)
		span->giant_offset = 0;
	else if (span->giant_offset > span->used_bytes - span->giant_bytes)
		span->giant_offset = span->used_bytes - span->giant_bytes;
}

/* Of a span whose pages of 1 GiB are chosen. */
static void plan(struct span span, int huge_wanted, struct span_budget *budget,
		 struct span *ret_span)
{
	struct topology *left = &budget->left;
	bool has_thp = huge_wanted && left->thp[0] && strcmp(left->thp, "never") != 0;

	span_shape(&span, HUGE_BYTES);
	if (huge_wanted && span_has_pool(&span, left)) {
		span.backing = span.giant_bytes == span.used_bytes ? SPAN_HUGE_1G : SPAN_HUGE_2M;
	} else {
		span_shape(&span, has_thp ? span_thp_unit(&span) : span_page_bytes());
		if (span_has_memory(&span, left))
			span.backing = has_thp ? SPAN_THP : SPAN_4K;
	}
	if (span.backing != SPAN_NONE)
		budget_take(&span, left);
	else if (!budget->lack[0] && span_refuse(&span, left) < 0)
		snprintf(budget->lack, sizeof(budget->lack), "%s", err_message());
	if (span.backing == SPAN_NONE)
		span.giant_bytes = span.giant_offset = 0;
	*ret_span = span;
}

int span_plan(const struct span_part parts[], uint32_t part_count, int huge_wanted,
	      struct span_budget *budget, struct span *ret_span)
{
	struct span span;
	int r;

	r = span_describe(parts, part_count, &budget->left, &span);
	if (r < 0)
		return err_trace(r);
	if (huge_wanted)
		span_choose_giants(&span, &budget->left);
	plan(span, huge_wanted, budget, ret_span);
	return 0;
}

int span_kept_plan(const struct span_part parts[], uint32_t part_count,
		   const struct span_sheet sheets[], uint32_t sheet_count,
		   struct span_budget *budget, struct span *ret_span)
{
	struct span span;
	int r;

	r = span_describe(parts, part_count, &budget->left, &span);
	if (r < 0)
		return err_trace(r);
	span_choose_sheets(&span, sheets, sheet_count, &budget->left);
	plan(span, 1, budget, ret_span);
	return 0;
}

int span_take(struct span_budget *budget, const struct tier_owner *owner, uint64_t bytes, int node,
	      int huge_wanted, struct span *ret_span)
{
	const struct span_part part = { .bytes = bytes, .place = place_node(node) };
	int r;

	r = budget ? span_plan(&part, 1, huge_wanted, budget, ret_span)
		   : span_map_for(owner, bytes, node, huge_wanted, ret_span);
	return r < 0 ? err_trace(r) : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/reserve.c - a range of addresses for each pool, with pages from its beginning on
 *
 * A mapping of huge pages claims them of the machine before one is touched, and of a node when
 * it is: so what comes back is mapped at once, which takes no time, and touched later.
 */
#include "memory/reserve.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/mman.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "memory/place.h"
#include "memory/sealed.h"
#include "memory/span_parts.h"

void reserve_init(struct reserve *reserve, struct tier_table *tiers)
{
	*reserve = (struct reserve){ .tiers = tiers };
	pthread_mutex_init(&reserve->mutex, NULL);
}

void reserve_deinit(struct reserve *reserve)
{
	for (uint32_t index = 0; index < reserve->pool_count; index++) {
		struct reserve_pool *pool = &reserve->pools[index];

		span_release(pool->address, pool->want.bytes);
		if (reserve->tiers)
			tier_remove(reserve->tiers, pool->tier_row);
	}
	reserve->pool_count = 0;
	pthread_mutex_destroy(&reserve->mutex);
}

/* What the pool should hold. */
static uint64_t due_bytes(const struct reserve_pool *pool)
{
	uint64_t others_bytes = pool->lent_bytes + pool->awaited_bytes;

	return pool->want.bytes > others_bytes ? pool->want.bytes - others_bytes : 0;
}

/* NULL: none is asked for. */
static struct reserve_pool *pool_find(struct reserve *reserve, int node, uint64_t page_bytes)
{
	for (uint32_t index = 0; index < reserve->pool_count; index++) {
		struct reserve_pool *pool = &reserve->pools[index];

		if (pool->want.page_bytes == page_bytes && (node < 0 || pool->want.node == node))
			return pool;
	}
	return NULL;
}

/* --- pages ---------------------------------------------------------------------------------------- */

/* Another row for so many bytes, before there are more and after there are less. */
static bool row_replace(struct reserve *reserve, struct reserve_pool *pool, uint64_t bytes)
{
	const struct tier_owner owner = { reserve->tiers, "nobody yet", TIER_RESERVE };
	uint32_t row = TIER_NO_ROW;

	if (!reserve->tiers)
		return true;
	if (bytes > 0 && tier_add_range(&owner, pool->address, 0, bytes, pool->want.node, &row) < 0)
		return false;
	tier_remove(reserve->tiers, pool->tier_row);
	pool->tier_row = row;
	return true;
}

static void pool_shrink(struct reserve *reserve, struct reserve_pool *pool, uint64_t bytes)
{
	if (bytes >= pool->laid_bytes ||
	    mmap(pool->address + bytes, pool->laid_bytes - bytes, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return;
	pool->laid_bytes = bytes;
	if (pool->held_bytes > bytes)
		pool->held_bytes = bytes;
	(void)row_replace(reserve, pool, bytes);
}

static int piece_lay(const struct reserve_pool *pool, uint64_t bytes,
		     const struct topology *topology)
{
	char *address = pool->address + pool->laid_bytes;
	int size = pool->want.page_bytes == GIANT_BYTES ? MAP_HUGE_1GB : MAP_HUGE_2MB;
	int r;

	r = span_lay(address, bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | size, -1);
	if (r == 0)
		r = place_bind(place_node(pool->want.node), address, bytes, topology);
	return r;
}

/* Half of what could not be had, in whole pages; 0: it was one. */
static uint64_t less(uint64_t bytes, uint64_t page_bytes)
{
	return bytes == page_bytes ? 0 : span_round_up(bytes / 2, page_bytes);
}

/* As much of what is due as the machine has. */
static void pool_claim(struct reserve *reserve, struct reserve_pool *pool)
{
	uint64_t due = due_bytes(pool);
	uint64_t step = due > pool->laid_bytes ? due - pool->laid_bytes : 0;
	struct topology topology;

	if (step == 0 || topology_read(&topology) < 0 || !row_replace(reserve, pool, due))
		return;
	while (step > 0 && pool->laid_bytes < due) {
		if (step > due - pool->laid_bytes)
			step = due - pool->laid_bytes;
		if (piece_lay(pool, step, &topology) == 0)
			pool->laid_bytes += step;
		else
			step = less(step, pool->want.page_bytes);
	}
	(void)row_replace(reserve, pool, pool->laid_bytes);
}

/* As much of the next `bytes` as the node has. What it has not got is left to others. */
static void pool_touch(struct reserve *reserve, struct reserve_pool *pool, uint64_t bytes)
{
	uint64_t left = pool->laid_bytes - pool->held_bytes;
	uint64_t end = pool->held_bytes + (bytes < left ? bytes : left);
	uint64_t step = end - pool->held_bytes;

	while (step > 0 && pool->held_bytes < end) {
		if (step > end - pool->held_bytes)
			step = end - pool->held_bytes;
		if (span_populate(pool->address + pool->held_bytes, step, MADV_POPULATE_WRITE,
				  false) == 0)
			pool->held_bytes += step;
		else
			step = less(step, pool->want.page_bytes);
	}
	if (pool->held_bytes < end)
		pool_shrink(reserve, pool, pool->held_bytes);
}

/* --- at the start --------------------------------------------------------------------------------- */

int reserve_add(struct reserve *reserve, const struct reserve_want *want,
		const struct topology *topology)
{
	const struct topology_node *node = topology_node(topology, want->node);
	const struct span extent = {
		.used_bytes = want->bytes,
		.giant_bytes = want->page_bytes == GIANT_BYTES ? want->bytes : 0,
	};
	void *address;
	int r;

	r = place_check(place_node(want->node), topology);
	if (r < 0)
		return err_trace(r);
	if (!node || !topology_pool(node, want->page_bytes))
		return err_raise(-EINVAL, "--reserve: node %d has no pool of pages of %" PRIu64
				 " MiB (ls /sys/kernel/mm/hugepages)", want->node,
				 want->page_bytes >> 20);
	if (reserve->pool_count == RESERVE_POOLS_MAX ||
	    pool_find(reserve, want->node, want->page_bytes))
		return err_raise(-EINVAL, "--reserve: pages of %" PRIu64 " MiB of node %d are "
				 "asked for twice", want->page_bytes >> 20, want->node);
	address = span_reserve(&extent, HUGE_BYTES);
	if (!address)
		return err_raise(-ENOMEM, "--reserve: there are no addresses for %" PRIu64 " bytes",
				 want->bytes);
	reserve->pools[reserve->pool_count++] =
		(struct reserve_pool){ .want = *want, .address = address };
	return 0;
}

void reserve_await(struct reserve *reserve, int fd)
{
	uint64_t bytes[TOPOLOGY_NODES_MAX] = { 0 };
	uint64_t page_bytes = sealed_page_bytes(fd);

	if (!pool_find(reserve, -1, page_bytes) || sealed_nodes(fd, "what was kept", bytes) < 0)
		return;
	for (int node = 0; node < TOPOLOGY_NODES_MAX; node++) {
		struct reserve_pool *pool = pool_find(reserve, node, page_bytes);

		if (pool)
			pool->awaited_bytes += bytes[node];
	}
}

static int shortage_raise(const struct reserve_pool *pool, uint64_t got_pages,
			  const struct topology *topology, uint64_t total_pages)
{
	const struct reserve_want *want = &pool->want;
	uint64_t wanted_pages = due_bytes(pool) / want->page_bytes;
	char where[64] = "/sys/kernel/mm";

	if (topology->node_count > 1)
		snprintf(where, sizeof(where), "/sys/devices/system/node/node%d", want->node);
	return err_raise(-ENOMEM,
			 "--reserve: node %d has too few free pages of %" PRIu64 " MiB: wanted %"
			 PRIu64 ", got %" PRIu64 "; make more: echo %" PRIu64
			 " > %s/hugepages/hugepages-%" PRIu64 "kB/nr_hugepages, or see "
			 "hearth-hugepages(8)",
			 want->node, want->page_bytes >> 20, wanted_pages, got_pages,
			 total_pages + wanted_pages - got_pages, where, want->page_bytes >> 10);
}

/* What cannot be had is not tried: clearing pages takes its time, and others want them, too. */
static int pool_fill(struct reserve *reserve, struct reserve_pool *pool)
{
	uint64_t due_pages = due_bytes(pool) / pool->want.page_bytes;
	struct topology_pool pages;
	struct topology topology;
	int r;

	r = topology_read(&topology);
	if (r < 0)
		return err_trace(r);
	pages = topology_pools(&topology, pool->want.node, pool->want.page_bytes);
	if (pages.free_pages >= due_pages) {
		pool_claim(reserve, pool);
		pool_touch(reserve, pool, UINT64_MAX);
		pages.free_pages = pool->held_bytes / pool->want.page_bytes;
	}
	if (pages.free_pages < due_pages)
		return err_trace(shortage_raise(pool, pages.free_pages, &topology,
						pages.total_pages));
	return 0;
}

int reserve_fill(struct reserve *reserve)
{
	for (uint32_t index = 0; index < reserve->pool_count; index++) {
		int r = pool_fill(reserve, &reserve->pools[index]);

		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

/* --- while it serves ------------------------------------------------------------------------------ */

static void lent_change(struct reserve *reserve, int node, uint64_t page_bytes, int64_t lent_bytes,
			uint64_t awaited_bytes)
{
	struct reserve_pool *pool;

	if (!reserve || (lent_bytes == 0 && awaited_bytes == 0))
		return;
	pthread_mutex_lock(&reserve->mutex);
	pool = pool_find(reserve, node, page_bytes);
	if (pool) {
		(void)span_subtract(&pool->awaited_bytes, awaited_bytes);
		if (lent_bytes > 0)
			pool->lent_bytes += (uint64_t)lent_bytes;
		else
			(void)span_subtract(&pool->lent_bytes, (uint64_t)-lent_bytes);
		pool_shrink(reserve, pool, due_bytes(pool));
		pool_claim(reserve, pool);
	}
	pthread_mutex_unlock(&reserve->mutex);
}

void reserve_lend(struct reserve *reserve, int node, uint64_t page_bytes, uint64_t bytes)
{
	lent_change(reserve, node, page_bytes, (int64_t)bytes, 0);
}

void reserve_adopt(struct reserve *reserve, int node, uint64_t page_bytes, uint64_t bytes)
{
	lent_change(reserve, node, page_bytes, (int64_t)bytes, bytes);
}

void reserve_return(struct reserve *reserve, int node, uint64_t page_bytes, uint64_t bytes)
{
	lent_change(reserve, node, page_bytes, -(int64_t)bytes, 0);
}

void reserve_lose(struct reserve *reserve)
{
	if (reserve)
		__atomic_fetch_add(&reserve->lost_count, 1, __ATOMIC_RELAXED);
}

void reserve_settle(struct reserve *reserve)
{
	pthread_mutex_lock(&reserve->mutex);
	for (uint32_t index = 0; index < reserve->pool_count; index++)
		reserve->pools[index].awaited_bytes = 0;
	pthread_mutex_unlock(&reserve->mutex);
}

void reserve_tend(struct reserve *reserve)
{
	uint64_t left = RESERVE_SLICE_BYTES;

	pthread_mutex_lock(&reserve->mutex);
	for (uint32_t index = 0; left > 0 && index < reserve->pool_count; index++) {
		struct reserve_pool *pool = &reserve->pools[index];
		uint64_t page_bytes = pool->want.page_bytes;

		pool_claim(reserve, pool);
		if (pool->held_bytes == pool->laid_bytes)
			continue;
		pool_touch(reserve, pool, left > page_bytes ? left / page_bytes * page_bytes
							    : page_bytes);
		left = 0;
	}
	pthread_mutex_unlock(&reserve->mutex);
}

int reserve_topology(struct reserve *reserve, struct topology *ret_topology)
{
	int r;

	r = topology_read(ret_topology);
	if (r < 0)
		return err_trace(r);
	if (!reserve)
		return 0;
	pthread_mutex_lock(&reserve->mutex);
	for (uint32_t index = 0; index < reserve->pool_count; index++) {
		const struct reserve_pool *pool = &reserve->pools[index];
		const struct topology_node *node = topology_node(ret_topology, pool->want.node);
		const struct topology_pool *there =
			node ? topology_pool(node, pool->want.page_bytes) : NULL;

		/* Pages that are claimed alone are free ones to the kernel. */
		if (there)
			((struct topology_pool *)(uintptr_t)there)->free_pages +=
				pool->held_bytes / pool->want.page_bytes;
	}
	pthread_mutex_unlock(&reserve->mutex);
	return 0;
}

bool reserve_look(struct reserve *reserve, uint32_t index, struct reserve_pool *ret_pool,
		  uint64_t *ret_missing_bytes)
{
	bool is_there;

	pthread_mutex_lock(&reserve->mutex);
	is_there = index < reserve->pool_count;
	if (is_there) {
		*ret_pool = reserve->pools[index];
		*ret_missing_bytes = due_bytes(ret_pool) - ret_pool->laid_bytes;
	}
	pthread_mutex_unlock(&reserve->mutex);
	return is_there;
}

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
#include <inttypes.h>
#include <linux/mman.h>
#include <numaif.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/topology.h"

#define HUGE_BYTES ((uint64_t)2 << 20)
#define SPAN_BYTES_MAX ((uint64_t)1 << 46) /* no address space holds more */
#define RETRIES_MAX 16

#define SPAN_E_EMPTY 1 /* this kind of page is not to be had; try the next kind */

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

static uint64_t page_bytes(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static int node_only(const struct topology *topology, int node)
{
	uint32_t index;

	for (index = 0; index < topology->node_count; index++) {
		if (topology->nodes[index].has_memory && topology->nodes[index].node != node)
			return 0;
	}
	return 1;
}

static int range_bind(void *address, uint64_t bytes, int node, const struct topology *topology)
{
	unsigned long mask[TOPOLOGY_NODES_MAX / (8 * sizeof(unsigned long)) + 1] = { 0 };
	const unsigned long word_bits = 8 * sizeof(unsigned long);

	if (node < 0)
		return 0;
	mask[(unsigned long)node / word_bits] = 1UL << ((unsigned long)node % word_bits);
	if (mbind(address, bytes, MPOL_BIND, mask, TOPOLOGY_NODES_MAX + 1, 0) == 0)
		return 0;
	/* A kernel without NUMA, or a container's filter: no page can lie
	 * elsewhere when there is one node. */
	if ((errno == ENOSYS || errno == EPERM) && node_only(topology, node))
		return 0;
	return err_raise(-errno, "memory cannot be bound to node %d: mbind: %s", node,
			 strerror(errno));
}

/* Kernels before 5.14 lack MADV_POPULATE_WRITE. A store may not stand in for it
 * on huge pages, because an empty pool would end the process. */
static void pages_touch(void *address, uint64_t bytes)
{
	uint64_t step = page_bytes();
	uint64_t offset;

	for (offset = 0; offset < bytes; offset += step)
		((volatile char *)address)[offset] = 0;
}

static int range_populate(void *address, uint64_t bytes, int may_touch)
{
	int attempt;

	for (attempt = 0; attempt < RETRIES_MAX; attempt++) {
		if (madvise(address, bytes, MADV_POPULATE_WRITE) == 0)
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

static int huge_map(uint64_t bytes, int node, const struct topology *topology,
		    struct span *ret_span)
{
	uint64_t mapped_bytes = round_up(bytes, HUGE_BYTES);
	void *address;
	int r;

	/* Reserves from the pool (no MAP_NORESERVE): an empty one fails here. */
	address = mmap(NULL, mapped_bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);
	if (address == MAP_FAILED)
		return SPAN_E_EMPTY;

	r = range_bind(address, mapped_bytes, node, topology);
	if (r == 0)
		r = range_populate(address, mapped_bytes, 0);
	if (r != 0) {
		munmap(address, mapped_bytes);
		return r < 0 ? err_trace(r) : r;
	}
	*ret_span = (struct span){
		.address = address,
		.bytes = bytes,
		.used_bytes = mapped_bytes,
		.backing = SPAN_HUGE_2M,
		.node = node,
		.is_locked = 1,
	};
	return 0;
}

/* A range aligned to `alignment`, with an inaccessible page before and after.
 * The guards also keep the kernel from merging two spans into one entry of
 * /proc/self/smaps, which thp_bytes relies on. */
static void *guarded_map(uint64_t bytes, uint64_t alignment)
{
	uint64_t guard_bytes = page_bytes();
	uint64_t reserved_bytes = bytes + alignment + 2 * guard_bytes;
	char *reserved;
	char *address;
	char *end;

	reserved = mmap(NULL, reserved_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (reserved == MAP_FAILED)
		return NULL;
	address = (char *)(uintptr_t)round_up((uintptr_t)reserved + guard_bytes, alignment);
	end = address + bytes + guard_bytes;
	if (address - guard_bytes > reserved)
		munmap(reserved, (size_t)(address - guard_bytes - reserved));
	if (end < reserved + reserved_bytes)
		munmap(end, (size_t)(reserved + reserved_bytes - end));
	if (mprotect(address, bytes, PROT_READ | PROT_WRITE) < 0) {
		munmap(address - guard_bytes, bytes + 2 * guard_bytes);
		return NULL;
	}
	return address;
}

static void guarded_unmap(void *address, uint64_t bytes)
{
	uint64_t guard_bytes = page_bytes();

	munmap((char *)address - guard_bytes, bytes + 2 * guard_bytes);
}

/* Bytes of the range that lie in transparent huge pages, from smaps: advice to
 * use them is no proof that the kernel had any. */
static uint64_t thp_bytes(const void *address, uint64_t bytes)
{
	uintptr_t begin = (uintptr_t)address;
	uint64_t total = 0;
	int is_inside = 0;
	char line[512];
	FILE *smaps;

	smaps = fopen("/proc/self/smaps", "re");
	if (!smaps)
		return 0;
	while (fgets(line, sizeof(line), smaps)) {
		uintptr_t first;
		uintptr_t last;
		uint64_t kib;

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &first, &last) == 2)
			is_inside = first >= begin && last <= begin + bytes;
		else if (is_inside && sscanf(line, "AnonHugePages: %" SCNu64, &kib) == 1)
			total += kib * 1024;
	}
	fclose(smaps);
	return total;
}

/* Ordinary pages, transparent huge ones where `is_thp` asks and the kernel has
 * some. Locked where the process may: the limit is the administrator's answer,
 * and the span works either way. */
static int pages_map(uint64_t bytes, int node, int is_thp, const struct topology *topology,
		     struct span *ret_span)
{
	uint64_t unit = is_thp ? HUGE_BYTES : page_bytes();
	uint64_t mapped_bytes = round_up(bytes, unit);
	void *address;
	int is_locked;
	int r;

	address = guarded_map(mapped_bytes, unit);
	if (!address)
		return SPAN_E_EMPTY;
	r = madvise(address, mapped_bytes, is_thp ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	if (r < 0 && is_thp) {
		guarded_unmap(address, mapped_bytes);
		return SPAN_E_EMPTY;
	}
	r = range_bind(address, mapped_bytes, node, topology);
	if (r == 0)
		r = range_populate(address, mapped_bytes, 1);
	if (r != 0) {
		guarded_unmap(address, mapped_bytes);
		return r < 0 ? err_trace(r) : r;
	}
	is_locked = mlock(address, mapped_bytes) == 0;
	*ret_span = (struct span){
		.address = address,
		.bytes = bytes,
		.used_bytes = mapped_bytes,
		.backing = is_thp && thp_bytes(address, mapped_bytes) > 0 ? SPAN_THP : SPAN_4K,
		.node = node,
		.is_locked = is_locked,
	};
	return 0;
}

static int node_check(const struct topology *topology, int node)
{
	char names[256] = "";
	size_t used = 0;
	uint32_t index;

	for (index = 0; index < topology->node_count; index++) {
		const struct topology_node *candidate = &topology->nodes[index];
		if (candidate->has_memory && candidate->node == node)
			return 0;
		if (candidate->has_memory && used < sizeof(names) - 8)
			used += (size_t)snprintf(names + used, sizeof(names) - used, " %d",
						 candidate->node);
	}
	return err_raise(-EINVAL, "node %d has no memory to bind to; the nodes with memory are:%s",
			 node, names);
}

static int full_raise(const struct topology *topology, uint64_t bytes, int node)
{
	uint64_t wanted_pages = round_up(bytes, HUGE_BYTES) / HUGE_BYTES;
	uint64_t total_pages = 0;
	uint64_t free_pages = 0;
	uint64_t missing_pages;
	char where[32] = "this machine";
	uint32_t index;

	for (index = 0; index < topology->node_count; index++) {
		const struct topology_pool *pool =
			topology_pool(&topology->nodes[index], HUGE_BYTES);
		if (!pool)
			continue;
		total_pages += pool->total_pages;
		if (node < 0 || topology->nodes[index].node == node)
			free_pages += pool->free_pages;
	}
	missing_pages = wanted_pages > free_pages ? wanted_pages - free_pages : 0;
	if (node >= 0)
		snprintf(where, sizeof(where), "node %d", node);
	return err_raise(-ENOMEM,
			 "%s cannot hold %.1f MiB: wanted %" PRIu64 " huge pages of 2 MiB, "
			 "got %" PRIu64 " free ones, and %.1f MiB of ordinary memory are "
			 "available; free memory, or reserve huge pages soon after boot: "
			 "echo %" PRIu64 " > /proc/sys/vm/nr_hugepages",
			 where, (double)bytes / (1 << 20), wanted_pages, free_pages,
			 (double)topology_available(topology, node) / (1 << 20),
			 total_pages + missing_pages);
}

int span_map(uint64_t bytes, int node, int huge_wanted, struct span *ret_span)
{
	struct topology topology;
	int r;

	if (bytes == 0)
		return err_raise(-EINVAL, "a span of zero bytes was asked for");
	r = topology_read(&topology);
	if (r < 0)
		return err_trace(r);
	if (node >= 0) {
		r = node_check(&topology, node);
		if (r < 0)
			return err_trace(r);
	}
	if (bytes > SPAN_BYTES_MAX)
		return err_trace(full_raise(&topology, bytes, node));

	r = SPAN_E_EMPTY;
	if (huge_wanted)
		r = huge_map(bytes, node, &topology, ret_span);
	/* Ordinary memory that is not there would wake the OOM killer, not fail. */
	if (r > 0 && bytes > topology_available(&topology, node))
		return err_trace(full_raise(&topology, bytes, node));
	if (r > 0 && huge_wanted)
		r = pages_map(bytes, node, 1, &topology, ret_span);
	if (r > 0)
		r = pages_map(bytes, node, 0, &topology, ret_span);
	if (r > 0)
		return err_trace(full_raise(&topology, bytes, node));
	return err_trace(r);
}

void span_unmap(struct span *span)
{
	if (!span->address)
		return;
	if (span->backing == SPAN_HUGE_2M)
		munmap(span->address, span->used_bytes);
	else
		guarded_unmap(span->address, span->used_bytes);
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

/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/doctor/memory.c - huge pages, and what keeps weights in memory */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hearthctl/doctor/doctor.h"

#define LOCKED_BYTES_MIN (UINT64_C(1) << 20) /* the rings of io_uring, a few connections */
#define CAP_IPC_LOCK_BIT (UINT64_C(1) << 14)
#define MAPPINGS_MIN 65530 /* the kernel's own choice */

/* --- huge pages ----------------------------------------------------------------------------- */

static void pools_find(const struct topology_node *node, struct finding *finding)
{
	char text[TEXT_BYTES];

	for (uint32_t pool = 0; pool < node->pool_count; pool++) {
		const struct topology_pool *pages = &node->pools[pool];

		if (pages->total_pages > 0)
			find(finding, "node %d: %" PRIu64 " of %" PRIu64 " pages of %s are free",
			     node->node, pages->free_pages, pages->total_pages,
			     text_bytes(pages->page_bytes, text));
	}
}

/* Weights of one node, or of any with -1, that lie outside of the pools. */
static void weights_look(const struct host *host, int node, const struct host_weights *weights,
			 struct finding *finding)
{
	struct topology_pool pool = topology_pools(&host->topology, node, HUGE_BYTES);
	char place[TEXT_BYTES] = "any";
	char text[TEXT_BYTES];

	if (weights->small_bytes == 0)
		return;
	if (node >= 0 && host->topology.node_count > 1)
		snprintf(place, sizeof(place), "node%d", node);
	find(finding, "%s of weights lie in smaller pages (%s)",
	     text_bytes(weights->small_bytes, text), place);
	if (weights->lacking_pages <= pool.free_pages)
		mend(finding, VERDICT_WARN, "load these models again: hearthctl unload, load");
	else
		mend(finding, VERDICT_WARN, "echo '%s 2M %" PRIu64 "' >>/etc/hearth/hugepages.conf && "
		     "systemctl restart hearth-hugepages, and load them again", place,
		     pool.total_pages + weights->lacking_pages - pool.free_pages);
}

/* Of a daemon that was there before somebody who took them. */
static void reserve_look(const struct host *host, struct finding *finding)
{
	char text[TEXT_BYTES];

	if (host->missing_bytes == 0)
		return;
	find(finding, "the daemon lacks %s of its reserve", text_bytes(host->missing_bytes, text));
	mend(finding, VERDICT_WARN, "grep -l Hugetlb: /proc/[0-9]*/smaps names who may have them; "
	     "more pages in /etc/hearth/hugepages.conf, systemctl restart hearth-hugepages");
}

void huge_pages_check(const struct host *host, struct finding *finding)
{
	if (!host->has_topology) {
		find(finding, "%s", err_message());
		mend(finding, VERDICT_FAIL, "mount -t sysfs sysfs /sys; mount -t proc proc /proc");
		return;
	}
	for (uint32_t node = 0; node < host->topology.node_count; node++)
		pools_find(&host->topology.nodes[node], finding);
	for (int node = 0; node <= TOPOLOGY_NODES_MAX; node++)
		weights_look(host, node < TOPOLOGY_NODES_MAX ? node : -1,
			     &host->node_weights[node], finding);
	reserve_look(host, finding);
	if (finding->verdict == VERDICT_OK &&
	    topology_pools(&host->topology, -1, HUGE_BYTES).total_pages == 0) {
		find(finding, "no page of 2 MiB is reserved");
		mend(finding, VERDICT_WARN, "echo 'any 2M PAGES' >>/etc/hearth/hugepages.conf, as many "
		     "as the weights take, && systemctl enable --now hearth-hugepages");
	}
}

/* Weights that the pools have no room for. */
void thp_check(const struct host *host, struct finding *finding)
{
	static const char directory[] = "/sys/kernel/mm/transparent_hugepage";
	char text[HOST_TEXT_BYTES];
	char ours[TEXT_BYTES];
	char shared[TEXT_BYTES];

	text_choice(host_text(host, text, "%s/enabled", directory), ours);
	text_choice(host_text(host, text, "%s/shmem_enabled", directory), shared);
	if (!*ours) {
		find(finding, "this kernel has none");
		mend(finding, VERDICT_WARN, "run a kernel built with CONFIG_TRANSPARENT_HUGEPAGE, or "
		     "reserve huge pages (hearth-hugepages(8))");
		return;
	}
	find(finding, "anonymous %s, shared %s", ours, *shared ? shared : "absent");
	if (strcmp(ours, "never") == 0)
		mend(finding, VERDICT_WARN, "echo madvise >%s/enabled", directory);
	/* Only weights that are kept for the next daemon lie in shared memory. */
	if (host->weights.small_bytes > 0 &&
	    (strcmp(shared, "never") == 0 || strcmp(shared, "deny") == 0))
		mend(finding, VERDICT_WARN, "echo advise >%s/shmem_enabled", directory);
}

/* --- what stays in memory ------------------------------------------------------------------- */

static bool may_lock(const struct host *host)
{
	char text[HOST_TEXT_BYTES];
	const char *effective = text_field(host_process_text(host, text, "status"), "CapEff");

	return strtoull(effective, NULL, 16) & CAP_IPC_LOCK_BIT;
}

/* The soft limit; UINT64_MAX: none, or none to be read. */
static uint64_t locked_bytes_max(const struct host *host)
{
	char text[HOST_TEXT_BYTES];
	const char *limit = text_field(host_process_text(host, text, "limits"), "Max locked memory");
	char *end;
	uint64_t bytes = strtoull(limit, &end, 10);

	return end == limit ? UINT64_MAX : bytes;
}

void memlock_check(const struct host *host, struct finding *finding)
{
	uint64_t wanted_bytes = LOCKED_BYTES_MIN + host->weights.bytes;
	uint64_t limit_bytes = locked_bytes_max(host);
	char text[2][TEXT_BYTES];

	find(finding, "%s limit is %s", host->whose,
	     limit_bytes == UINT64_MAX ? "none" : text_bytes(limit_bytes, text[0]));
	if (may_lock(host)) {
		find(finding, "CAP_IPC_LOCK stands above it");
	} else if (limit_bytes < wanted_bytes) {
		find(finding, "%s may have to be locked", text_bytes(wanted_bytes, text[1]));
		mend(finding, VERDICT_WARN, "LimitMEMLOCK=infinity in hearthd.service, or CAP_IPC_LOCK "
		     "(share/doc/hearth/examples/memlock.conf); in a shell: ulimit -l unlimited");
	}
}

/* The list of /proc/swaps has a title. */
void swap_check(const struct host *host, struct finding *finding)
{
	char text[HOST_TEXT_BYTES];
	bool is_on = strchr(host_text(host, text, "/proc/swaps"), '\n') != NULL;
	uint64_t swapped_kib = strtoull(
		text_field(host_process_text(host, text, "status"), "VmSwap"), NULL, 10);
	bool is_unlocked = host->weights.small_bytes > locked_bytes_max(host) && !may_lock(host);
	char amount[TEXT_BYTES];

	find(finding, is_on ? "on" : "off");
	if (host->status && swapped_kib > 0)
		find(finding, "%s of the daemon is swapped out",
		     text_bytes(swapped_kib * 1024, amount));
	if (is_on && is_unlocked)
		find(finding, "weights are not locked");
	if (is_on && (is_unlocked || (host->status && swapped_kib > 0)))
		mend(finding, VERDICT_WARN, "swapoff -a, or MemorySwapMax=0 and LimitMEMLOCK=infinity "
		     "in hearthd.service");
}

void mappings_check(const struct host *host, struct finding *finding)
{
	char text[HOST_TEXT_BYTES];
	long count = strtol(host_text(host, text, "/proc/sys/vm/max_map_count"), NULL, 10);
	long overcommit = strtol(host_text(host, text, "/proc/sys/vm/overcommit_memory"), NULL, 10);

	if (count == 0)
		return;
	find(finding, "vm.max_map_count is %ld, vm.overcommit_memory %ld", count, overcommit);
	if (count < MAPPINGS_MIN)
		mend(finding, VERDICT_WARN, "sysctl -w vm.max_map_count=%d", MAPPINGS_MIN);
	if (overcommit == 2)
		mend(finding, VERDICT_WARN, "sysctl -w vm.overcommit_memory=0: address space that is "
		     "kept free counts as memory");
}

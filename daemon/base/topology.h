/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/topology.h - what this machine lets the process use: cores, nodes, huge page pools
 *
 * Owns:     nothing; a snapshot, read from /sys and /proc
 * Threads:  any
 * Units:    bytes, pages; quota_cores is cores' worth of time
 * Errors:   what open and read return, with a sentence that names the file
 *
 * A kernel without NUMA shows as one node, 0, with all cores and all memory.
 * Control groups: version 2 only, every level from the process's group up.
 */
#ifndef HEARTH_BASE_TOPOLOGY_H
#define HEARTH_BASE_TOPOLOGY_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define TOPOLOGY_NODES_MAX 64
#define TOPOLOGY_POOLS_MAX 4 /* page sizes a node; x86 has two, arm64 four */
#define TOPOLOGY_UNLIMITED UINT64_MAX

struct topology_pool {
	uint64_t page_bytes;
	uint64_t total_pages;
	uint64_t free_pages;
};

struct topology_node {
	int node;
	uint32_t core_count;
	bool has_memory;
	uint64_t memory_bytes;
	uint64_t available_bytes; /* free, or file pages the kernel can drop */
	uint32_t pool_count;
	struct topology_pool pools[TOPOLOGY_POOLS_MAX];
};

struct topology {
	uint32_t core_count;         /* online */
	uint32_t allowed_core_count; /* by the affinity of the calling thread */
	double quota_cores;          /* cpu.max; 0: no limit */
	uint64_t group_available_bytes; /* what memory.max leaves; TOPOLOGY_UNLIMITED */
	char thp[16];                /* "always", "madvise", "never"; "" without them */
	uint32_t node_count;
	struct topology_node nodes[TOPOLOGY_NODES_MAX];
};

must_check int topology_read(struct topology *ret_topology);

/* The same from a copy of /sys and /proc below `root` ("" is the machine). */
must_check int topology_read_below(const char *root, struct topology *ret_topology);

/* The CPUs of a node (-1: of all) that the calling thread may use, the first CPU_SETSIZE of them;
 * returns how many. A node that says nothing of its CPUs, or has none of them, has all. */
uint32_t topology_cpus(int node, cpu_set_t *ret_cpus);

/* Has the node CPUs of its own that the calling thread may use? Where there is one node, all are. */
bool topology_has_cpus(const struct topology *topology, int node);

/* NULL when there is no such node. */
const struct topology_node *topology_node(const struct topology *topology, int node);

/* The pool of `page_bytes` pages of one node; NULL when there is none. */
const struct topology_pool *topology_pool(const struct topology_node *node, uint64_t page_bytes);

/* Those of one node, or of all with -1, together; without pages where there is none. */
struct topology_pool topology_pools(const struct topology *topology, int node, uint64_t page_bytes);

/* Bytes of ordinary memory that one node, or any with -1, has for the taking:
 * the node's, and no more than what the control group leaves. */
uint64_t topology_available(const struct topology *topology, int node);

/* Cores' worth of time the process has: the allowed cores, or less by quota. */
double topology_cores(const struct topology *topology);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/mapping.h - what the kernel says that is mapped here, and which of its pages are there
 *
 * Owns:     nothing
 * Threads:  any
 * Units:    bytes
 * Errors:   -errno with a sentence that names the file
 *
 * /proc/self/smaps knows where a mapping ends and how much of it lies in transparent huge pages,
 * /proc/self/numa_maps on which nodes its pages are; they are read side by side. A kernel without
 * NUMA has the first one alone: all pages are on node 0 then, as base/topology.h has it.
 */
#ifndef HEARTH_MEMORY_MAPPING_H
#define HEARTH_MEMORY_MAPPING_H

#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/topology.h"

#define MAPPING_NAME_BYTES 128

struct mapping {
	uintptr_t begin;
	uintptr_t end;
	char name[MAPPING_NAME_BYTES]; /* "[heap]", a path (its beginning); "": anonymous */
	uint64_t page_bytes; /* the kernel's for this mapping, transparent huge pages apart */
	uint64_t thp_bytes;
	uint64_t node_bytes[TOPOLOGY_NODES_MAX];
};

typedef void (*mapping_visit)(void *context, const struct mapping *map);

/* Every mapping, by address. */
must_check int mapping_each(mapping_visit visit, void *context);

/* The same from other files; numa_maps may be NULL. */
must_check int mapping_each_of(FILE *smaps, FILE *numa_maps, mapping_visit visit, void *context);

#endif

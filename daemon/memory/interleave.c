/* SPDX-License-Identifier: MIT */
/* daemon/memory/interleave.c - bandwidths of the first who tells of them, in their lowest terms */
#include "memory/interleave.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

typedef bool (*bandwidths_read)(const char *root, const struct topology *topology,
				uint64_t bandwidths[TOPOLOGY_NODES_MAX]);

/* A number of each node with memory. False: one of them has none. */
static bool numbers_read(const char *root, const struct topology *topology, const char *directory,
			 const char *name, uint64_t bandwidths[TOPOLOGY_NODES_MAX])
{
	for (uint32_t index = 0; index < topology->node_count; index++) {
		int node = topology->nodes[index].node;
		char path[PATH_MAX];
		FILE *file;
		bool is_read;

		if (!topology->nodes[index].has_memory)
			continue;
		snprintf(path, sizeof(path), "%s%s/node%d%s", root, directory, node, name);
		file = fopen(path, "re");
		if (!file)
			return false;
		is_read = fscanf(file, "%" SCNu64, &bandwidths[node]) == 1 && bandwidths[node] > 0;
		fclose(file);
		if (!is_read)
			return false;
	}
	return true;
}

/* The kernel has 1 for each node before somebody says otherwise. */
static bool kernel_read(const char *root, const struct topology *topology,
			uint64_t bandwidths[TOPOLOGY_NODES_MAX])
{
	uint64_t most = 0;

	if (!numbers_read(root, topology, "/sys/kernel/mm/mempolicy/weighted_interleave", "",
			  bandwidths))
		return false;
	for (int node = 0; node < TOPOLOGY_NODES_MAX; node++)
		most = bandwidths[node] > most ? bandwidths[node] : most;
	return most > 1;
}

/* Of the initiators that are nearest to the node. */
static bool hmat_read(const char *root, const struct topology *topology,
		      uint64_t bandwidths[TOPOLOGY_NODES_MAX])
{
	return numbers_read(root, topology, "/sys/devices/system/node",
			    "/access0/initiators/read_bandwidth", bandwidths);
}

static uint64_t common_divisor(uint64_t one, uint64_t other)
{
	while (other > 0) {
		uint64_t rest = one % other;

		one = other;
		other = rest;
	}
	return one;
}

/* Nodes without a bandwidth have no part. */
static struct place place_of(const uint64_t bandwidths[TOPOLOGY_NODES_MAX])
{
	struct place place = { .nodes = 0 };
	uint64_t divisor = 0;
	uint64_t most = 0;

	for (int node = 0; node < TOPOLOGY_NODES_MAX; node++) {
		divisor = common_divisor(bandwidths[node], divisor);
		most = bandwidths[node] > most ? bandwidths[node] : most;
	}
	if (divisor > 0 && most / divisor > UINT16_MAX)
		divisor = most / UINT16_MAX + 1;
	for (int node = 0; node < TOPOLOGY_NODES_MAX; node++) {
		uint64_t weight = divisor > 0 ? bandwidths[node] / divisor : 0;

		if (bandwidths[node] == 0)
			continue;
		place.nodes |= place_node(node).nodes;
		place.weights[node] = weight > 0 ? (uint16_t)weight : 1;
	}
	return place;
}

struct interleave interleave_read(const char *root, const struct topology *topology,
				  const uint32_t configured[TOPOLOGY_NODES_MAX])
{
	static const struct {
		const char *name;
		bandwidths_read read;
	} sources[] = { { "kernel", kernel_read }, { "HMAT", hmat_read } };
	struct interleave interleave = { .place = place_all(topology), .source = "equal" };
	uint64_t bandwidths[TOPOLOGY_NODES_MAX] = { 0 };
	uint64_t has_memory = interleave.place.nodes;

	for (int node = 0; configured && node < TOPOLOGY_NODES_MAX; node++)
		if (has_memory >> node & 1)
			bandwidths[node] = configured[node];
	if (place_of(bandwidths).nodes)
		return (struct interleave){ place_of(bandwidths), "config" };
	for (size_t index = 0; index < sizeof(sources) / sizeof(sources[0]); index++) {
		uint64_t told[TOPOLOGY_NODES_MAX] = { 0 };

		if (has_memory && sources[index].read(root, topology, told))
			return (struct interleave){ place_of(told), sources[index].name };
	}
	return interleave;
}

const char *interleave_text(const struct interleave *interleave, char text[INTERLEAVE_TEXT_BYTES])
{
	const struct place *place = &interleave->place;
	size_t used = 0;

	for (int node = 0; node < TOPOLOGY_NODES_MAX && used < INTERLEAVE_TEXT_BYTES - 32; node++)
		if (place->nodes >> node & 1)
			used += (size_t)snprintf(text + used, INTERLEAVE_TEXT_BYTES - used, "%d:%u ",
						 node, place->weights[node] > 0 ? place->weights[node] : 1u);
	snprintf(text + used, INTERLEAVE_TEXT_BYTES - used, "(%s)", interleave->source);
	return text;
}

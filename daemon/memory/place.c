/* SPDX-License-Identifier: MIT */
/* daemon/memory/place.c - pieces, dealt out in proportion and bound one by one */
#include "memory/place.h"

#include <errno.h>
#include <numaif.h>
#include <stdio.h>
#include <string.h>

#define PIECE_BYTES ((uint64_t)2 << 20)
/* Each piece is a mapping to the kernel, of which a process has 65,530. */
#define PIECES_MAX 1024

struct place place_node(int node)
{
	bool is_known = node >= 0 && node < TOPOLOGY_NODES_MAX;

	return (struct place){ .nodes = is_known ? UINT64_C(1) << node : 0 };
}

struct place place_all(const struct topology *topology)
{
	struct place place = { 0 };
	uint32_t index;

	for (index = 0; index < topology->node_count; index++)
		if (topology->nodes[index].has_memory)
			place.nodes |= place_node(topology->nodes[index].node).nodes;
	return place;
}

int place_only(struct place place)
{
	return __builtin_popcountll(place.nodes) == 1 ? __builtin_ctzll(place.nodes) : -1;
}

int place_check(struct place place, const struct topology *topology)
{
	uint64_t missing = place.nodes & ~place_all(topology).nodes;
	char names[256] = "";
	size_t used = 0;
	uint32_t index;

	if (!missing)
		return 0;
	for (index = 0; index < topology->node_count && used < sizeof(names) - 8; index++)
		if (topology->nodes[index].has_memory)
			used += (size_t)snprintf(names + used, sizeof(names) - used, " %d",
						 topology->nodes[index].node);
	return err_raise(-EINVAL, "node %d has no memory to bind to; the nodes with memory are:%s",
			 __builtin_ctzll(missing), names);
}

static uint64_t piece_bytes(const struct place *place, uint64_t bytes)
{
	uint64_t pieces = (bytes + PIECE_BYTES - 1) / PIECE_BYTES;

	if (__builtin_popcountll(place->nodes) < 2)
		return bytes;
	return (pieces + PIECES_MAX - 1) / PIECES_MAX * PIECE_BYTES;
}

static uint64_t weight_of(const struct place *place, int node)
{
	return place->weights[node] > 0 ? place->weights[node] : 1;
}

/* Pieces on their way to the nodes of a place. */
struct deal {
	const struct place *place;
	uint64_t weight_sum;
	uint64_t dealt;
	uint32_t dealt_to[TOPOLOGY_NODES_MAX];
};

static struct deal deal_begin(const struct place *place)
{
	struct deal deal = { .place = place };
	uint64_t left;

	for (left = place->nodes; left; left &= left - 1)
		deal.weight_sum += weight_of(place, __builtin_ctzll(left));
	return deal;
}

/* Of those that would not have more than their proportion, rounded up, the one whose next piece is
 * due first. There is one: together they have a piece less than that. */
static int deal_next(struct deal *deal)
{
	uint64_t left;
	int next = -1;

	deal->dealt++;
	for (left = deal->place->nodes; left; left &= left - 1) {
		int node = __builtin_ctzll(left);
		uint64_t weight = weight_of(deal->place, node);

		if (deal->dealt_to[node] * deal->weight_sum >= deal->dealt * weight)
			continue;
		if (next < 0 || (deal->dealt_to[node] + 1) * weight_of(deal->place, next) <
					(deal->dealt_to[next] + 1) * weight)
			next = node;
	}
	deal->dealt_to[next]++;
	return next;
}

uint64_t place_share_before(struct place place, uint64_t whole_bytes, uint64_t bytes, int node)
{
	uint64_t piece = piece_bytes(&place, whole_bytes);
	struct deal deal = deal_begin(&place);
	uint64_t share = 0;
	uint64_t offset;

	if (node < 0 || !(place.nodes >> node & 1))
		return 0;
	for (offset = 0; offset < bytes; offset += piece)
		if (deal_next(&deal) == node)
			share += bytes - offset < piece ? bytes - offset : piece;
	return share;
}

static int piece_bind(void *address, uint64_t bytes, int node, unsigned int flags,
		      const struct topology *topology)
{
	uint64_t mask = UINT64_C(1) << node;

	if (mbind(address, bytes, MPOL_BIND, &mask, TOPOLOGY_NODES_MAX + 1, flags) == 0)
		return 0;
	/* A kernel without NUMA, or a container's filter: no page can lie
	 * elsewhere when there is one node. */
	if ((errno == ENOSYS || errno == EPERM) && place_only(place_all(topology)) == node)
		return 0;
	return -errno;
}

/* *ret_node is the one that the error is about. */
static int pieces_bind(struct place place, char *address, uint64_t bytes, unsigned int flags,
		       const struct topology *topology, int *ret_node)
{
	uint64_t piece = piece_bytes(&place, bytes);
	struct deal deal = deal_begin(&place);
	uint64_t offset;
	int node = 0;
	int r = 0;

	for (offset = 0; r == 0 && place.nodes && offset < bytes; offset += piece) {
		node = deal_next(&deal);
		r = piece_bind(address + offset, bytes - offset < piece ? bytes - offset : piece,
			       node, flags, topology);
	}
	*ret_node = node;
	return r;
}

int place_bind(struct place place, void *address, uint64_t bytes, const struct topology *topology)
{
	int node;
	int r;

	r = pieces_bind(place, address, bytes, 0, topology, &node);
	if (r < 0)
		return err_raise(r, "memory cannot be bound to node %d: mbind: %s", node,
				 strerror(-r));
	return 0;
}

bool place_holds(struct place place, void *address, uint64_t bytes, const struct topology *topology)
{
	int node;

	return pieces_bind(place, address, bytes, MPOL_MF_STRICT, topology, &node) == 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * client/arena.h - which bytes of a shared area are taken, in private memory
 *
 * The area is a power of two; a range takes a power of two of leaves, at a
 * multiple of its size. tree[1] is the root, tree[2n] and tree[2n + 1] are the
 * halves of tree[n]; each says 1 + log2(leaves) of the largest free block below
 * it, 0 = none. Acquire and release walk one path, at most 17 nodes.
 *
 * Owns:     the tree
 * Units:    bytes from the start of the area
 */
#ifndef HEARTH_CLIENT_ARENA_H
#define HEARTH_CLIENT_ARENA_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "shm/layout.h"

#define HEARTH_ARENA_LEAVES_MAX 65536u

struct hearth_arena {
	uint8_t *tree;
	uint32_t area_bytes;
	uint32_t leaf_log2; /* of its bytes */
	uint32_t order_max; /* log2(leaves) */
};

static inline uint32_t hearth_log2_up(uint32_t value)
{
	return value <= 1 ? 0 : 32u - (uint32_t)__builtin_clz(value - 1);
}

static inline bool hearth_arena_init(struct hearth_arena *arena, uint32_t area_bytes)
{
	uint32_t leaves = area_bytes / HEARTH_ALIGN_BYTES;
	uint32_t node;
	uint32_t order;

	if (leaves > HEARTH_ARENA_LEAVES_MAX)
		leaves = HEARTH_ARENA_LEAVES_MAX;
	arena->area_bytes = area_bytes;
	arena->leaf_log2 = hearth_log2_up(area_bytes / leaves);
	arena->order_max = hearth_log2_up(leaves);
	arena->tree = (uint8_t *)malloc(2 * (size_t)leaves);
	if (!arena->tree)
		return false;
	arena->tree[0] = 0;
	order = arena->order_max;
	for (node = 1; node < 2 * leaves; node++) {
		arena->tree[node] = (uint8_t)(order + 1);
		if (node + 1 == UINT32_C(2) << (arena->order_max - order))
			order--; /* the next node begins a level */
	}
	return true;
}

static inline uint32_t hearth_arena_order(const struct hearth_arena *arena, uint32_t bytes)
{
	uint32_t order = hearth_log2_up(bytes);

	return order > arena->leaf_log2 ? order - arena->leaf_log2 : 0;
}

/* 1 <= bytes <= area_bytes */
static inline bool hearth_arena_acquire(struct hearth_arena *arena, uint32_t bytes,
					uint32_t *ret_offset)
{
	uint32_t wanted = hearth_arena_order(arena, bytes);
	uint32_t order;
	uint32_t node = 1;
	uint8_t *tree = arena->tree;

	if (tree[1] <= wanted)
		return false;
	for (order = arena->order_max; order > wanted; order--) {
		uint32_t left = 2 * node;
		uint32_t right = left + 1;
		bool is_left_better = tree[right] <= wanted || tree[left] <= tree[right];

		/* the smaller of the halves that suffice keeps large blocks whole */
		node = tree[left] > wanted && is_left_better ? left : right;
	}
	tree[node] = 0;
	*ret_offset = (node - (UINT32_C(1) << (arena->order_max - wanted)))
		      << (wanted + arena->leaf_log2);
	for (node /= 2; node > 0; node /= 2)
		tree[node] =
			tree[2 * node] > tree[2 * node + 1] ? tree[2 * node] : tree[2 * node + 1];
	return true;
}

static inline void hearth_arena_release(struct hearth_arena *arena, uint32_t offset, uint32_t bytes)
{
	uint32_t order = hearth_arena_order(arena, bytes);
	uint32_t node = (UINT32_C(1) << (arena->order_max - order)) +
			(offset >> (order + arena->leaf_log2));
	uint8_t *tree = arena->tree;

	tree[node] = (uint8_t)(order + 1);
	for (node /= 2; node > 0; node /= 2) {
		uint8_t left = tree[2 * node];
		uint8_t right = tree[2 * node + 1];

		order++;
		if (left == order && right == order)
			tree[node] = (uint8_t)(order + 1); /* both halves are whole */
		else
			tree[node] = left > right ? left : right;
	}
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/bag.h - nodes that pool rows of a table: embedding bags, and plain rows by id
 *
 * Owns:     structs in the graph's memory
 * Threads:  one
 *
 * A bag node has the inputs table, ids, offsets, weights; the last two may be GRAPH_NONE.
 *
 *     table    a constant, f32, [axis, dim]
 *     ids      i32 or i64, [rows, hot] without offsets, [count] with them; for EMBED_COPY, which
 *              gives each id's row, [rows] or [rows, ...]; rows is a constant or one free size
 *     offsets  i32 or i64, where each bag begins in ids and weights: [rows], and the last bag takes
 *              what is left; or, where `offsets_beyond`, [rows + 1], and the last one is where the
 *              last bag ends: all ids are in bags only if it is their count, and where
 *              `offsets_whole` anything else is an error of the last row
 *     weights  f32, as many as ids and in their order
 *     output   f32, [rows, dim] with or without ones between; of EMBED_COPY [rows, ..., dim]
 *
 * It becomes a table of a KERNEL_EMBED (kernels/embed.h says what is computed, and what becomes of
 * ids and offsets outside); tables that can be read in one pass are (graph/passes/merge_embed.c).
 */
#ifndef HEARTH_GRAPH_BAG_H
#define HEARTH_GRAPH_BAG_H

#include "graph/graph.h"
#include "kernels/embed.h"

struct lowering;

enum bag_input {
	BAG_TABLE,
	BAG_IDS,
	BAG_OFFSETS,
	BAG_WEIGHTS,
	BAG_INPUTS,
};

struct bag {
	enum embed mode;
	int64_t padding_idx; /* -1: none */
	bool offsets_beyond;
	bool offsets_whole;
	bool ids_natural; /* a negative id does not count from the end: it is an error */
};

/* Can this be a bag's table, and are these ids, without offsets, of the run and of that shape? */
bool bag_fits(const struct graph *graph, uint32_t table, uint32_t ids);

/* `node`, the last one of what it replaces, becomes a bag; its outputs stay as they are. The other
 * nodes are the caller's to absorb (graph/readers.h). */
must_check int bag_node(struct graph *graph, struct node *node, const struct bag *bag,
			uint32_t table, uint32_t ids, uint32_t offsets, uint32_t weights);

/* A bag with offsets computes output 0 of `node`, in its place, while the graph is inferred. */
must_check int bag_emit(struct graph *graph, const struct node *node, const struct bag *bag,
			uint32_t table, uint32_t ids, uint32_t offsets, uint32_t weights);

/* The bag that a node is, NULL: it is none. */
const struct bag *node_bag(const struct node *node);

int lower_bag(struct lowering *lowering, const struct node *node);

/* Steps of bags that depend on the run's inputs alone become one. The end of lower(). */
must_check int merge_embed(struct lowering *lowering);

#endif

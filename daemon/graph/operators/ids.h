/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/operators/ids.h - where ids that a table is read by really come from
 *
 * Owns:     nothing
 * Threads:  one
 *
 * Ids that are one column of an input, or a wider type's copy of it, are read in their place.
 */
#ifndef HEARTH_GRAPH_OPERATORS_IDS_H
#define HEARTH_GRAPH_OPERATORS_IDS_H

#include "graph/graph.h"

/* Id i is element offset + i * stride of the value. */
struct ids_source {
	uint32_t value;
	struct poly offset;
	struct poly stride;
};

struct ids_source ids_find(const struct graph *graph, uint32_t value);

/* Elements first, first + step, ... of input 1, ids along an axis of `size` of input 0: constant ones
 * are within it, where it is free as a condition on the run; for those of a run it has an index. */
must_check int ids_check(struct graph *graph, struct node *node, int64_t first, int64_t step,
			 struct dim size);

#endif

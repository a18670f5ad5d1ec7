/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/bodies/loop_bag.h - a bag that a Loop computes, from what its body says to nodes
 *
 * Owns:     nothing
 * Threads:  one
 *
 * What find_loop_bag.c and find_sequence_bag.c share. A body tells what is reduced and which slices
 * of the ids a bag has; loop_bag_settle asks whether the values around it make that a bag with
 * offsets (graph/bag.h), and loop_bag_place emits it: with Gather, Mul and Reduce where all bags
 * have as many ids.
 */
#ifndef HEARTH_GRAPH_BODIES_LOOP_BAG_H
#define HEARTH_GRAPH_BODIES_LOOP_BAG_H

#include "graph/bag.h"
#include "graph/bodies/loop_match.h"

struct loop_bag {
	const char *reduce; /* the operator */
	struct bag bag;
	uint32_t table, ids, weights, offsets; /* values; weights may be GRAPH_NONE */
	struct dim rows;
};

/* The reduction along axis 0 that the name is, with or without that axis; NULL: it is none. */
const struct onnx_node *loop_bag_reduction(const struct loop_match *match, const char *name,
					   bool keeps_axis, struct loop_bag *bag);

/* Table, ids and weights are set; `slice` is of the ids. */
must_check int loop_bag_settle(struct graph *graph, const struct loop_slice *slice,
			       struct loop_bag *bag, bool *ret_is_bag);

/* Output 0 of `node` is the bags [rows, dim]. */
must_check int loop_bag_place(struct graph *graph, const struct node *node,
			      const struct loop_bag *bag);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/operators/pair.h - nodes that are a layer over a query and each of its keys
 *
 * Owns:     nothing
 * Threads:  one
 *
 * Such a node has the inputs of enum pair_input and the bias and activation of the product that it
 * was; it becomes a KERNEL_GEMM of the queries and a KERNEL_PAIR.
 */
#ifndef HEARTH_GRAPH_OPERATORS_PAIR_H
#define HEARTH_GRAPH_OPERATORS_PAIR_H

#include "graph/graph.h"

struct lowering;

enum pair_input {
	PAIR_QUERY,          /* f32 [..., 1, k] */
	PAIR_KEYS,           /* f32 [..., count, k] */
	PAIR_QUERY_WEIGHT,   /* constants [k, n] */
	PAIR_KEYS_WEIGHT,
	PAIR_PRODUCT_WEIGHT,
	PAIR_INPUTS,
};

int lower_pair(struct lowering *lowering, const struct node *node);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/jagged.h - inputs of values and offsets: what counts rows, and what their values
 *
 * Owns:     nothing
 * Threads:  one
 *
 * The values of all bags of a request lie one behind the other, and its offsets say at which of
 * them each bag begins. So in a batch of several requests both are joined by their first
 * dimension, and every offset is raised by the values of the requests before (serve/offsets.h).
 * Which inputs are offsets follows from who reads them: bags (graph/bag.h) and nobody else.
 */
#ifndef HEARTH_GRAPH_JAGGED_H
#define HEARTH_GRAPH_JAGGED_H

#include "graph/graph.h"

struct jagged {
	int32_t row_symbol; /* -1: no output tells what counts rows */
	bool counts_values[SIGNATURE_SYMBOLS_MAX];
	/* By input: the symbol that counts the values its numbers are places among; -1: none. */
	int32_t offsets_into[SIGNATURE_TENSORS_MAX];
};

/* Where rows are one less than a free size, as with nn.EmbeddingBag's include_last_offset, the
 * graph is rewritten: the size becomes rows + 1. Before anything has read its sizes. */
must_check int jagged_find(struct graph *graph, struct jagged *ret_jagged);

/* The input that a bag's offsets are, as they are or in a wider type; GRAPH_NONE: they are
 * computed. */
uint32_t jagged_offsets_input(const struct graph *graph, const struct node *bag);

#endif

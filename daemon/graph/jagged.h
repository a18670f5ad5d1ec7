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

struct lowering;

struct jagged {
	int32_t row_symbol; /* -1: no output tells what counts rows */
	bool counts_values[SIGNATURE_SYMBOLS_MAX];
	/* By input: the symbol that counts the values its numbers are places among; -1: none. */
	int32_t offsets_into[SIGNATURE_TENSORS_MAX];
};

/* Where rows are one less than a free size, as with nn.EmbeddingBag's include_last_offset, the
 * graph is rewritten: the size becomes rows + 1. Before anything has read its sizes. */
must_check int jagged_find(struct graph *graph, struct jagged *ret_jagged);

/* While the graph is inferred: may two sizes be one, because one of them counts offsets of which the
 * last one ends the last bag, and it is with rows that its bags meet? Then it is replaced by the
 * other one, also in `shape`, which is being inferred; requests must agree on it. True when they
 * are equal afterwards. */
must_check int jagged_unite(struct graph *graph, struct dim a, struct dim b, struct value *shape,
			    bool *ret_equal);

/* The same for each pair of sizes of two shapes that are broadcast against each other. */
must_check int jagged_unite_shapes(struct graph *graph, struct value *shape,
				   const struct value *other);

/* The input that a bag's offsets are, as they are or in a wider type; GRAPH_NONE: they are
 * computed. */
uint32_t jagged_offsets_input(const struct graph *graph, const struct node *bag);

/* Is something computed of every value of the bags? Rows that are cut off do not know which of it is
 * theirs. After lower(). */
bool jagged_computes_values(const struct lowering *lowering);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/rows.h - the proof that requests may share a batch
 *
 * Row r of every output must follow from row r of every input and from
 * constants alone, with the rows outermost everywhere. An input whose first
 * dimension is 1, a user beside its candidates, belongs to the request: where
 * it meets rows (an elementwise operator, Expand, a batched product) it is
 * broadcast to them, and there graph/join.h gives each row its own request's.
 * An input that a free size of its own counts holds values of bags: each row has
 * those between two of its offsets (graph/jagged.h), and a bag makes rows of them.
 * The proof is conservative: what it does not understand is no proof.
 */
#ifndef HEARTH_GRAPH_ROWS_H
#define HEARTH_GRAPH_ROWS_H

#include "graph/graph.h"

enum rows {
	ROWS_MIXED = 0, /* not proven */
	ROWS_FREE,      /* the same for every row and every number of rows */
	ROWS_EACH,      /* as many equal parts as rows, outermost; each of its row alone */
	ROWS_REQUEST,   /* one part, outermost, whatever the rows: of its request alone */
	ROWS_VALUES,    /* one part, outermost, a value of the bags; each of its value alone */
	ROWS_OFFSETS,   /* where bags begin among the values */
};

struct rows_proof {
	const uint8_t *rows; /* one enum rows a value, in the graph's memory */
	int32_t symbol;      /* the one that counts rows; -1: there is no proof */
	int32_t request_symbol; /* counts requests, after graph/join.h; -1: nothing is ROWS_REQUEST */
	int32_t followed_symbol; /* as in struct signature; lowering_init */
	int32_t offsets_into[SIGNATURE_TENSORS_MAX]; /* as in graph/jagged.h */
	char why[512];       /* without a proof: what prevents it, naming the node; else "" */
};

/* A graph with several free sizes has no proof unless each counts rows or values of bags: requests in
 * one batch would have to agree on it. */
must_check int rows_prove(struct graph *graph, struct rows_proof *ret_proof);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/join.h - a request's one row among the rows of several requests
 *
 * A user and its candidates: an input of one row a request beside inputs of many. In a batch of
 * several requests it has as many rows as there are requests, so every ROWS_REQUEST value gets the
 * number of requests as its first dimension, and where one of them meets rows a Gather by
 * `row_requests` stands before: [rows] int32, for each row the number of its request in the batch.
 *
 * That input is not the client's: it is bound behind the last input of the file, by the batcher.
 */
#ifndef HEARTH_GRAPH_JOIN_H
#define HEARTH_GRAPH_JOIN_H

#include "graph/rows.h"

/* Rewrites the graph where the proof found ROWS_REQUEST inputs, and completes the proof:
 * request_symbol, and the rows of new values. Without a proof, or without such inputs, it does
 * nothing. Before graph_fuse. */
must_check int join_requests(struct graph *graph, struct rows_proof *proof);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/readers.h - who reads each value, for passes that rewrite nodes
 *
 * Owns:     arrays in the graph's memory
 * Threads:  one
 *
 * A pass takes the readers as they are when it begins and keeps to what it may still believe: a
 * node that it absorbs is marked dead, and dead nodes are nobody's only reader.
 */
#ifndef HEARTH_GRAPH_READERS_H
#define HEARTH_GRAPH_READERS_H

#include "graph/graph.h"

struct readers {
	uint32_t *node;  /* per value: the last node that reads it, GRAPH_NONE */
	uint32_t *count; /* per value: places that read it; an output of the graph is two more */
	uint32_t value_count; /* values made later have no entry */
};

must_check int readers_init(struct graph *graph, struct readers *readers);

/* The only place that reads the value is an input of this node; NULL: there are others, or none. */
struct node *readers_only(const struct graph *graph, const struct readers *readers, uint32_t value);

/* What most passes do: `rewrite` of each node that a pattern may begin with, in order, with the
 * readers as they are before the first. Nodes that it adds are visited, too. */
typedef bool readers_pattern(const struct graph *graph, const struct node *node);
typedef int readers_rewrite(struct graph *graph, const struct readers *readers, struct node *node);
must_check int readers_each(struct graph *graph, readers_pattern *begins, readers_rewrite *rewrite);

/* The node that computes a value, NULL where none does: an input, a constant, a dead node's. */
struct node *value_producer(const struct graph *graph, uint32_t value);

/* Are all dims alike? */
bool value_same_shape(const struct value *a, const struct value *b);

/* `absorbed` is done by `node` from now on; it counts in the fusion ratio. */
void node_absorb(struct node *node, struct node *absorbed);

/* The output of `last`, which `node` absorbs, is computed by `node`. */
void node_take_output(struct graph *graph, struct node *node, struct node *last);

#endif

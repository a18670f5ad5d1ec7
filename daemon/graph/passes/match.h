/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/match.h - the parts of patterns that exporters spell out in several operators
 *
 * Owns:     nothing
 * Threads:  one
 *
 * A match collects the nodes that it is about to replace: each is read by other nodes of the match
 * alone, which match_closes proves at the end.
 */
#ifndef HEARTH_GRAPH_PASSES_MATCH_H
#define HEARTH_GRAPH_PASSES_MATCH_H

#include "graph/graph.h"
#include "graph/readers.h"
#include "kernels/binary.h"

#define MATCH_NODES_MAX 16
#define MATCH_FACTORS_MAX 6

struct match {
	struct graph *graph;
	const struct readers *readers;
	struct node *nodes[MATCH_NODES_MAX]; /* to be absorbed by the last one of the pattern */
	uint32_t count;
	bool overflows; /* no match */
};

/* scale * values[0] * values[1] ... */
struct match_product {
	float scale;
	uint32_t values[MATCH_FACTORS_MAX];
	uint32_t count;
};

/* A constant of one f32. */
bool match_scalar(const struct graph *graph, uint32_t value, float *ret_scalar);

/* Within a few units in the last place of what a single or a double rounds it to. */
bool match_near(float value, double wanted);

/* The node that computes the value, when it is this operator; it joins the match. */
struct node *match_op(struct match *match, uint32_t value, const char *op);

/* One of the two inputs is this scalar, the other one is *ret_other; false: neither. */
bool match_with_scalar(const struct graph *graph, const struct node *node, double scalar,
		       uint32_t *ret_other);

/* Through Mul, Div by a scalar and Pow 2 or 3; each factor that is no scalar, in the file's order. */
struct match_product match_product(struct match *match, uint32_t value);

/* Every node of the match, except `last`, is read within the match alone. */
bool match_closes(const struct match *match, const struct node *last);

/* Forgets what joined since `count`. */
void match_rewind(struct match *match, uint32_t count);

/* `last` becomes `op` on these inputs, of which it has at most as many as before; the others of
 * the match are dead. */
void match_replace(struct match *match, struct node *last, const struct op *op,
		   const uint32_t inputs[], uint32_t input_count);

/* The activation that a unary operator is. */
bool match_activation(const struct node *node, enum activation *ret_activation);

/* When the only reader of the node's output is an activation, and it has none yet, the node applies
 * it itself. */
void match_take_activation(struct graph *graph, const struct readers *readers, struct node *node);

#endif

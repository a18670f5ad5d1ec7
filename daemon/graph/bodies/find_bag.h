/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/bodies/find_bag.h - the Loops that nn.EmbeddingBag is exported as, recognised
 *
 * Not one of graph_fuse's passes: it runs while the graph is inferred, because nobody can tell the
 * shapes inside such a loop, nor run it without branching.
 */
#ifndef HEARTH_GRAPH_BODIES_FIND_BAG_H
#define HEARTH_GRAPH_BODIES_FIND_BAG_H

#include "graph/graph.h"

/* LOOP_E_BAG: nodes that compute the same stand in the graph. 0: it is another loop. */
#define LOOP_E_BAG 1
must_check int loop_bag(struct graph *graph, const struct node *node);     /* TorchScript's */
must_check int sequence_bag(struct graph *graph, const struct node *node); /* dynamo's */

#endif

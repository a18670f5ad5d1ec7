/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/bodies/control.h - control flow is resolved while a graph is
 * inferred: no step branches
 *
 *     If            the branch that a constant condition takes stands in its place
 *     Loop          nn.EmbeddingBag's becomes bags (find_loop_bag.c); one of a constant number of
 *                   iterations is unrolled (unroll.c)
 *     Sequence...   lists of values, kept here alone (sequence.c)
 *
 * Owns:     everything in the graph's memory
 * Threads:  one
 * Errors:   as graph/graph.h; what would branch, loop or grow in a run is refused
 *
 * The work is bounded: nodes, tensors and outputs of bodies count each time a body is put in
 * place, and GRAPH_EXPANDED_MAX is all there may be.
 */
#ifndef HEARTH_GRAPH_BODIES_CONTROL_H
#define HEARTH_GRAPH_BODIES_CONTROL_H

#include "graph/names.h"

#define CONTROL_ITERATIONS_MAX 64
#define CONTROL_ITEMS_MAX 1024 /* of a sequence */

/* A body that is put in place, once or for each iteration. */
struct body {
	const struct onnx_graph *source;
	struct names *names;
	uint32_t *tensors; /* values of its initializers */
};

/* The body in that attribute of the node, which has so many inputs and outputs. */
must_check int body_init(struct graph *graph, const struct node *node, const char *attribute,
			 uint32_t input_count, uint32_t output_count, struct body *ret_body);

/* Emits its nodes. Outputs are values; with a survey GRAPH_NONE where they were refused. */
must_check int body_emit(struct graph *graph, const struct node *node, struct body *body,
			 const uint32_t inputs[], uint32_t outputs[]);

/* `*ret_known`: the value is a condition that no run changes, `*ret_true`. */
must_check int control_condition(struct graph *graph, uint32_t value, bool *ret_known,
				 bool *ret_true);

/* Output `output` of the node is the value `from`, a tensor or a sequence. */
must_check int control_alias(struct graph *graph, const struct node *node, uint32_t output,
			     uint32_t from);

/* An attribute of a node that the file does not have. */
struct control_attribute {
	const char *name; /* NULL: the list ends */
	uint32_t count;   /* of a list; 0: an integer, values[0] */
	int64_t values[KERNEL_RANK_MAX];
};

/* Emits a node that the file does not have, in the name of `node`. */
must_check int control_emit(struct graph *graph, const struct node *node, const char *op_type,
			    const uint32_t inputs[], uint32_t input_count,
			    const struct control_attribute attributes[], uint32_t *ret_value);

/* Its values side by side in a new outermost axis, or (`is_new_axis` false) along `axis`. */
must_check int control_concat(struct graph *graph, const struct node *node, const uint32_t items[],
			      uint32_t item_count, int64_t axis, bool is_new_axis,
			      uint32_t *ret_value);

#endif

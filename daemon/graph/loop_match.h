/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/loop_match.h - what an expression in a Loop's body is, seen from the outside
 *
 * Owns:     nothing
 * Threads:  one
 *
 * A body is matched as the file has it: its shapes are nobody's before it runs. Names are followed
 * through Identity, and mean an input of the body, a tensor or a node of it, or a value outside.
 * Everything here is a question; false means no, or not understood.
 */
#ifndef HEARTH_GRAPH_LOOP_MATCH_H
#define HEARTH_GRAPH_LOOP_MATCH_H

#include "graph/graph.h"

#define LOOP_NODES_MAX 64 /* of a body that is looked at */

struct loop_match {
	struct graph *graph;
	const struct node *node;
	const struct onnx_graph *body;
};

enum loop_term_kind {
	LOOP_NOTHING,
	LOOP_INPUT,  /* of the body */
	LOOP_TENSOR, /* of the body */
	LOOP_NODE,   /* of the body: its first output */
	LOOP_OUTER,  /* a value of the graph */
};

struct loop_term {
	enum loop_term_kind kind;
	uint32_t index;
};

/* values[begin] up to values[end], where begin and end are one element of a value of the graph:
 * that of the iteration's number plus a constant. */
struct loop_slice {
	uint32_t value;
	uint32_t begins, ends;
	int64_t begin_shift, end_shift;
};

struct loop_term loop_term(const struct loop_match *match, const char *name);

/* The node of that type that computes the name; NULL: there is none. */
const struct onnx_node *loop_node(const struct loop_match *match, const char *name,
				  const char *op_type);

/* The value of the graph that the name is. */
bool loop_outer(const struct loop_match *match, const char *name, uint32_t *ret_value);

/* One integer, from a constant of the body or around it. */
bool loop_integer(const struct loop_match *match, const char *name, int64_t *ret_integer);

/* The iteration's number plus a constant. */
bool loop_index(const struct loop_match *match, const char *name, int64_t *ret_shift);

bool loop_slice(const struct loop_match *match, const char *name, struct loop_slice *ret_slice);

/* The one integer of an input or else of an attribute; `otherwise` where neither is there. False:
 * it is something else. */
bool loop_setting(const struct loop_match *match, const struct onnx_node *node, uint32_t input,
		  const char *attribute, int64_t otherwise, int64_t *ret_integer);

/* Is it true in each iteration in which the condition before it was? */
bool loop_stays_true(const struct loop_match *match, const char *name);

const struct onnx_attribute *loop_attribute(const struct onnx_node *node, const char *name);

#endif

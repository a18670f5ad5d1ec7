/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/bodies/loop_match.h - what an expression in a Loop's body is, seen from the outside
 *
 * Owns:     nothing
 * Threads:  one
 *
 * A body is matched as the file has it: its shapes are nobody's before it runs. Names are followed
 * through Identity, and mean an input of the body, a tensor or a node of it, or a value outside.
 * A body may hold bodies, of If and Loop nodes; the file has no name twice (model/onnx.h), so that
 * a name of an outer body means the same when an inner one is asked. Everything here is a
 * question; false means no, or not understood.
 */
#ifndef HEARTH_GRAPH_BODIES_LOOP_MATCH_H
#define HEARTH_GRAPH_BODIES_LOOP_MATCH_H

#include <string.h>

#include "graph/graph.h"

#define LOOP_NODES_MAX 64 /* of a body that is looked at */

struct loop_match {
	struct graph *graph;
	const struct node *node; /* the graph's Loop */
	const struct onnx_graph *body;
	const struct loop_match *around; /* the body that holds this one; NULL: the graph does */
	const struct onnx_node *loop;    /* whose body this is, of a Loop in a body; NULL */
	/* Of the graph's Loop: an input of its body that is the iteration's number; 0: no other one
	 * than the first. */
	uint32_t counter;
};

enum loop_term_kind {
	LOOP_NOTHING,
	LOOP_INPUT,  /* of the body */
	LOOP_TENSOR, /* of the body */
	LOOP_NODE,   /* of the body: its output `output` */
	LOOP_OUTER,  /* a value of the graph */
};

struct loop_term {
	enum loop_term_kind kind;
	const struct loop_match *in; /* the body that has it */
	uint32_t index;
	uint32_t output;
};

/* One element of a value of the graph, that of the iteration's number plus a constant, which is at
 * least 0. */
struct loop_element {
	uint32_t value;
	int64_t shift;
};

/* values[begin] up to values[end]. */
struct loop_slice {
	uint32_t value;
	struct loop_element begin, end;
};

/* What an If gives by that name. */
struct loop_if {
	const char *condition;
	struct loop_match then_match, else_match;
	const char *then_name, *else_name;
};

/* Numbers that stand in the file, or that folding has made of such. */
struct loop_floats {
	const float *data;
	uint32_t rank;
	struct dim dims[2];
	int64_t count;
};

#define LOOP_SIZES_MAX 4

struct loop_sizes {
	struct dim dims[LOOP_SIZES_MAX];
	uint32_t count;
};

static inline bool loop_body_fits(const struct onnx_graph *body)
{
	return body->node_count <= LOOP_NODES_MAX && body->tensor_count <= LOOP_NODES_MAX;
}

static inline bool onnx_node_is(const struct onnx_node *node, const char *op_type)
{
	return node->domain[0] == '\0' && strcmp(node->op_type, op_type) == 0;
}

static inline bool onnx_node_reads(const struct onnx_node *node, uint32_t input)
{
	return input < node->input_count && node->inputs[input][0] != '\0';
}

struct loop_term loop_term(const struct loop_match *match, const char *name);

/* NULL: it is no node. */
const struct onnx_node *loop_term_node(const struct loop_term *term);

/* The node of that type that computes the name; NULL: there is none. */
const struct onnx_node *loop_node(const struct loop_match *match, const char *name,
				  const char *op_type);

/* The value of the graph that the name is. */
bool loop_outer(const struct loop_match *match, const char *name, uint32_t *ret_value);

/* One integer, from a constant of the body or around it. */
bool loop_integer(const struct loop_match *match, const char *name, int64_t *ret_integer);

/* The iteration's number plus a constant. */
bool loop_index(const struct loop_match *match, const char *name, int64_t *ret_shift);

/* What the name is but for its rank and the width of its integers. */
struct loop_term loop_bare(const struct loop_match *match, const char *name);

/* x and an integer, of x + integer. */
bool loop_add(const struct loop_match *match, const char *name, const char **ret_x,
	      int64_t *ret_addend);

bool loop_element(const struct loop_match *match, const char *name, struct loop_element *ret_element);
bool loop_slice(const struct loop_match *match, const char *name, struct loop_slice *ret_slice);
bool loop_same_element(const struct loop_element *a, const struct loop_element *b);

bool loop_if(const struct loop_match *match, const char *name, struct loop_if *ret_if);
bool loop_floats(const struct loop_match *match, const char *name, struct loop_floats *ret_floats);

/* At most LOOP_SIZES_MAX integers that are known before a run, free sizes included. */
bool loop_sizes(const struct loop_match *match, const char *name, struct loop_sizes *ret_sizes);

/* One of them. */
bool loop_size(const struct loop_match *match, const char *name, struct dim *ret_size);

/* The one integer of an input or else of an attribute; `otherwise` where neither is there. False:
 * it is something else. */
bool loop_setting(const struct loop_match *match, const struct onnx_node *node, uint32_t input,
		  const char *attribute, int64_t otherwise, int64_t *ret_integer);

/* Is it true in each iteration in which the condition before it was? */
bool loop_stays_true(const struct loop_match *match, const char *name);

const struct onnx_attribute *loop_attribute(const struct onnx_node *node, const char *name);

#endif

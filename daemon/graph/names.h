/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/names.h - which value a name of the file means, in the graph or in a node's body
 *
 * Owns:     arrays in the graph's memory
 * Threads:  one
 *
 * A graph's names are sorted, so that no choice of names costs more than another. A name gets its
 * value when it is defined: one that is read before has none. A body also sees the names around it.
 */
#ifndef HEARTH_GRAPH_NAMES_H
#define HEARTH_GRAPH_NAMES_H

#include "graph/graph.h"

struct name {
	const char *name;
	uint32_t value; /* GRAPH_NONE: not defined yet */
};

struct names {
	struct name *entries;
	uint64_t count;
	const struct names *outer; /* NULL: the file's own graph */
};

/* All names that `source` defines, none of them with a value. */
must_check int names_init(struct graph *graph, struct names *names, const struct onnx_graph *source,
			  const struct names *outer);

/* Forgets the values, for another run of a body. */
void names_clear(struct names *names);

/* The entry of that name in `names` alone; NULL: it defines none. */
struct name *names_find(struct graph *graph, const struct names *names, const char *name);

/* The value of that name, here or around; GRAPH_NONE: there is none yet. */
uint32_t names_value(struct graph *graph, const struct names *names, const char *name);

/* A new value of that name. */
must_check int names_add(struct graph *graph, struct names *names, const char *name,
			 struct value **ret_value, uint32_t *ret_index);

/* import.c: a constant, and a node whose outputs it defines; a refused node is marked, with a survey. */
must_check int import_tensor(struct graph *graph, struct names *names,
			     const struct onnx_tensor *tensor);
must_check int import_node(struct graph *graph, struct names *names, const struct onnx_node *source,
			   struct node *node);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/strides.h - which operators write and read rows with a stride
 *
 * Threads:  one
 *
 * A value may lie in the rows of another one (struct value, part_of) only if its producer and all
 * its readers are such; their lowerings use step_read_rows, step_read_strided and the like.
 */
#ifndef HEARTH_GRAPH_PASSES_STRIDES_H
#define HEARTH_GRAPH_PASSES_STRIDES_H

#include "graph/graph.h"

/* Can the node write its output as rows of `width` elements? */
bool strides_write(const struct graph *graph, const struct node *node, uint32_t output,
		   int64_t width);

/* Can it read its input so? */
bool strides_read(const struct graph *graph, const struct node *node, uint32_t input,
		  int64_t width);

#endif

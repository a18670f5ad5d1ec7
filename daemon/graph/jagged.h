/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/jagged.h - a node that pools bags given as values and offsets
 *
 * Inputs:   table f32 [axis, dim], a constant; ids [values]; offsets [rows], where each bag begins,
 *           or [rows + 1], where the last one says where the last bag ends; and, if they are
 *           there, weights f32 [values]
 * Outputs:  y f32 [rows, dim]
 * Owns:     the node and its struct, in the graph's memory
 *
 * It becomes one KERNEL_EMBED, whose words about empty bags and bad offsets hold. Its fused is a
 * struct jagged.
 */
#ifndef HEARTH_GRAPH_JAGGED_H
#define HEARTH_GRAPH_JAGGED_H

#include "graph/graph.h"
#include "kernels/embed.h"

enum jagged_input {
	JAGGED_TABLE,
	JAGGED_IDS,
	JAGGED_OFFSETS,
	JAGGED_WEIGHTS,
	JAGGED_INPUTS,
};

struct jagged {
	enum embed mode;
	bool offsets_beyond; /* there are rows + 1 offsets */
};

/* Emits it in place of `node`, whose output 0 it computes. inputs[JAGGED_WEIGHTS] may be
 * GRAPH_NONE. */
must_check int jagged_emit(struct graph *graph, const struct node *node, struct jagged jagged,
			   const uint32_t inputs[JAGGED_INPUTS]);

bool is_jagged(const struct node *node);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/operators/equation.h - an Einsum equation, read: the letters of each operand and of
 * the output
 *
 *     "b...i, ij -> b...j"
 *
 * Owns:     nothing
 * Threads:  one
 * Errors:   as graph/graph.h, with a sentence that has the equation
 *
 * The axes that an ellipsis stands for are letters too, so that nothing behind the reader knows of
 * ellipses. In the implicit form the output has those first, then in order each letter that is once
 * in the inputs.
 */
#ifndef HEARTH_GRAPH_OPERATORS_EQUATION_H
#define HEARTH_GRAPH_OPERATORS_EQUATION_H

#include "graph/graph.h"

#define EINSUM_OPERANDS_MAX 2

/* A letter is a bit of a mask; those of an ellipsis are above the alphabet's. */
#define EINSUM_ELLIPSIS 52
#define EINSUM_LETTERS (EINSUM_ELLIPSIS + KERNEL_RANK_MAX)

struct einsum_term {
	uint8_t letters[KERNEL_RANK_MAX];
	uint32_t rank;
};

struct einsum {
	const char *equation;
	struct einsum_term inputs[EINSUM_OPERANDS_MAX];
	uint32_t input_count;
	struct einsum_term output;
};

/* Of a node whose inputs are all there; their ranks say what an ellipsis stands for. */
must_check int einsum_read(const struct graph *graph, const struct node *node,
			   struct einsum *ret_einsum);

static inline uint64_t einsum_letters(const struct einsum_term *term)
{
	uint64_t letters = 0;

	for (uint32_t axis = 0; axis < term->rank; axis++)
		letters |= UINT64_C(1) << term->letters[axis];
	return letters;
}

/* The letter as the file has it, "..." of an axis of an ellipsis. */
const char *einsum_name(uint32_t letter, char name[4]);

#endif

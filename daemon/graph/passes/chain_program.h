/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/chain_program.h - a program for KERNEL_CHAIN, from values to registers and
 * strides
 *
 *     chain_program_init(&program, shape);
 *     x = chain_operand(&program, graph, value);
 *     y = chain_unary(&program, node, x);
 *     chain_output(&program, y, value, 0, 0);
 *     if (chain_program_close(&program, graph)) ...
 *
 * What does not fit the kernel's limits is said by the last of these alone.
 *
 * Owns:     nothing; a program that a node keeps lies in the graph's memory
 * Threads:  one
 */
#ifndef HEARTH_GRAPH_PASSES_CHAIN_PROGRAM_H
#define HEARTH_GRAPH_PASSES_CHAIN_PROGRAM_H

#include "graph/lower.h"
#include "kernels/chain.h"

#define CHAIN_PLACES_MAX (CHAIN_OPERANDS_MAX + CHAIN_OUTPUTS_MAX)

/* What an operation gives is CHAIN_OPERANDS_MAX + its number, until registers are assigned. */
typedef uint32_t chain_id;

struct chain_target {
	chain_id source;
	uint32_t value;
	int64_t offset; /* its columns are a part of the value's, from here on */
	int64_t width;  /* of the value's rows; 0: they are the program's */
};

struct chain_program {
	bool overflows;
	uint32_t rank; /* of the shape that all walk */
	struct dim shape[KERNEL_RANK_MAX];
	uint32_t operand_count, op_count, output_count;
	uint32_t operands[CHAIN_OPERANDS_MAX]; /* values that broadcast to the shape */
	struct chain_op ops[CHAIN_OPS_MAX];
	struct chain_target outputs[CHAIN_OUTPUTS_MAX];
};

/* How a program walks its places: operands, then outputs. */
struct chain_strides {
	struct poly dims[CHAIN_RANK];
	struct poly places[CHAIN_PLACES_MAX][CHAIN_RANK];
};

void chain_program_init(struct chain_program *program, const struct value *shape);

/* The same id for the same value. */
chain_id chain_operand(struct chain_program *program, uint32_t value);

chain_id chain_unary(struct chain_program *program, const struct node *node, chain_id x);
chain_id chain_binary(struct chain_program *program, enum binary op, chain_id a, chain_id b);
void chain_output(struct chain_program *program, chain_id source, uint32_t value, int64_t offset,
		  int64_t width);

/* Assigns registers; false: it or its shapes do not fit the kernel, and it must not be lowered. */
bool chain_program_close(struct chain_program *program, const struct graph *graph);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/cost.h - what a step moves and multiplies, for people and for choices
 *
 * Units:    bytes read and written, each operand once however often it is used; multiply-adds
 * Threads:  any, once the steps are made
 *
 * Of a table only the rows that are read count, each id's by itself. A perfect plan reads each
 * input, weight and row once, and writes each output once.
 */
#ifndef HEARTH_GRAPH_COST_H
#define HEARTH_GRAPH_COST_H

#include "graph/lower.h"

struct cost {
	uint64_t bytes;        /* moved, all together */
	uint64_t weight_bytes; /* of these: constants, without tables */
	uint64_t row_bytes;    /* of these: rows of tables */
	uint64_t rows;         /* of tables that are read, one an id */
	uint64_t multiply_adds;
};

/* "gemm"; one for every kernel. */
const char *kernel_name(enum kernel kernel);

struct cost step_cost(const struct lowering *lowering, const struct step *step,
		      const int64_t symbols[SIGNATURE_SYMBOLS_MAX]);

/* Bytes that a perfect plan moves. */
uint64_t cost_perfect_bytes(const struct lowering *lowering,
			    const int64_t symbols[SIGNATURE_SYMBOLS_MAX]);

#endif

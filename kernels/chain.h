/* SPDX-License-Identifier: MIT */
/*
 * kernels/chain.h - a short program of elementwise operations, in one pass over memory
 *
 *     for each element: value[operand_count + o] = op_o(value[left], value[right])
 *
 * Shapes:   all are walked over dims [outer, rows, columns] by strides in elements, 0 where a
 *           place is broadcast; the last stride is 0 or 1 for an operand, 1 for an output
 * Types:    f32; the bits of each operation are those of kernels/unary.h and kernels/binary.h
 * Aliasing: an output may overlap nothing
 * Limits:   CHAIN_*_MAX; a register is written before it is read
 * Traffic:  4 * elements bytes a place that is not broadcast; what is between stays in cache
 */
#ifndef HEARTH_KERNELS_CHAIN_H
#define HEARTH_KERNELS_CHAIN_H

#include <stdbool.h>

#include "kernels/types.h"

#define CHAIN_RANK 3
#define CHAIN_OPERANDS_MAX 8
#define CHAIN_REGISTERS_MAX 6
#define CHAIN_OPS_MAX 24
#define CHAIN_OUTPUTS_MAX 8
#define CHAIN_NONE UINT8_MAX

enum chain_kind {
	CHAIN_COPY,
	CHAIN_UNARY,  /* op is an enum unary */
	CHAIN_BINARY, /* op is an enum binary */
};

struct chain_place {
	float *data; /* read only, unless it is an output */
	int64_t strides[CHAIN_RANK];
};

struct chain_op {
	uint8_t kind;
	uint8_t op;
	uint8_t left;   /* an operand, or CHAIN_OPERANDS_MAX + a register */
	uint8_t right;  /* CHAIN_BINARY */
	uint8_t to;     /* a register; it may be left or right; CHAIN_NONE: only an output wants it */
	uint8_t output; /* CHAIN_NONE */
	float low, high; /* of the unary operation */
};

struct chain_args {
	int64_t dims[CHAIN_RANK];
	uint32_t operand_count;
	uint32_t output_count;
	uint32_t op_count;
	struct chain_op ops[CHAIN_OPS_MAX];
	struct chain_place operands[CHAIN_OPERANDS_MAX];
	struct chain_place outputs[CHAIN_OUTPUTS_MAX];
};

#endif

/* SPDX-License-Identifier: MIT */
/* kernels/ref/chain.c - the whole program for one element, then for the next */
#include "kernels/ref/ref.h"

/* The operations are those of unary.c and binary.c, on doubles that a float holds: what a register
 * rounds to in between is part of the contract. */
static float ref_op(const struct chain_op *op, float left, float right)
{
	const struct unary_args unary = {
		.x = &left,
		.count = 1,
		.op = (enum unary)op->op,
		.dtype = DTYPE_F32,
		.low = op->low,
		.high = op->high,
	};
	const struct binary_args binary = {
		.a = &left,
		.b = &right,
		.op = (enum binary)op->op,
		.dtype = DTYPE_F32,
		.b_dtype = DTYPE_F32,
	};
	double y = left;

	if (op->kind == CHAIN_UNARY)
		ref_unary_f32(&unary, &y);
	else if (op->kind == CHAIN_BINARY)
		ref_binary_f32(&binary, &y);
	return (float)y;
}

static int64_t ref_offset(const struct chain_place *place, const int64_t index[CHAIN_RANK])
{
	return index[0] * place->strides[0] + index[1] * place->strides[1] +
	       index[2] * place->strides[2];
}

static void ref_element(const struct chain_args *args, const int64_t index[CHAIN_RANK],
			double *const ret_outputs[])
{
	float values[CHAIN_OPERANDS_MAX + CHAIN_REGISTERS_MAX] = { 0 };

	for (uint32_t operand = 0; operand < args->operand_count; operand++)
		values[operand] =
			args->operands[operand].data[ref_offset(&args->operands[operand], index)];
	for (uint32_t step = 0; step < args->op_count; step++) {
		const struct chain_op *op = &args->ops[step];
		float y = ref_op(op, values[op->left],
				 op->kind == CHAIN_BINARY ? values[op->right] : 0.0f);

		if (op->to != CHAIN_NONE)
			values[CHAIN_OPERANDS_MAX + op->to] = y;
		if (op->output != CHAIN_NONE)
			ret_outputs[op->output][ref_offset(&args->outputs[op->output], index)] = y;
	}
}

void ref_chain(const struct chain_args *args, double *const ret_outputs[])
{
	int64_t index[CHAIN_RANK];

	for (index[0] = 0; index[0] < args->dims[0]; index[0]++)
		for (index[1] = 0; index[1] < args->dims[1]; index[1]++)
			for (index[2] = 0; index[2] < args->dims[2]; index[2]++)
				ref_element(args, index, ret_outputs);
}

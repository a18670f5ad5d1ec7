/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/chain.c - a program run block by block
 *
 * A block is a part of a row, or several short rows laid end to end: so many elements that the
 * choice of an operation costs little beside it, and so few that all registers stay in the first
 * cache. Operands that lie as the block does are read in place; others are laid out first, a row
 * that all rows share only once. Where everything is contiguous all rows are one.
 */
#include "kernels/chain.h"

#include "kernels/cpu/bytes.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/run.h"
#include "kernels/unary.h"

#define BLOCK 512
#define SCRATCH CHAIN_REGISTERS_MAX

struct chain_room {
	float operands[CHAIN_OPERANDS_MAX][BLOCK] __attribute__((aligned(64)));
	float registers[CHAIN_REGISTERS_MAX + 1][BLOCK] __attribute__((aligned(64)));
};

struct chain_block {
	int64_t place[CHAIN_RANK]; /* its first element */
	int64_t rows, columns;
};

/* A run of the block's elements, or one value for all of them. */
struct chain_source {
	const float *data;
	int64_t step;
};

struct chain {
	const struct chain_args *args;
	binary_run runs[CHAIN_OPS_MAX];
	struct chain_source sources[CHAIN_OPERANDS_MAX + CHAIN_REGISTERS_MAX];
	struct chain_room room;
};

static void fill(float *y, float value, int64_t count)
{
	INDEPENDENT
	for (int64_t index = 0; index < count; index++)
		y[index] = value;
}

ALWAYS_INLINE int64_t place_offset(const struct chain_place *place, const struct chain_block *block)
{
	return block->place[0] * place->strides[0] + block->place[1] * place->strides[1] +
	       block->place[2] * place->strides[2];
}

/* Rows of the block follow each other, or all elements are one value. */
ALWAYS_INLINE bool place_is_run(const struct chain_place *place, const struct chain_block *block)
{
	return block->rows == 1 ||
	       place->strides[1] == block->columns * place->strides[2];
}

static struct chain_source operand_source(const struct chain_place *place,
					  const struct chain_block *block, float *room)
{
	const float *data = place->data + place_offset(place, block);
	const int64_t columns = block->columns;
	const bool is_shared = place->strides[1] == 0;

	if (place_is_run(place, block))
		return (struct chain_source){ data, place->strides[2] };
	/* The first block of these rows has laid out at least as many of them. */
	if (is_shared && (block->place[1] > 0 || (block->place[0] > 0 && place->strides[0] == 0)))
		return (struct chain_source){ room, 1 };
	for (int64_t row = 0; row < block->rows; row++) {
		const float *x = data + row * place->strides[1];
		float *y = room + row * columns;

		if (place->strides[2] == 0)
			fill(y, *x, columns);
		else
			bytes_copy((char *)y, (const char *)x, (size_t)columns * sizeof(float));
	}
	return (struct chain_source){ room, 1 };
}

static void op_run(struct chain *chain, uint32_t index, float *y, int64_t count)
{
	const struct chain_op *op = &chain->args->ops[index];
	const struct chain_source left = chain->sources[op->left];
	struct unary_args unary = {
		.x = left.data,
		.y = y,
		.count = count,
		.op = (enum unary)op->op,
		.dtype = DTYPE_F32,
		.low = op->low,
		.high = op->high,
	};

	if (op->kind == CHAIN_BINARY) {
		const struct chain_source right = chain->sources[op->right];

		chain->runs[index](left.data, right.data, y, count, left.step, right.step);
		return;
	}
	if (left.step == 0) {
		fill(y, *left.data, count);
		unary.x = y;
	}
	if (op->kind == CHAIN_UNARY)
		CPU(unary)(&unary);
	else if (left.step != 0)
		bytes_copy((char *)y, (const char *)left.data, (size_t)count * sizeof(float));
}

static void output_write(const struct chain_place *place, const struct chain_block *block,
			 const float *x)
{
	float *y = place->data + place_offset(place, block);
	const int64_t columns = block->columns;

	if (place_is_run(place, block)) {
		bytes_copy((char *)y, (const char *)x,
			   (size_t)(block->rows * columns) * sizeof(float));
		return;
	}
	for (int64_t row = 0; row < block->rows; row++)
		bytes_copy((char *)(y + row * place->strides[1]), (const char *)(x + row * columns),
			   (size_t)columns * sizeof(float));
}

/* A result that nobody reads again is computed in its place, one that is only moved is moved once;
 * others pass through a register: what lies in an output may be a client's to change. */
static void block_op(struct chain *chain, uint32_t index, const struct chain_block *block)
{
	const struct chain_op *op = &chain->args->ops[index];
	const struct chain_place *output =
		op->output == CHAIN_NONE ? NULL : &chain->args->outputs[op->output];
	const int64_t count = block->rows * block->columns;
	float *y = chain->room.registers[op->to == CHAIN_NONE ? SCRATCH : op->to];

	if (op->to == CHAIN_NONE && output != NULL) {
		const struct chain_source *left = &chain->sources[op->left];

		if (op->kind == CHAIN_COPY && left->step == 1) {
			output_write(output, block, left->data);
			return;
		}
		if (place_is_run(output, block)) {
			op_run(chain, index, output->data + place_offset(output, block), count);
			return;
		}
	}
	op_run(chain, index, y, count);
	if (op->to != CHAIN_NONE)
		chain->sources[CHAIN_OPERANDS_MAX + op->to] = (struct chain_source){ y, 1 };
	if (output != NULL)
		output_write(output, block, y);
}

static void chain_block(struct chain *chain, const struct chain_block *block)
{
	const struct chain_args *args = chain->args;

	for (uint32_t operand = 0; operand < args->operand_count; operand++)
		chain->sources[operand] = operand_source(&args->operands[operand], block,
							 chain->room.operands[operand]);
	for (uint32_t op = 0; op < args->op_count; op++)
		block_op(chain, op, block);
}

/* Does every place walk dims `axis` and `axis` + 1 in one stride? */
static bool axes_merge(const struct chain_args *args, const int64_t dims[], int axis)
{
	bool merge = true;

	for (uint32_t operand = 0; operand < args->operand_count; operand++)
		merge = merge && args->operands[operand].strides[axis] ==
					 args->operands[operand].strides[axis + 1] * dims[axis + 1];
	for (uint32_t output = 0; output < args->output_count; output++)
		merge = merge && args->outputs[output].strides[axis] ==
					 args->outputs[output].strides[axis + 1] * dims[axis + 1];
	return merge;
}

/* The inner one of two axes that merge takes over the other's length; strides stay as they are. */
static void dims_merge(const struct chain_args *args, int64_t dims[CHAIN_RANK])
{
	for (int axis = 0; axis < CHAIN_RANK; axis++)
		dims[axis] = args->dims[axis];
	for (int axis = 0; axis + 1 < CHAIN_RANK; axis++) {
		if (dims[axis] > 1 && !axes_merge(args, dims, axis))
			continue;
		dims[axis + 1] *= dims[axis];
		dims[axis] = 1;
	}
}

void CPU(chain)(const void *erased)
{
	const struct chain_args *args = erased;
	struct chain_block block;
	int64_t dims[CHAIN_RANK], rows;
	struct chain chain;

	if (args->dims[0] <= 0 || args->dims[1] <= 0 || args->dims[2] <= 0)
		return;
	chain.args = args;
	for (uint32_t op = 0; op < args->op_count; op++)
		if (args->ops[op].kind == CHAIN_BINARY)
			chain.runs[op] = CPU(binary_run_f32)((enum binary)args->ops[op].op);
	dims_merge(args, dims);
	rows = dims[2] < BLOCK ? BLOCK / dims[2] : 1;
	for (block.place[0] = 0; block.place[0] < dims[0]; block.place[0]++)
		for (block.place[1] = 0; block.place[1] < dims[1]; block.place[1] += rows) {
			block.rows = dims[1] - block.place[1] < rows ? dims[1] - block.place[1] :
								       rows;
			for (block.place[2] = 0; block.place[2] < dims[2];
			     block.place[2] += BLOCK) {
				block.columns = dims[2] - block.place[2] < BLOCK ?
							dims[2] - block.place[2] :
							BLOCK;
				chain_block(&chain, &block);
			}
		}
}

/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/chain_program.c - a program for KERNEL_CHAIN, from values to registers and
 * strides
 */
#include "graph/passes/chain_program.h"

#include <errno.h>
#include <string.h>

#include "graph/ops.h"

#define NEVER UINT32_MAX

void chain_program_init(struct chain_program *program, const struct value *shape)
{
	memset(program, 0, sizeof(*program));
	program->rank = shape->rank;
	memcpy(program->shape, shape->dims, sizeof(program->shape));
}

chain_id chain_operand(struct chain_program *program, uint32_t value)
{
	for (uint32_t operand = 0; operand < program->operand_count; operand++) {
		if (program->operands[operand] == value)
			return operand;
	}
	if (program->operand_count == CHAIN_OPERANDS_MAX) {
		program->overflows = true;
		return 0;
	}
	program->operands[program->operand_count] = value;
	return program->operand_count++;
}

static chain_id op_add(struct chain_program *program, struct chain_op op)
{
	if (program->op_count == CHAIN_OPS_MAX) {
		program->overflows = true;
		return CHAIN_OPERANDS_MAX;
	}
	op.to = CHAIN_NONE;
	op.output = CHAIN_NONE;
	program->ops[program->op_count] = op;
	return CHAIN_OPERANDS_MAX + program->op_count++;
}

chain_id chain_unary(struct chain_program *program, const struct node *node, chain_id x)
{
	return op_add(program, (struct chain_op){
				       .kind = CHAIN_UNARY,
				       .op = (uint8_t)node->op->code,
				       .left = (uint8_t)x,
				       .low = node->low,
				       .high = node->high,
			       });
}

chain_id chain_binary(struct chain_program *program, enum binary op, chain_id a, chain_id b)
{
	return op_add(program, (struct chain_op){
				       .kind = CHAIN_BINARY,
				       .op = (uint8_t)op,
				       .left = (uint8_t)a,
				       .right = (uint8_t)b,
			       });
}

void chain_output(struct chain_program *program, chain_id source, uint32_t value, int64_t offset,
		  int64_t width)
{
	bool is_taken = source >= CHAIN_OPERANDS_MAX &&
			program->ops[source - CHAIN_OPERANDS_MAX].output != CHAIN_NONE;

	if (source < CHAIN_OPERANDS_MAX || is_taken)
		source = op_add(program, (struct chain_op){.kind = CHAIN_COPY,
							   .left = (uint8_t)source});
	if (program->output_count == CHAIN_OUTPUTS_MAX || program->overflows) {
		program->overflows = true;
		return;
	}
	program->ops[source - CHAIN_OPERANDS_MAX].output = (uint8_t)program->output_count;
	program->outputs[program->output_count++] = (struct chain_target){
		.source = source,
		.value = value,
		.offset = offset,
		.width = width,
	};
}

/* --- registers --- */

static bool op_reads(const struct chain_op *op, chain_id id)
{
	return op->left == id || (op->kind == CHAIN_BINARY && op->right == id);
}

/* An id becomes the place that holds it: operands are their own. */
static uint8_t place_of(const uint8_t registers[CHAIN_OPS_MAX], chain_id id)
{
	return id < CHAIN_OPERANDS_MAX ? (uint8_t)id
				       : (uint8_t)(CHAIN_OPERANDS_MAX +
						   registers[id - CHAIN_OPERANDS_MAX]);
}

/* A register is free again in the operation that reads it last. */
static bool registers_assign(struct chain_program *program)
{
	uint8_t registers[CHAIN_OPS_MAX];
	uint32_t last[CHAIN_OPS_MAX];
	uint32_t used = 0;

	for (uint32_t index = 0; index < program->op_count; index++) {
		last[index] = NEVER;
		for (uint32_t reader = index + 1; reader < program->op_count; reader++) {
			if (op_reads(&program->ops[reader], CHAIN_OPERANDS_MAX + index))
				last[index] = reader;
		}
	}
	for (uint32_t index = 0; index < program->op_count; index++) {
		struct chain_op *op = &program->ops[index];
		uint32_t free_register = 0;

		for (uint32_t earlier = 0; earlier < index; earlier++) {
			if (last[earlier] == index)
				used &= ~(1U << registers[earlier]);
		}
		op->left = place_of(registers, op->left);
		op->right = op->kind == CHAIN_BINARY ? place_of(registers, op->right) : 0;
		if (last[index] == NEVER)
			continue;
		while (used & (1U << free_register))
			free_register++;
		if (free_register >= CHAIN_REGISTERS_MAX)
			return false;
		used |= 1U << free_register;
		registers[index] = (uint8_t)free_register;
		op->to = (uint8_t)free_register;
	}
	return true;
}

/* --- strides --- */

struct chain_walk {
	uint32_t rank;
	uint32_t place_count;
	struct poly dims[KERNEL_RANK_MAX];
	struct poly strides[CHAIN_PLACES_MAX][KERNEL_RANK_MAX];
};

/* Columns are walked by 1 or not at all, also where there is but one, which may be a row's. */
static void columns_normalize(const struct chain_program *program, struct poly strides[])
{
	uint32_t last = program->rank - 1;

	if (program->rank > 0 && dim_is(program->shape[last], 1))
		strides[last] = poly_constant(1);
}

/* An output is as wide as the program's rows, or a part of wider ones. */
static bool output_strides(const struct chain_program *program, const struct graph *graph,
			   const struct chain_target *output, struct poly strides[])
{
	const struct value *value = graph_value(graph, output->value);
	struct poly stride = poly_constant(1);

	for (uint32_t axis = program->rank; axis-- > 0;) {
		if (output->width == 0) {
			strides[axis] = value_stride(value, axis);
			continue;
		}
		strides[axis] = stride;
		stride = axis + 1 == program->rank
				 ? poly_constant(output->width)
				 : poly_multiply(stride, poly_dim(program->shape[axis]));
	}
	columns_normalize(program, strides);
	return output->width > 0 || value->part_of != GRAPH_NONE;
}

static bool axes_merge(const struct chain_walk *walk, uint32_t outer, uint32_t inner)
{
	for (uint32_t place = 0; place < walk->place_count; place++) {
		struct poly whole = poly_multiply(walk->strides[place][inner], walk->dims[inner]);

		if (!poly_equal(&whole, &walk->strides[place][outer]))
			return false;
	}
	return true;
}

/* As walk_collapse, with many places; the columns of an output that is a part stay an axis. */
static void walk_merge(struct chain_walk *walk, bool keeps_columns)
{
	uint32_t rank = 0;

	for (uint32_t axis = 0; axis < walk->rank; axis++) {
		if (poly_is(&walk->dims[axis], 1) && !(keeps_columns && axis + 1 == walk->rank))
			continue;
		walk->dims[rank] = walk->dims[axis];
		for (uint32_t place = 0; place < walk->place_count; place++)
			walk->strides[place][rank] = walk->strides[place][axis];
		if (rank == 0 || !axes_merge(walk, rank - 1, rank)) {
			rank++;
			continue;
		}
		walk->dims[rank - 1] = poly_multiply(walk->dims[rank - 1], walk->dims[rank]);
		for (uint32_t place = 0; place < walk->place_count; place++)
			walk->strides[place][rank - 1] = walk->strides[place][rank];
	}
	walk->rank = rank;
}

static bool strides_assign(const struct chain_program *program, const struct graph *graph,
			   struct chain_strides *ret_strides)
{
	struct chain_walk walk = {.rank = program->rank};
	bool keeps_columns = false;
	uint32_t lead;

	for (uint32_t axis = 0; axis < program->rank; axis++)
		walk.dims[axis] = poly_dim(program->shape[axis]);
	for (uint32_t operand = 0; operand < program->operand_count; operand++) {
		const struct value *value = graph_value(graph, program->operands[operand]);

		walk_broadcast(value, program->rank, program->shape,
			       walk.strides[walk.place_count]);
		columns_normalize(program, walk.strides[walk.place_count++]);
		keeps_columns = keeps_columns || value->part_of != GRAPH_NONE;
	}
	for (uint32_t output = 0; output < program->output_count; output++) {
		bool is_part = output_strides(program, graph, &program->outputs[output],
					      walk.strides[walk.place_count++]);

		keeps_columns = keeps_columns || is_part;
	}
	walk_merge(&walk, keeps_columns);
	if (walk.rank > CHAIN_RANK)
		return false;
	lead = CHAIN_RANK - walk.rank;
	for (uint32_t axis = 0; axis < CHAIN_RANK; axis++) {
		bool is_walked = axis >= lead;

		ret_strides->dims[axis] = is_walked ? walk.dims[axis - lead] : poly_constant(1);
		for (uint32_t place = 0; place < walk.place_count; place++)
			ret_strides->places[place][axis] =
				is_walked ? walk.strides[place][axis - lead] : poly_constant(0);
	}
	for (uint32_t place = 0; walk.rank == 0 && place < walk.place_count; place++)
		ret_strides->places[place][CHAIN_RANK - 1] = poly_constant(1);
	return true;
}

bool chain_program_close(struct chain_program *program, const struct graph *graph)
{
	struct chain_strides strides;

	return !program->overflows && program->output_count > 0 && registers_assign(program) &&
	       strides_assign(program, graph, &strides);
}

/* Then no axes have to merge. */
bool chain_takes_parts(const struct node *node)
{
	const struct chain_program *program = node->fused;

	return program->rank <= CHAIN_RANK;
}

bool chain_writes_part(const struct node *node, uint32_t output)
{
	const struct chain_program *program = node->fused;

	for (uint32_t index = 0; index < program->output_count; index++) {
		if (program->outputs[index].value == node->outputs[output] &&
		    program->outputs[index].width > 0)
			return false;
	}
	return chain_takes_parts(node);
}

/* --- lowering --- */

#define PLACE_FIELD(list, index, member)                                                           \
	((uint32_t)(offsetof(struct chain_args, list) + (index) * sizeof(struct chain_place) +     \
		    offsetof(struct chain_place, member)))

static int lower_strides(struct lowering *lowering, struct step *step, uint32_t field,
			 const struct poly strides[CHAIN_RANK])
{
	for (uint32_t axis = 0; axis < CHAIN_RANK; axis++) {
		int r;

		r = step_size(lowering, step, field + axis * (uint32_t)sizeof(int64_t),
			      strides[axis]);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

int lower_chain(struct lowering *lowering, const struct node *node)
{
	const struct chain_program *program = node->fused;
	struct step *step = step_new_sized(lowering, KERNEL_CHAIN, sizeof(struct chain_args));
	struct chain_args *args = step ? (void *)step->args : NULL;
	struct chain_strides strides;
	int r;

	if (!strides_assign(program, lowering->graph, &strides))
		return node_refuse(lowering->graph, node, -EOPNOTSUPP,
				   "its operands have more than %d axes", CHAIN_RANK);

	for (uint32_t index = 0; index < program->operand_count; index++) {
		r = step_read_strided(lowering, step, PLACE_FIELD(operands, index, data),
			      program->operands[index], poly_constant(0));
		if (r < 0)
			return err_trace(r);
		r = lower_strides(lowering, step, PLACE_FIELD(operands, index, strides),
				  strides.places[index]);
		if (r < 0)
			return err_trace(r);
	}
	for (uint32_t index = 0; index < program->output_count; index++) {
		const struct chain_target *output = &program->outputs[index];

		r = step_write_strided(lowering, step, PLACE_FIELD(outputs, index, data), output->value,
			       poly_constant(output->offset));
		if (r < 0)
			return err_trace(r);
		r = lower_strides(lowering, step, PLACE_FIELD(outputs, index, strides),
				  strides.places[program->operand_count + index]);
		if (r < 0)
			return err_trace(r);
	}
	r = lower_strides(lowering, step, (uint32_t)offsetof(struct chain_args, dims),
			  strides.dims);
	if (r < 0)
		return err_trace(r);
	args->operand_count = program->operand_count;
	args->output_count = program->output_count;
	args->op_count = program->op_count;
	memcpy(args->ops, program->ops, sizeof(args->ops));
	return 0;
}

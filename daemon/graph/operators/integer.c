/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/operators/integer.c - products of integers: MatMulInteger, with
 * DynamicQuantizeLinear
 */
#include <errno.h>

#include "graph/lower.h"
#include "graph/ops.h"

enum {
	INPUT_A,
	INPUT_B,
	INPUT_A_ZERO,
	INPUT_B_ZERO,
};

static bool is_byte(enum dtype dtype)
{
	return dtype == DTYPE_U8 || dtype == DTYPE_I8;
}

static bool is_single(const struct value *value)
{
	return value->rank == 0 || (value->rank == 1 && dim_is(value->dims[0], 1));
}

/* A zero point is one number, or one for each index of `axis` of its operand: along the operand's
 * other batches, too, where it has as many dimensions. */
static int zero_check(struct graph *graph, struct node *node, uint32_t input)
{
	const struct value *operand = node_input(graph, node, input - INPUT_A_ZERO);
	uint32_t from_end = input == INPUT_A_ZERO ? 2 : 1;
	const struct value *zero;
	bool fits;

	if (!node_has_input(node, input))
		return 0;
	zero = node_input(graph, node, input);
	if (zero->dtype != operand->dtype)
		return node_refuse(graph, node, -EINVAL, "'%s' is %s and its zero point '%s' %s",
				   operand->name, dtype_name((int32_t)operand->dtype), zero->name,
				   dtype_name((int32_t)zero->dtype));
	if (is_single(zero))
		return 0;
	fits = operand->rank >= 2 && (zero->rank == operand->rank || zero->rank == 1);
	/* A vector is one for each row of a matrix, not of several. */
	if (fits && zero->rank == 1)
		fits = (input == INPUT_B_ZERO || operand->rank == 2) &&
		       dim_equal(zero->dims[0], operand->dims[operand->rank - from_end]);
	for (uint32_t axis = 0; fits && zero->rank > 1 && axis < zero->rank; axis++) {
		bool is_summed = axis + (3 - from_end) == zero->rank;

		fits = is_summed ? dim_is(zero->dims[axis], 1) :
				   dim_equal(zero->dims[axis], operand->dims[axis]);
	}
	if (!fits)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "the zero point '%s' is neither one number nor one for each %s of "
				   "'%s'",
				   zero->name, input == INPUT_A_ZERO ? "row" : "column",
				   operand->name);
	return 0;
}

int infer_matmul_integer(struct graph *graph, struct node *node)
{
	int r;

	for (uint32_t input = INPUT_A; input <= INPUT_B; input++) {
		const struct value *value = node_input(graph, node, input);

		if (!is_byte(value->dtype))
			return node_refuse(graph, node, -EOPNOTSUPP,
					   "input %u ('%s') is %s; supported: uint8, int8", input,
					   value->name, dtype_name((int32_t)value->dtype));
	}
	for (uint32_t input = INPUT_A_ZERO; input <= INPUT_B_ZERO; input++) {
		r = zero_check(graph, node, input);
		if (r < 0)
			return err_trace(r);
	}
	return infer_product(graph, node, DTYPE_I32);
}

/* From one batch to the next along batch dimension `place` from the right, of a value whose last
 * two dimensions are none. */
static struct poly batch_stride(const struct value *value, uint32_t place)
{
	if (place + 2 >= value->rank || dim_is(value->dims[value->rank - 3 - place], 1))
		return poly_constant(0);
	return value_span(value, value->rank - 2 - place, value->rank);
}

static struct dim batch_dim(const struct value *value, uint32_t place)
{
	return place + 2 < value->rank ? value->dims[value->rank - 3 - place] : dim_constant(1);
}

static int sizes_batches(struct lowering *lowering, const struct node *node, struct step *step)
{
	const struct value *a = node_input(lowering->graph, node, INPUT_A);
	static const uint32_t strides[] = {
		FIELD(matmul_integer_args, a_batch), FIELD(matmul_integer_args, b_batch),
		FIELD(matmul_integer_args, a_zero_batch), FIELD(matmul_integer_args, b_zero_batch)};
	int r;

	r = step_size(lowering, step, FIELD(matmul_integer_args, m),
		      a->rank > 1 ? poly_dim(a->dims[a->rank - 2]) : poly_constant(1));
	if (r < 0)
		return err_trace(r);
	for (uint32_t place = 0; place < MATMUL_BATCH_RANK; place++) {
		uint32_t offset = (MATMUL_BATCH_RANK - 1 - place) * (uint32_t)sizeof(int64_t);
		struct dim dim = batch_dim(a, place);

		if (dim_is(dim, 1))
			dim = batch_dim(node_input(lowering->graph, node, INPUT_B), place);
		r = step_size(lowering, step, FIELD(matmul_integer_args, batch) + offset,
			      poly_dim(dim));
		for (uint32_t input = 0; r >= 0 && input < 4; input++) {
			if (node_has_input(node, input))
				r = step_size(lowering, step, strides[input] + offset,
					      batch_stride(node_input(lowering->graph, node, input),
							   place));
		}
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

/* All batches are rows of one matrix where b is weights. */
static int sizes_rows(struct lowering *lowering, const struct node *node, struct step *step)
{
	const struct value *a = node_input(lowering->graph, node, INPUT_A);
	int r;

	for (uint32_t place = 0; place < MATMUL_BATCH_RANK; place++)
		step->args->matmul_integer.batch[place] = 1;
	r = step_size(lowering, step, FIELD(matmul_integer_args, m),
		      value_span(a, 0, a->rank - 1));
	return r < 0 ? err_trace(r) : 0;
}

static int b_weights(struct lowering *lowering, const struct node *node, struct step *step)
{
	const struct value *b = node_input(lowering->graph, node, INPUT_B);
	struct weight weight = {
		.layout = WEIGHT_INTEGER,
		.value = node->inputs[INPUT_B],
		.k = b->dims[0].constant,
		.n = b->dims[1].constant,
		.row_stride = b->dims[1].constant,
		.is_against_signed = node_input(lowering->graph, node, INPUT_A)->dtype == DTYPE_I8,
	};

	step->args->matmul_integer.is_packed = true;
	return step_weight(lowering, step, FIELD(matmul_integer_args, b), weight);
}

static int reads(struct lowering *lowering, const struct node *node, struct step *step,
		 bool is_packed)
{
	static const uint32_t fields[] = {
		FIELD(matmul_integer_args, a), FIELD(matmul_integer_args, b),
		FIELD(matmul_integer_args, a_zero), FIELD(matmul_integer_args, b_zero)};
	int r;

	for (uint32_t input = 0; input < 4; input++) {
		if (!node_has_input(node, input))
			continue;
		if (input == INPUT_B && is_packed)
			r = b_weights(lowering, node, step);
		else
			r = step_read(lowering, step, fields[input], node->inputs[input],
				      poly_constant(0));
		if (r < 0)
			return err_trace(r);
	}
	return step_write(lowering, step, FIELD(matmul_integer_args, y), node->outputs[0],
			  poly_constant(0));
}

int lower_matmul_integer(struct lowering *lowering, const struct node *node)
{
	const struct graph *graph = lowering->graph;
	const struct value *a = node_input(graph, node, INPUT_A);
	const struct value *b = node_input(graph, node, INPUT_B);
	bool is_packed = b->kind == VALUE_CONSTANT && b->rank == 2 && !lowering->folding;
	struct step *step = step_new(lowering, KERNEL_MATMUL_INTEGER);
	struct matmul_integer_args *args;
	int r;

	if (!step)
		return err_trace(-ENOMEM);
	args = &step->args->matmul_integer;
	args->a_signed = a->dtype == DTYPE_I8;
	args->b_signed = b->dtype == DTYPE_I8;
	args->a_zero_step = node_has_input(node, INPUT_A_ZERO) &&
			    !is_single(node_input(graph, node, INPUT_A_ZERO));
	args->b_zero_step = node_has_input(node, INPUT_B_ZERO) &&
			    !is_single(node_input(graph, node, INPUT_B_ZERO));
	r = reads(lowering, node, step, is_packed);
	if (r >= 0)
		r = step_size(lowering, step, FIELD(matmul_integer_args, k),
			      poly_dim(a->dims[a->rank - 1]));
	if (r >= 0)
		r = step_size(lowering, step, FIELD(matmul_integer_args, n),
			      b->rank > 1 ? poly_dim(b->dims[b->rank - 1]) : poly_constant(1));
	if (r < 0)
		return err_trace(r);
	return is_packed ? sizes_rows(lowering, node, step) : sizes_batches(lowering, node, step);
}

int infer_quantize_dynamic(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);

	if (input->dtype != DTYPE_F32)
		return node_refuse(graph, node, -EOPNOTSUPP, "its input is %s; supported: float32",
				   dtype_name((int32_t)input->dtype));
	for (uint32_t output = 0; output < 3; output++) {
		if (!node_has_output(node, output))
			return node_refuse(graph, node, -EINVAL,
					   "output %u is left out; three are wanted", output);
	}
	infer_output(graph, node, 0, DTYPE_U8, input->rank, input->dims);
	infer_output(graph, node, 1, DTYPE_F32, 0, NULL);
	infer_output(graph, node, 2, DTYPE_U8, 0, NULL);
	return 0;
}

int lower_quantize_dynamic(struct lowering *lowering, const struct node *node)
{
	static const uint32_t fields[] = {FIELD(quantize_dynamic_args, y),
					  FIELD(quantize_dynamic_args, scale),
					  FIELD(quantize_dynamic_args, zero)};
	const struct value *input = node_input(lowering->graph, node, 0);
	struct step *step = step_new(lowering, KERNEL_QUANTIZE_DYNAMIC);
	int r;

	r = step_read(lowering, step, FIELD(quantize_dynamic_args, x), node->inputs[0],
		      poly_constant(0));
	for (uint32_t output = 0; r >= 0 && output < 3; output++)
		r = step_write(lowering, step, fields[output], node->outputs[output],
			       poly_constant(0));
	if (r < 0)
		return err_trace(r);
	return step_size(lowering, step, FIELD(quantize_dynamic_args, count),
			 value_elements(input));
}

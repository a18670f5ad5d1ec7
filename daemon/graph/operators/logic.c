/* SPDX-License-Identifier: MIT */
/* daemon/graph/operators/logic.c - comparisons and logic, and the choice between two values */
#include <errno.h>
#include <string.h>

#include "graph/lower.h"
#include "graph/ops.h"

static bool is_logic(int code)
{
	return code == COMPARE_AND || code == COMPARE_OR || code == COMPARE_XOR;
}

int infer_compare(struct graph *graph, struct node *node)
{
	struct value shape = *node_input(graph, node, 0);
	bool is_bool = shape.dtype == DTYPE_BOOL;
	int r;

	r = require_same_type(graph, node, 1);
	if (r < 0)
		return err_trace(r);
	if (is_logic(node->op->code) ? !is_bool : is_bool && node->op->code != COMPARE_EQUAL)
		return node_refuse(graph, node, -EINVAL, "its operands are %s",
				   dtype_name((int32_t)shape.dtype));
	r = infer_broadcast(graph, node, &shape, node_input(graph, node, 1));
	if (r < 0)
		return err_trace(r);
	infer_output(graph, node, 0, DTYPE_BOOL, shape.rank, shape.dims);
	return 0;
}

int infer_not(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);

	if (input->dtype != DTYPE_BOOL)
		return node_refuse(graph, node, -EINVAL, "its operand is %s",
				   dtype_name((int32_t)input->dtype));
	return infer_same(graph, node);
}

int infer_is_nan(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	int r;

	r = require_float(graph, node, 0);
	if (r < 0)
		return err_trace(r);
	infer_output(graph, node, 0, DTYPE_BOOL, input->rank, input->dims);
	return 0;
}

/* IsNaN compares its input with itself. */
int lower_compare(struct lowering *lowering, const struct node *node)
{
	static const uint32_t strides[] = {FIELD(compare_args, a_strides),
					   FIELD(compare_args, b_strides)};
	static const uint32_t fields[] = {FIELD(compare_args, a), FIELD(compare_args, b)};
	const struct value *output = node_output(lowering->graph, node, 0);
	struct walk walk = {.rank = output->rank, .set_count = 2};
	struct step *step = step_new(lowering, KERNEL_COMPARE);
	int r;

	for (uint32_t side = 0; side < 2; side++) {
		uint32_t operand = node->inputs[node->input_count == 1 ? 0 : side];

		r = step_read(lowering, step, fields[side], operand, poly_constant(0));
		if (r < 0)
			return err_trace(r);
		walk_broadcast(graph_value(lowering->graph, operand), output->rank, output->dims,
			       walk.strides[side]);
	}
	r = step_write(lowering, step, FIELD(compare_args, y), node->outputs[0], poly_constant(0));
	if (r < 0)
		return err_trace(r);
	for (uint32_t axis = 0; axis < output->rank; axis++)
		walk.dims[axis] = poly_dim(output->dims[axis]);
	walk_collapse(&walk);
	step->args->compare.rank = walk.rank;
	step->args->compare.op = (enum compare)node->op->code;
	step->args->compare.dtype = node_input(lowering->graph, node, 0)->dtype;
	return step_walk(lowering, step, &walk, FIELD(compare_args, dims), strides);
}

int infer_where(struct graph *graph, struct node *node)
{
	struct value shape = *node_input(graph, node, 0);
	const struct value *first = node_input(graph, node, 1);
	const struct value *second = node_input(graph, node, 2);
	int r;

	if (shape.dtype != DTYPE_BOOL)
		return node_refuse(graph, node, -EINVAL, "its condition is %s",
				   dtype_name((int32_t)shape.dtype));
	if (first->dtype != second->dtype)
		return node_refuse(graph, node, -EINVAL, "it mixes %s and %s",
				   dtype_name((int32_t)first->dtype),
				   dtype_name((int32_t)second->dtype));
	r = infer_broadcast(graph, node, &shape, first);
	if (r < 0)
		return err_trace(r);
	r = infer_broadcast(graph, node, &shape, second);
	if (r < 0)
		return err_trace(r);
	infer_output(graph, node, 0, first->dtype, shape.rank, shape.dims);
	return 0;
}

int lower_where(struct lowering *lowering, const struct node *node)
{
	static const uint32_t strides[] = {FIELD(where_args, condition_strides),
					   FIELD(where_args, a_strides),
					   FIELD(where_args, b_strides)};
	static const uint32_t fields[] = {FIELD(where_args, condition), FIELD(where_args, a),
					  FIELD(where_args, b)};
	const struct value *output = node_output(lowering->graph, node, 0);
	struct walk walk = {.rank = output->rank, .set_count = 3};
	struct step *step = step_new(lowering, KERNEL_WHERE);
	int r;

	for (uint32_t input = 0; input < 3; input++) {
		r = step_read(lowering, step, fields[input], node->inputs[input],
			      poly_constant(0));
		if (r < 0)
			return err_trace(r);
		walk_broadcast(node_input(lowering->graph, node, input), output->rank,
			       output->dims, walk.strides[input]);
	}
	r = step_write(lowering, step, FIELD(where_args, y), node->outputs[0], poly_constant(0));
	if (r < 0)
		return err_trace(r);
	for (uint32_t axis = 0; axis < output->rank; axis++)
		walk.dims[axis] = poly_dim(output->dims[axis]);
	walk_collapse(&walk);
	step->args->where.rank = walk.rank;
	step->args->where.element_bytes = dtype_bytes(output->dtype);
	return step_walk(lowering, step, &walk, FIELD(where_args, dims), strides);
}

/* --- NonZero --- */

/* Its output has as many columns as there are such elements, so they are counted at load. */
int infer_non_zero(struct graph *graph, struct node *node)
{
	struct value *input = node_input(graph, node, 0);
	struct dim dims[2] = {dim_constant(input->rank), dim_constant(0)};
	int64_t elements, count = 0;
	int64_t *places;
	uint64_t bytes;
	int r;

	if (input->kind != VALUE_CONSTANT)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "where '%s' is not 0 is computed at run time, and shapes that "
				   "depend on data do not load; supported: a constant input",
				   input->name);
	elements = constant_elements(input);
	bytes = (uint64_t)elements * (input->rank + 1) * sizeof(*places);
	if (!graph_has_room(graph, bytes) || bytes > GRAPH_FOLDING_BYTES_MAX - graph->folding_bytes)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "its %lld elements are more than are computed at load",
				   (long long)elements);
	graph->folding_bytes += bytes;
	for (int64_t index = 0; index < elements; index++) {
		float number;

		r = constant_float(graph, input, (uint64_t)index, &number);
		if (r < 0)
			return err_trace(r);
		count += number != 0;
	}
	bytes = (uint64_t)count * input->rank * sizeof(*places);
	graph->loaded_bytes += bytes;
	places = graph_allocate(graph, (size_t)count * input->rank, sizeof(*places));
	if (!places)
		return err_trace(-ENOMEM);
	dims[1] = dim_constant(count);
	for (int64_t index = 0, column = 0; index < elements; index++) {
		int64_t rest = index;
		float number;

		r = constant_float(graph, input, (uint64_t)index, &number);
		if (r < 0)
			return err_trace(r);
		if (number == 0)
			continue;
		for (uint32_t axis = input->rank; axis-- > 0; rest /= input->dims[axis].constant)
			places[axis * count + column] = rest % input->dims[axis].constant;
		column++;
	}
	infer_output(graph, node, 0, DTYPE_I64, 2, dims);
	if (node_has_output(node, 0)) {
		node_output(graph, node, 0)->kind = VALUE_CONSTANT;
		node_output(graph, node, 0)->data = places;
	}
	return 0;
}

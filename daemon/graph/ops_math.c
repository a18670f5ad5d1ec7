/* SPDX-License-Identifier: MIT */
/* daemon/graph/ops_math.c - elementwise operators: unary, clip, binary, cast */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "graph/lower.h"
#include "graph/ops.h"

int infer_unary(struct graph *graph, struct node *node)
{
	if (node->op->code != UNARY_RELU) {
		int r;

		r = require_f32(graph, node, 0);
		if (r < 0)
			return err_trace(r);
	}
	return infer_same(graph, node);
}

/* One bound of a Clip: a constant of one element, of the data's type. */
static int clip_bound(struct graph *graph, struct node *node, uint32_t input, const char *what,
		      float *bound, int64_t *bound_i64)
{
	struct value *value = node_input(graph, node, input);
	const void *data;
	int r;

	if (value->kind != VALUE_CONSTANT)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "%s ('%s') must be a constant; it is computed at run time", what,
				   value->name);
	if (constant_elements(value) != 1 || value->dtype != node_input(graph, node, 0)->dtype)
		return node_refuse(graph, node, -EINVAL,
				   "%s ('%s') must be one element of the input's type", what,
				   value->name);
	r = graph_constant_data(graph, value, &data);
	if (r < 0)
		return err_trace(r);
	if (value->dtype == DTYPE_F32)
		memcpy(bound, data, sizeof(*bound));
	else
		*bound_i64 = constant_integer(value, 0);
	return 0;
}

int infer_clip(struct graph *graph, struct node *node)
{
	int r;

	node->low = attribute_float(node, "min", -INFINITY);
	node->high = attribute_float(node, "max", INFINITY);
	node->low_i64 = INT64_MIN;
	node->high_i64 = INT64_MAX;
	if (node_has_input(node, 1)) {
		r = clip_bound(graph, node, 1, "min", &node->low, &node->low_i64);
		if (r < 0)
			return err_trace(r);
	}
	if (node_has_input(node, 2)) {
		r = clip_bound(graph, node, 2, "max", &node->high, &node->high_i64);
		if (r < 0)
			return err_trace(r);
	}
	return infer_same(graph, node);
}

int lower_unary(struct lowering *lowering, const struct node *node)
{
	const struct value *output = node_output(lowering->graph, node, 0);
	struct step *step = step_new(lowering, KERNEL_UNARY);
	int r;

	r = step_read(lowering, step, FIELD(unary_args, x), node->inputs[0], poly_constant(0));
	if (r < 0)
		return err_trace(r);
	r = step_write(lowering, step, FIELD(unary_args, y), node->outputs[0], poly_constant(0));
	if (r < 0)
		return err_trace(r);
	step->args->unary.op = (enum unary)node->op->code;
	step->args->unary.dtype = output->dtype;
	step->args->unary.low = node->low;
	step->args->unary.high = node->high;
	step->args->unary.low_i64 = node->low_i64;
	step->args->unary.high_i64 = node->high_i64;
	return step_size(lowering, step, FIELD(unary_args, count), value_elements(output));
}

int infer_variadic(struct graph *graph, struct node *node)
{
	struct value shape = *node_input(graph, node, 0);
	int r;

	for (uint32_t input = 1; input < node->input_count; input++) {
		const struct value *other = node_input(graph, node, input);

		if (other->dtype != shape.dtype && node->op->code != BINARY_POW)
			return node_refuse(graph, node, -EINVAL, "it mixes %s and %s",
					   dtype_name((int32_t)shape.dtype),
					   dtype_name((int32_t)other->dtype));
		r = infer_broadcast(graph, node, &shape, other);
		if (r < 0)
			return err_trace(r);
	}
	/* Max and Min of one input are that input. */
	if (node->input_count == 1)
		return infer_view(graph, node, shape.rank, shape.dims);
	infer_output(graph, node, 0, shape.dtype, shape.rank, shape.dims);
	return 0;
}

int infer_binary(struct graph *graph, struct node *node)
{
	return infer_variadic(graph, node);
}

/* x^2, the power that LayerNorm and factorisation machines write, is x * x. */
static bool is_square(const struct graph *graph, const struct node *node)
{
	const struct value *exponent = node_input(graph, node, 1);
	float power;

	if (node->op->code != BINARY_POW || exponent->kind != VALUE_CONSTANT || !exponent->data ||
	    exponent->dtype != DTYPE_F32 || constant_elements(exponent) != 1 ||
	    node_input(graph, node, 0)->dtype != DTYPE_F32)
		return false;
	memcpy(&power, exponent->data, sizeof(power));
	return power == 2.0f;
}

int lower_binary(struct lowering *lowering, const struct node *node)
{
	enum binary op = (enum binary)node->op->code;
	uint32_t y = node->outputs[0];
	int r;

	if (node->input_count == 1)
		return 0;
	if (is_square(lowering->graph, node) && !lowering->folding)
		return lower_binary_values(lowering, BINARY_MUL, node->inputs[0], node->inputs[0],
					   y);
	r = lower_binary_values(lowering, op, node->inputs[0], node->inputs[1], y);
	if (r < 0)
		return err_trace(r);
	for (uint32_t input = 2; input < node->input_count; input++) {
		r = lower_binary_values(lowering, op, y, node->inputs[input], y);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

/* A constant becomes a condition for If and Loop; bools that a run computes are not supported. */
static int cast_condition(struct graph *graph, struct node *node)
{
	struct value *input = node_input(graph, node, 0);
	const void *data;
	uint8_t *truth;
	int r;

	if (input->kind != VALUE_CONSTANT || constant_elements(input) != 1)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "a cast to bool; supported: float32, int32, int64, and bool where "
				   "it is one constant");
	r = graph_constant_data(graph, input, &data);
	if (r < 0)
		return err_trace(r);
	truth = graph_allocate(graph, 1, sizeof(*truth));
	if (!truth)
		return err_trace(-ENOMEM);
	for (uint32_t byte = 0; byte < dtype_bytes(input->dtype); byte++)
		*truth |= ((const uint8_t *)data)[byte] != 0;
	infer_output(graph, node, 0, DTYPE_BOOL, input->rank, input->dims);
	if (node_has_output(node, 0)) {
		node_output(graph, node, 0)->kind = VALUE_CONSTANT;
		node_output(graph, node, 0)->data = truth;
	}
	return 0;
}

int infer_cast(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	int64_t to = attribute_int(node, "to", 0);

	if (to == DTYPE_BOOL && input->dtype != DTYPE_BOOL && input->dtype != DTYPE_F32)
		return cast_condition(graph, node);
	if (input->dtype == DTYPE_BOOL && to != DTYPE_BOOL)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "a cast of bool; supported: float32, int32, int64");
	if (to != DTYPE_F32 && to != DTYPE_I32 && to != DTYPE_I64 && to != DTYPE_BOOL)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "a cast to %s; supported: float32, int32, int64",
				   dtype_name(to < 0 || to > INT32_MAX ? -1 : (int32_t)to));
	if (to == (int64_t)input->dtype)
		return infer_view(graph, node, input->rank, input->dims);
	infer_output(graph, node, 0, (enum dtype)to, input->rank, input->dims);
	return 0;
}

int lower_cast(struct lowering *lowering, const struct node *node)
{
	const struct value *input = node_input(lowering->graph, node, 0);
	const struct value *output = node_output(lowering->graph, node, 0);
	struct step *step;
	int r;

	if (output->view_of != GRAPH_NONE)
		return 0;
	step = step_new(lowering, KERNEL_CAST);
	r = step_read(lowering, step, FIELD(cast_args, x), node->inputs[0], poly_constant(0));
	if (r < 0)
		return err_trace(r);
	r = step_write(lowering, step, FIELD(cast_args, y), node->outputs[0], poly_constant(0));
	if (r < 0)
		return err_trace(r);
	step->args->cast.from = input->dtype;
	step->args->cast.to = output->dtype;
	return step_size(lowering, step, FIELD(cast_args, count), value_elements(output));
}

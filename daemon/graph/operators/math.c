/* SPDX-License-Identifier: MIT */
/* daemon/graph/operators/math.c - elementwise operators: unary, clip, binary, cast */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "graph/jagged.h"
#include "graph/lower.h"
#include "graph/ops.h"

/* Those that integers have, too. */
static bool is_for_integers(int code)
{
	return code == UNARY_RELU || code == UNARY_NEG || code == UNARY_ABS || code == UNARY_SIGN;
}

int infer_unary(struct graph *graph, struct node *node)
{
	if (!is_for_integers(node->op->code) || node_input(graph, node, 0)->dtype == DTYPE_BOOL) {
		int r;

		r = require_float(graph, node, 0);
		if (r < 0)
			return err_trace(r);
	}
	switch (node->op->code) {
	case UNARY_ELU:
		node->low = attribute_float(node, "alpha", 1.0f);
		break;
	case UNARY_LEAKY_RELU:
		node->low = attribute_float(node, "alpha", 0.01f);
		break;
	case UNARY_HARD_SIGMOID:
		node->low = attribute_float(node, "alpha", 0.2f);
		node->high = attribute_float(node, "beta", 0.5f);
		break;
	}
	return infer_same(graph, node);
}

static const struct op gelu_tanh = {.name = "GeluTanh",
				    .infer = infer_unary,
				    .lower = lower_unary,
				    .rows = ROWS_ELEMENTWISE,
				    .code = UNARY_GELU_TANH};

int infer_gelu(struct graph *graph, struct node *node)
{
	const struct onnx_attribute *approximate = attribute_find(node, "approximate");

	if (approximate && strcmp(approximate->s, "tanh") == 0)
		node->op = &gelu_tanh;
	else if (approximate && strcmp(approximate->s, "none") != 0)
		return node_refuse(graph, node, -EINVAL, "approximate is '%s'",
				   approximate->s);
	return infer_unary(graph, node);
}

int lower_unary_value(struct lowering *lowering, enum unary op, uint32_t x, uint32_t y)
{
	const struct value *output = graph_value(lowering->graph, y);
	struct step *step = step_new(lowering, KERNEL_UNARY);
	int r;

	r = step_read(lowering, step, FIELD(unary_args, x), x, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	r = step_write(lowering, step, FIELD(unary_args, y), y, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	step->args->unary.op = op;
	step->args->unary.dtype = output->dtype;
	return step_size(lowering, step, FIELD(unary_args, count), value_elements(output));
}

/* x * hard_sigmoid(x) with 1/6 and 1/2 */
int lower_hard_swish(struct lowering *lowering, const struct node *node)
{
	const struct value *input = node_input(lowering->graph, node, 0);
	struct step *step;
	uint32_t gate;
	int r;

	r = lower_temporary(lowering, input->dtype, input->rank, input->dims, &gate);
	if (r < 0)
		return err_trace(r);
	r = lower_unary_value(lowering, UNARY_HARD_SIGMOID, node->inputs[0], gate);
	if (r < 0)
		return err_trace(r);
	step = lowering->steps[lowering->step_count - 1];
	step->args->unary.low = 1.0f / 6.0f;
	step->args->unary.high = 0.5f;
	return lower_binary_values(lowering, BINARY_MUL, node->inputs[0], gate, node->outputs[0]);
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
	if (dtype_is_float(value->dtype))
		return constant_float(graph, value, 0, bound);
	r = graph_constant_data(graph, value, &data);
	if (r < 0)
		return err_trace(r);
	*bound_i64 = constant_integer(value, 0);
	return 0;
}

int infer_clip(struct graph *graph, struct node *node)
{
	int r;

	if (node_input(graph, node, 0)->dtype == DTYPE_BOOL)
		return node_refuse(graph, node, -EINVAL, "its input is bool");
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
	struct step *step;
	int r;

	r = lower_unary_value(lowering, (enum unary)node->op->code, node->inputs[0],
			      node->outputs[0]);
	if (r < 0)
		return err_trace(r);
	step = lowering->steps[lowering->step_count - 1];
	step->args->unary.low = node->low;
	step->args->unary.high = node->high;
	step->args->unary.low_i64 = node->low_i64;
	step->args->unary.high_i64 = node->high_i64;
	return 0;
}

int infer_variadic(struct graph *graph, struct node *node)
{
	struct value shape = *node_input(graph, node, 0);
	int r;

	for (uint32_t input = 0; input < node->input_count; input++) {
		if (node_input(graph, node, input)->dtype == DTYPE_BOOL)
			return node_refuse(graph, node, -EINVAL, "its input '%s' is bool",
					   node_input(graph, node, input)->name);
	}
	if (node->op->lower == lower_mean) {
		r = require_float(graph, node, 0);
		if (r < 0)
			return err_trace(r);
	}
	for (uint32_t input = 1; input < node->input_count; input++) {
		const struct value *other = node_input(graph, node, input);

		if (other->dtype != shape.dtype && node->op->code != BINARY_POW)
			return node_refuse(graph, node, -EINVAL, "it mixes %s and %s",
					   dtype_name((int32_t)shape.dtype),
					   dtype_name((int32_t)other->dtype));
		r = jagged_unite_shapes(graph, &shape, other);
		if (r < 0)
			return err_trace(r);
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
	if (node->op->code == BINARY_PRELU) {
		int r;

		r = require_float(graph, node, 0);
		if (r < 0)
			return err_trace(r);
	}
	return infer_variadic(graph, node);
}

static const struct op mod_c = {.name = "Mod",
				.infer = infer_mod,
				.lower = lower_binary,
				.rows = ROWS_ELEMENTWISE,
				.code = BINARY_FMOD};

int infer_mod(struct graph *graph, struct node *node)
{
	bool is_c = attribute_int(node, "fmod", 0) != 0;

	if (!is_c && dtype_is_float(node_input(graph, node, 0)->dtype))
		return node_refuse(graph, node, -EINVAL, "fmod must be 1 between floats");
	if (is_c)
		node->op = &mod_c;
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

/* The sum, divided by how many there are. */
int lower_mean(struct lowering *lowering, const struct node *node)
{
	float *data;
	uint32_t scalar;
	int r;

	if (node->input_count == 1)
		return 0;
	r = lower_binary(lowering, node);
	if (r < 0)
		return err_trace(r);
	data = graph_allocate(lowering->graph, 1, sizeof(*data));
	if (!data)
		return err_trace(-ENOMEM);
	*data = (float)node->input_count;
	r = graph_constant_new(lowering->graph, DTYPE_F32, 0, NULL, data, &scalar);
	if (r < 0)
		return err_trace(r);
	return lower_binary_values(lowering, BINARY_DIV, node->outputs[0], scalar,
				   node->outputs[0]);
}

int infer_cast(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	int64_t to = attribute_int(node, "to", 0);

	if (node->op->input_min == 2) /* CastLike */
		to = node_input(graph, node, 1)->dtype;
	if (to < 0 || to > INT32_MAX || !dtype_is_supported((int32_t)to))
		return node_refuse(graph, node, -EOPNOTSUPP, "a cast to %s; supported: " GRAPH_DTYPES,
				   dtype_name(to < 0 || to > INT32_MAX ? -1 : (int32_t)to));
	if (to == (int64_t)input->dtype)
		return infer_view(graph, node, input->rank, input->dims);
	infer_output(graph, node, 0, (enum dtype)to, input->rank, input->dims);
	return 0;
}

int lower_cast_value(struct lowering *lowering, uint32_t x, uint32_t y)
{
	const struct value *input = graph_value(lowering->graph, x);
	const struct value *output = graph_value(lowering->graph, y);
	struct step *step = step_new(lowering, KERNEL_CAST);
	int r;

	r = step_read(lowering, step, FIELD(cast_args, x), x, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	r = step_write(lowering, step, FIELD(cast_args, y), y, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	step->args->cast.from = input->dtype;
	step->args->cast.to = output->dtype;
	return step_size(lowering, step, FIELD(cast_args, count), value_elements(output));
}

int lower_cast(struct lowering *lowering, const struct node *node)
{
	if (node_output(lowering->graph, node, 0)->view_of != GRAPH_NONE)
		return 0;
	return lower_cast_value(lowering, node->inputs[0], node->outputs[0]);
}

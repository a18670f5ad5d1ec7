/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/operators/reduce.c - operators along axes: sums, means, softmax, layer normalization
 */
#include <errno.h>

#include "graph/lower.h"
#include "graph/ops.h"

int infer_reduce(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	bool keep = attribute_int(node, "keepdims", 1) != 0;
	struct dim dims[KERNEL_RANK_MAX];
	uint32_t rank = 0;
	bool given;
	int r;

	r = infer_axes(graph, node, 1, input->rank, &given);
	if (r < 0)
		return err_trace(r);
	if (!given && attribute_int(node, "noop_with_empty_axes", 0) == 0)
		node->axes = (1U << input->rank) - 1;
	for (uint32_t axis = 0; axis < input->rank; axis++) {
		if (!(node->axes & (1U << axis)))
			dims[rank++] = input->dims[axis];
		else if (keep)
			dims[rank++] = dim_constant(1);
	}
	if (input->dtype == DTYPE_BOOL)
		return node_refuse(graph, node, -EOPNOTSUPP, "its input '%s' is bool",
				   input->name);
	if (node->op->lower != lower_reduce) {
		if (node->op->code != UNARY_ABS && node->op->code != UNARY_RELU) {
			r = require_float(graph, node, 0);
			if (r < 0)
				return err_trace(r);
		}
	} else if (node->axes == 0) {
		return infer_view(graph, node, rank, dims);
	}
	infer_output(graph, node, 0, input->dtype, rank, dims);
	return 0;
}

/* y = op over node->axes of x, a value of the shape of input 0. */
static int reduce_value(struct lowering *lowering, const struct node *node, enum reduce op,
			uint32_t x, uint32_t y)
{
	static const uint32_t kept_strides[] = {FIELD(reduce_args, kept_strides)};
	static const uint32_t reduced_strides[] = {FIELD(reduce_args, reduced_strides)};
	const struct value *input = graph_value(lowering->graph, x);
	struct walk kept = {.set_count = 1};
	struct walk reduced = {.set_count = 1};
	struct step *step;
	int r;

	for (uint32_t axis = 0; axis < input->rank; axis++) {
		struct walk *walk = node->axes & (1U << axis) ? &reduced : &kept;

		walk->dims[walk->rank] = poly_dim(input->dims[axis]);
		walk->strides[0][walk->rank++] = value_stride(input, axis);
	}
	walk_collapse(&kept);
	walk_collapse(&reduced);
	step = step_new(lowering, KERNEL_REDUCE);
	r = step_read_strided(lowering, step, FIELD(reduce_args, x), x, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	r = step_write(lowering, step, FIELD(reduce_args, y), y, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	step->args->reduce.kept_rank = kept.rank;
	step->args->reduce.reduced_rank = reduced.rank;
	step->args->reduce.op = op;
	step->args->reduce.dtype = input->dtype;
	r = step_walk(lowering, step, &kept, FIELD(reduce_args, kept), kept_strides);
	if (r < 0)
		return err_trace(r);
	return step_walk(lowering, step, &reduced, FIELD(reduce_args, reduced), reduced_strides);
}

int lower_reduce(struct lowering *lowering, const struct node *node)
{
	if (node_output(lowering->graph, node, 0)->view_of != GRAPH_NONE)
		return 0;
	return reduce_value(lowering, node, (enum reduce)node->op->code, node->inputs[0],
			    node->outputs[0]);
}

/* A new value of the shape and type of `like`. */
static int temporary_like(struct lowering *lowering, uint32_t like, uint32_t *ret_value)
{
	const struct value *value = graph_value(lowering->graph, like);

	return lower_temporary(lowering, value->dtype, value->rank, value->dims, ret_value);
}

/* L1: sum |x|; L2: sqrt(sum x^2); the sum of squares; the logarithm of a sum. */
int lower_norm(struct lowering *lowering, const struct node *node)
{
	enum unary op = (enum unary)node->op->code;
	bool is_square = op == UNARY_SQRT || op == UNARY_RELU;
	bool has_root = op == UNARY_SQRT || op == UNARY_LOG;
	uint32_t x = node->inputs[0];
	uint32_t sum = node->outputs[0];
	int r = 0;

	if (op != UNARY_LOG) {
		r = temporary_like(lowering, node->inputs[0], &x);
		if (r < 0)
			return err_trace(r);
	}
	if (is_square)
		r = lower_binary_values(lowering, BINARY_MUL, node->inputs[0], node->inputs[0], x);
	else if (op == UNARY_ABS)
		r = lower_unary_value(lowering, UNARY_ABS, node->inputs[0], x);
	if (r < 0)
		return err_trace(r);
	if (has_root) {
		r = temporary_like(lowering, node->outputs[0], &sum);
		if (r < 0)
			return err_trace(r);
	}
	r = reduce_value(lowering, node, REDUCE_SUM, x, sum);
	if (r < 0)
		return err_trace(r);
	return has_root ? lower_unary_value(lowering, op, sum, node->outputs[0]) : 0;
}

/* max + log(sum exp(x - max)) */
int lower_log_sum_exp(struct lowering *lowering, const struct node *node)
{
	const struct value *input = node_input(lowering->graph, node, 0);
	struct dim dims[KERNEL_RANK_MAX];
	uint32_t top, wide_top, apart, sum;
	int r;

	for (uint32_t axis = 0; axis < input->rank; axis++)
		dims[axis] = node->axes & (1U << axis) ? dim_constant(1) : input->dims[axis];
	r = lower_temporary(lowering, input->dtype, input->rank, dims, &wide_top);
	if (r < 0)
		return err_trace(r);
	r = temporary_like(lowering, node->outputs[0], &top);
	if (r < 0)
		return err_trace(r);
	graph_value(lowering->graph, top)->view_of = wide_top;
	r = temporary_like(lowering, node->inputs[0], &apart);
	if (r < 0)
		return err_trace(r);
	r = temporary_like(lowering, node->outputs[0], &sum);
	if (r < 0)
		return err_trace(r);
	r = reduce_value(lowering, node, REDUCE_MAX, node->inputs[0], wide_top);
	if (r < 0)
		return err_trace(r);
	r = lower_binary_values(lowering, BINARY_SUB, node->inputs[0], wide_top, apart);
	if (r < 0)
		return err_trace(r);
	r = lower_unary_value(lowering, UNARY_EXP, apart, apart);
	if (r < 0)
		return err_trace(r);
	r = reduce_value(lowering, node, REDUCE_SUM, apart, sum);
	if (r < 0)
		return err_trace(r);
	r = lower_unary_value(lowering, UNARY_LOG, sum, sum);
	if (r < 0)
		return err_trace(r);
	return lower_binary_values(lowering, BINARY_ADD, sum, top, node->outputs[0]);
}

int infer_softmax(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	int64_t otherwise = graph->model->opset < 13 ? 1 : -1;
	uint32_t axis;
	int r;

	r = require_float(graph, node, 0);
	if (r < 0)
		return err_trace(r);
	r = axis_normalize(graph, node, attribute_int(node, "axis", otherwise), input->rank, &axis);
	if (r < 0)
		return err_trace(r);
	node->axis = axis;
	return infer_same(graph, node);
}

int lower_softmax(struct lowering *lowering, const struct node *node)
{
	const struct value *input = node_input(lowering->graph, node, 0);
	uint32_t axis = (uint32_t)node->axis;
	/* Before opset 13 the axis and what follows it are one axis. */
	uint32_t last = lowering->graph->model->opset < 13 ? input->rank : axis + 1;
	struct step *step = step_new(lowering, KERNEL_SOFTMAX);
	int r;

	r = step_read(lowering, step, FIELD(softmax_args, x), node->inputs[0], poly_constant(0));
	if (r < 0)
		return err_trace(r);
	r = step_write(lowering, step, FIELD(softmax_args, y), node->outputs[0], poly_constant(0));
	if (r < 0)
		return err_trace(r);
	r = step_size(lowering, step, FIELD(softmax_args, outer), value_span(input, 0, axis));
	if (r < 0)
		return err_trace(r);
	r = step_size(lowering, step, FIELD(softmax_args, axis), value_span(input, axis, last));
	if (r < 0)
		return err_trace(r);
	step->args->softmax.logarithm = node->op->code != 0;
	return step_size(lowering, step, FIELD(softmax_args, inner),
			 value_span(input, last, input->rank));
}

/* Scale and bias have the normalized dims exactly; ones in front are fine. */
static int layernorm_operand(struct graph *graph, struct node *node, uint32_t index, uint32_t axis)
{
	const struct value *input = node_input(graph, node, 0);
	const struct value *operand = node_input(graph, node, index);
	uint32_t cols_rank = input->rank - axis;
	bool fits = operand->rank >= cols_rank && operand->rank <= input->rank;

	for (uint32_t place = 1; fits && place <= operand->rank; place++) {
		struct dim dim = operand->dims[operand->rank - place];

		fits = place <= cols_rank ? dim_equal(dim, input->dims[input->rank - place])
					  : dim_is(dim, 1);
	}
	if (fits)
		return 0;
	return node_refuse(graph, node, -EOPNOTSUPP,
			   "input '%s' must have the shape of the normalized axes; broadcasting it "
			   "is not supported",
			   operand->name);
}

int infer_layernorm(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	struct dim dims[KERNEL_RANK_MAX];
	uint32_t axis;
	int r;

	for (uint32_t index = 0; index < node->input_count; index++) {
		r = require_float(graph, node, index);
		if (r < 0)
			return err_trace(r);
		r = require_same_type(graph, node, index);
		if (r < 0)
			return err_trace(r);
	}
	r = axis_normalize(graph, node, attribute_int(node, "axis", -1), input->rank, &axis);
	if (r < 0)
		return err_trace(r);
	if (attribute_int(node, "stash_type", DTYPE_F32) != DTYPE_F32)
		return node_refuse(graph, node, -EOPNOTSUPP, "stash_type must be 1 (float32)");
	for (uint32_t index = 1; index < 3; index++) {
		r = node_has_input(node, index) ? layernorm_operand(graph, node, index, axis) : 0;
		if (r < 0)
			return err_trace(r);
	}
	node->axis = axis;
	node->epsilon = attribute_float(node, "epsilon", 1e-5f);
	for (uint32_t index = 0; index < input->rank; index++)
		dims[index] = index < axis ? input->dims[index] : dim_constant(1);
	infer_output(graph, node, 0, input->dtype, input->rank, input->dims);
	infer_output(graph, node, 1, DTYPE_F32, input->rank, dims);
	infer_output(graph, node, 2, DTYPE_F32, input->rank, dims);
	return 0;
}

int lower_layernorm(struct lowering *lowering, const struct node *node)
{
	static const uint32_t reads[] = {FIELD(layernorm_args, x), FIELD(layernorm_args, scale),
					 FIELD(layernorm_args, bias)};
	static const uint32_t writes[] = {FIELD(layernorm_args, y), FIELD(layernorm_args, mean),
					  FIELD(layernorm_args, inv_std)};
	const struct value *input = node_input(lowering->graph, node, 0);
	uint32_t axis = (uint32_t)node->axis;
	struct step *step = step_new(lowering, KERNEL_LAYERNORM);
	uint32_t unused;
	int r;

	for (uint32_t index = 0; index < 3; index++) {
		if (!node_has_input(node, index))
			continue;
		r = step_read(lowering, step, reads[index], node->inputs[index], poly_constant(0));
		if (r < 0)
			return err_trace(r);
	}
	for (uint32_t index = 0; index < 3; index++) {
		/* y is always computed; it needs a place also when nobody reads it. */
		if (index == 0 && !node_has_output(node, 0)) {
			r = lower_temporary(lowering, DTYPE_F32, input->rank, input->dims, &unused);
			if (r < 0)
				return err_trace(r);
			r = step_write(lowering, step, writes[0], unused, poly_constant(0));
		} else if (node_has_output(node, index) &&
			   (index == 0 || lowering->folding ||
			    lowering->needed[node->outputs[index]])) {
			r = step_write(lowering, step, writes[index], node->outputs[index],
				       poly_constant(0));
		}
		if (r < 0)
			return err_trace(r);
	}
	if (!step)
		return err_trace(-ENOMEM);
	step->args->layernorm.epsilon = node->epsilon;
	step->args->layernorm.activation = node->activation;
	step->args->layernorm.low = node->low;
	step->args->layernorm.high = node->high;
	r = step_size(lowering, step, FIELD(layernorm_args, rows), value_span(input, 0, axis));
	if (r < 0)
		return err_trace(r);
	return step_size(lowering, step, FIELD(layernorm_args, cols),
			 value_span(input, axis, input->rank));
}

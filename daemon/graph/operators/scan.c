/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/operators/scan.c - operators that walk along one axis: ArgMax, ArgMin, CumSum, TopK
 */
#include <errno.h>

#include "graph/lower.h"
#include "graph/ops.h"

/* outer, axis and inner of input 0, which the args of all these kernels have. */
struct scan_fields {
	uint32_t x, y, outer, axis, inner;
};

static int axis_sizes(struct lowering *lowering, const struct node *node, struct step *step,
		      const struct scan_fields *fields, uint32_t y)
{
	const struct value *input = node_input(lowering->graph, node, 0);
	uint32_t axis = (uint32_t)node->axis;
	int r;

	r = step_read(lowering, step, fields->x, node->inputs[0], poly_constant(0));
	if (r < 0)
		return err_trace(r);
	r = step_write(lowering, step, fields->y, y, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	r = step_size(lowering, step, fields->outer, value_span(input, 0, axis));
	if (r < 0)
		return err_trace(r);
	r = step_size(lowering, step, fields->axis, poly_dim(input->dims[axis]));
	if (r < 0)
		return err_trace(r);
	return step_size(lowering, step, fields->inner,
			 value_span(input, axis + 1, input->rank));
}

static int refuse_bool(const struct graph *graph, const struct node *node)
{
	if (node_input(graph, node, 0)->dtype != DTYPE_BOOL)
		return 0;
	return node_refuse(graph, node, -EINVAL, "its input is bool");
}

int infer_arg(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	bool keep = attribute_int(node, "keepdims", 1) != 0;
	struct dim dims[KERNEL_RANK_MAX];
	struct dim room;
	uint32_t rank = 0;
	uint32_t axis;
	int r;

	r = refuse_bool(graph, node);
	if (r < 0)
		return err_trace(r);
	r = axis_normalize(graph, node, attribute_int(node, "axis", 0), input->rank, &axis);
	if (r < 0)
		return err_trace(r);
	if (!dim_add(input->dims[axis], dim_constant(-1), &room))
		return node_refuse(graph, node, -EOPNOTSUPP, "its axis is too large");
	r = graph_require(graph, node, room);
	if (r < 0)
		return err_trace(r);
	node->axis = axis;
	for (uint32_t index = 0; index < input->rank; index++) {
		if (index != axis)
			dims[rank++] = input->dims[index];
		else if (keep)
			dims[rank++] = dim_constant(1);
	}
	infer_output(graph, node, 0, DTYPE_I64, rank, dims);
	return 0;
}

int lower_arg(struct lowering *lowering, const struct node *node)
{
	static const struct scan_fields fields = {FIELD(arg_args, x), FIELD(arg_args, y),
						  FIELD(arg_args, outer), FIELD(arg_args, axis),
						  FIELD(arg_args, inner)};
	struct step *step = step_new(lowering, KERNEL_ARG);

	if (!step)
		return err_trace(-ENOMEM);
	step->args->arg.is_smallest = node->op->code != 0;
	step->args->arg.takes_last = attribute_int(node, "select_last_index", 0) != 0;
	step->args->arg.dtype = node_input(lowering->graph, node, 0)->dtype;
	return axis_sizes(lowering, node, step, &fields, node->outputs[0]);
}

int infer_scan(struct graph *graph, struct node *node)
{
	const struct dim *known;
	uint32_t count;
	uint32_t axis;
	int r;

	r = refuse_bool(graph, node);
	if (r < 0)
		return err_trace(r);
	r = infer_integers(graph, node, 1, "axis", &known, &count);
	if (r < 0)
		return err_trace(r);
	if (count != 1 || known[0].symbol >= 0)
		return node_refuse(graph, node, -EINVAL, "axis is not one constant");
	r = axis_normalize(graph, node, known[0].constant, node_input(graph, node, 0)->rank, &axis);
	if (r < 0)
		return err_trace(r);
	node->axis = axis;
	return infer_same(graph, node);
}

int lower_scan(struct lowering *lowering, const struct node *node)
{
	static const struct scan_fields fields = {FIELD(scan_args, x), FIELD(scan_args, y),
						  FIELD(scan_args, outer), FIELD(scan_args, axis),
						  FIELD(scan_args, inner)};
	struct step *step = step_new(lowering, KERNEL_SCAN);

	if (!step)
		return err_trace(-ENOMEM);
	step->args->scan.is_exclusive = attribute_int(node, "exclusive", 0) != 0;
	step->args->scan.is_reverse = attribute_int(node, "reverse", 0) != 0;
	step->args->scan.dtype = node_input(lowering->graph, node, 0)->dtype;
	return axis_sizes(lowering, node, step, &fields, node->outputs[0]);
}

/* An attribute before opset 10, an input since. */
static int topk_count(struct graph *graph, struct node *node, struct dim *ret_k)
{
	const struct dim *known;
	uint32_t count;
	int r;

	if (!node_has_input(node, 1)) {
		if (!attribute_find(node, "k"))
			return node_refuse(graph, node, -EINVAL, "k is missing");
		*ret_k = dim_constant(attribute_int(node, "k", 0));
		return 0;
	}
	r = infer_integers(graph, node, 1, "k", &known, &count);
	if (r < 0)
		return err_trace(r);
	if (count != 1)
		return node_refuse(graph, node, -EINVAL, "k has %u elements, not one", count);
	*ret_k = known[0];
	return 0;
}

int infer_topk(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	struct dim dims[KERNEL_RANK_MAX];
	char left[SHAPE_TEXT_BYTES];
	char right[SHAPE_TEXT_BYTES];
	struct dim room;
	struct dim k;
	uint32_t axis;
	int r;

	r = refuse_bool(graph, node);
	if (r < 0)
		return err_trace(r);
	r = axis_normalize(graph, node, attribute_int(node, "axis", -1), input->rank, &axis);
	if (r < 0)
		return err_trace(r);
	node->axis = axis;
	r = topk_count(graph, node, &k);
	if (r < 0)
		return err_trace(r);
	if (!dim_subtract(input->dims[axis], k, &room) || (k.symbol < 0 && k.constant < 0) ||
	    (room.symbol < 0 && room.constant < 0))
		return node_refuse(graph, node, -EINVAL,
				   "k, %s, is not between 0 and what axis %u of '%s' has, %s, in "
				   "every batch",
				   dim_text(graph, k, left), axis, input->name,
				   dim_text(graph, input->dims[axis], right));
	r = graph_require(graph, node, k);
	if (r < 0)
		return err_trace(r);
	r = graph_require(graph, node, room);
	if (r < 0)
		return err_trace(r);
	for (uint32_t index = 0; index < input->rank; index++)
		dims[index] = index == axis ? k : input->dims[index];
	infer_output(graph, node, 0, input->dtype, input->rank, dims);
	infer_output(graph, node, 1, DTYPE_I64, input->rank, dims);
	return 0;
}

/* The kernel works in the indices, whether they are read or not. */
static int topk_indices(struct lowering *lowering, const struct node *node, uint32_t *ret_value)
{
	const struct value *output;

	if (node_has_output(node, 1) &&
	    (lowering->folding || lowering->needed[node->outputs[1]])) {
		*ret_value = node->outputs[1];
		return 0;
	}
	output = node_output(lowering->graph, node, 0);
	return lower_temporary(lowering, DTYPE_I64, output->rank, output->dims, ret_value);
}

int lower_topk(struct lowering *lowering, const struct node *node)
{
	static const struct scan_fields fields = {FIELD(topk_args, x), FIELD(topk_args, indices),
						  FIELD(topk_args, outer), FIELD(topk_args, axis),
						  FIELD(topk_args, inner)};
	const struct value *input = node_input(lowering->graph, node, 0);
	bool has_values = node_has_output(node, 0) &&
			  (lowering->folding || lowering->needed[node->outputs[0]]);
	struct dim k = node_output(lowering->graph, node, node_has_output(node, 0) ? 0 : 1)
			       ->dims[node->axis];
	uint32_t indices;
	struct step *step;
	int r;

	r = topk_indices(lowering, node, &indices);
	if (r < 0)
		return err_trace(r);
	step = step_new(lowering, KERNEL_TOPK);
	if (!step)
		return err_trace(-ENOMEM);
	step->args->topk.is_smallest = attribute_int(node, "largest", 1) == 0;
	step->args->topk.dtype = input->dtype;
	if (has_values) {
		r = step_write(lowering, step, FIELD(topk_args, y), node->outputs[0],
			       poly_constant(0));
		if (r < 0)
			return err_trace(r);
	}
	r = step_size(lowering, step, FIELD(topk_args, k), poly_dim(k));
	if (r < 0)
		return err_trace(r);
	return axis_sizes(lowering, node, step, &fields, indices);
}

/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/operators/split.c - operators of several outputs that move bytes: Split and Dropout
 */
#include <errno.h>
#include <string.h>

#include "graph/lower.h"
#include "graph/ops.h"

/* The sizes that an attribute or input names; *ret_count 0: none. */
static int split_sizes(struct graph *graph, struct node *node, const struct dim **ret_sizes,
		       uint32_t *ret_count)
{
	const struct onnx_attribute *attribute = attribute_find(node, "split");
	struct dim *sizes;
	int r;

	*ret_count = 0;
	if (node_has_input(node, 1)) {
		r = infer_integers(graph, node, 1, "split", ret_sizes, ret_count);
		return r < 0 ? err_trace(r) : 0;
	}
	if (!attribute)
		return 0;
	sizes = graph_allocate(graph, attribute->count + 1, sizeof(*sizes));
	if (!sizes)
		return err_trace(-ENOMEM);
	for (uint32_t index = 0; index < attribute->count; index++)
		sizes[index] = dim_constant(attribute->ints[index]);
	*ret_sizes = sizes;
	*ret_count = attribute->count;
	return 0;
}

/* Equal parts; since opset 18 the last one may be smaller. */
static int split_evenly(struct graph *graph, struct node *node, struct dim size, struct dim parts[])
{
	int64_t count = attribute_int(node, "num_outputs", node->output_count);
	int64_t part;

	if (count != node->output_count)
		return node_refuse(graph, node, -EINVAL, "num_outputs is %lld, it has %u outputs",
				   (long long)count, node->output_count);
	if (size.symbol >= 0) {
		if (!dim_divide(size, count, &parts[0]))
			return node_refuse(graph, node, -EOPNOTSUPP,
					   "its parts are not equal in every batch");
		for (uint32_t output = 1; output < node->output_count; output++)
			parts[output] = parts[0];
		return 0;
	}
	part = (size.constant + count - 1) / count;
	if (size.constant % count != 0 && graph->model->opset < 18)
		return node_refuse(graph, node, -EINVAL, "its parts are not equal");
	for (uint32_t output = 0; output < node->output_count; output++) {
		int64_t left = size.constant - part * output;

		parts[output] = dim_constant(left < 0 ? 0 : left < part ? left : part);
	}
	return 0;
}

int infer_split(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	struct dim *parts = graph_allocate(graph, node->output_count, sizeof(*parts));
	struct dim dims[KERNEL_RANK_MAX];
	struct dim sum = dim_constant(0);
	const struct dim *sizes = NULL;
	uint32_t count;
	uint32_t axis;
	int r;

	if (!parts)
		return err_trace(-ENOMEM);
	r = axis_normalize(graph, node, attribute_int(node, "axis", 0), input->rank, &axis);
	if (r < 0)
		return err_trace(r);
	node->axis = axis;
	r = split_sizes(graph, node, &sizes, &count);
	if (r < 0)
		return err_trace(r);
	if (count != 0 && count != node->output_count)
		return node_refuse(graph, node, -EINVAL, "it has %u sizes and %u outputs", count,
				   node->output_count);
	if (count != 0)
		memcpy(parts, sizes, count * sizeof(*parts));
	else
		r = split_evenly(graph, node, input->dims[axis], parts);
	if (r < 0)
		return err_trace(r);
	memcpy(dims, input->dims, sizeof(dims));
	for (uint32_t output = 0; output < node->output_count; output++) {
		r = graph_require(graph, node, parts[output]);
		if (r < 0)
			return err_trace(r);
		dims[axis] = parts[output];
		if (!dim_add(sum, parts[output], &sum))
			return node_refuse(graph, node, -EOPNOTSUPP, "its sizes are too large");
		infer_output(graph, node, output, input->dtype, input->rank, dims);
	}
	if (!dim_equal(sum, input->dims[axis]))
		return node_refuse(graph, node, -EINVAL,
				   "its sizes are not those of axis %u together, in every batch",
				   axis);
	return 0;
}

int lower_split(struct lowering *lowering, const struct node *node)
{
	const struct value *input = node_input(lowering->graph, node, 0);
	struct poly offset = poly_constant(0);
	int r;

	for (uint32_t output = 0; output < node->output_count; output++) {
		struct walk walk = {.rank = input->rank, .set_count = 2};
		const struct value *part;
		struct poly elements;

		if (!node_has_output(node, output))
			return node_refuse(lowering->graph, node, -EOPNOTSUPP,
					   "output %u is left out", output);
		part = node_output(lowering->graph, node, output);
		elements = value_elements(part);
		for (uint32_t axis = 0; axis < input->rank; axis++) {
			walk.dims[axis] = poly_dim(part->dims[axis]);
			walk.strides[0][axis] = value_span(input, axis + 1, input->rank);
			walk.strides[1][axis] = value_span(part, axis + 1, part->rank);
		}
		if (!poly_is(&elements, 0) &&
		    (lowering->folding || lowering->needed[node->outputs[output]])) {
			r = lower_copy(lowering, node->inputs[0], offset, node->outputs[output],
				       poly_constant(0), &walk);
			if (r < 0)
				return err_trace(r);
		}
		offset = poly_add(offset,
				  poly_multiply(poly_dim(part->dims[node->axis]),
						value_span(input, (uint32_t)node->axis + 1,
							   input->rank)));
	}
	return 0;
}

/* Inference: the input itself, and a mask that is true everywhere. */
int infer_dropout(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	struct value *training;
	uint8_t *truth;
	uint32_t scalar;
	int r;

	if (node_has_input(node, 2)) {
		const void *data;

		training = node_input(graph, node, 2);
		if (training->kind != VALUE_CONSTANT || training->dtype != DTYPE_BOOL ||
		    constant_elements(training) != 1)
			return node_refuse(graph, node, -EOPNOTSUPP,
					   "training_mode ('%s') must be a constant bool",
					   training->name);
		r = graph_constant_data(graph, training, &data);
		if (r < 0)
			return err_trace(r);
		if (constant_integer(training, 0) != 0)
			return node_refuse(graph, node, -EOPNOTSUPP,
					   "training_mode is true; inference alone is supported");
	}
	if (node_has_output(node, 1)) {
		truth = graph_allocate(graph, 1, sizeof(*truth));
		if (!truth)
			return err_trace(-ENOMEM);
		*truth = 1;
		r = graph_constant_new(graph, DTYPE_BOOL, 0, NULL, truth, &scalar);
		if (r < 0)
			return err_trace(r);
		node->axis = scalar;
		if (graph->model->opset < 10)
			return node_refuse(graph, node, -EOPNOTSUPP,
					   "its mask, before opset 10, is not supported");
		infer_output(graph, node, 1, DTYPE_BOOL, input->rank, input->dims);
	}
	if (!node_has_output(node, 0))
		return 0;
	return infer_view(graph, node, input->rank, input->dims);
}

int lower_dropout(struct lowering *lowering, const struct node *node)
{
	struct walk walk = {.rank = 1, .set_count = 2};
	struct poly elements;

	if (!node_has_output(node, 1) ||
	    (!lowering->folding && !lowering->needed[node->outputs[1]]))
		return 0;
	elements = value_elements(node_output(lowering->graph, node, 1));
	if (poly_is(&elements, 0))
		return 0;
	walk.dims[0] = elements;
	walk.strides[0][0] = poly_constant(0);
	walk.strides[1][0] = poly_constant(1);
	return lower_copy(lowering, (uint32_t)node->axis, poly_constant(0), node->outputs[1],
			  poly_constant(0), &walk);
}

/* SPDX-License-Identifier: MIT */
/* daemon/graph/operators/quantize.c - QuantizeLinear, DequantizeLinear; and BatchNormalization */
#include <errno.h>
#include <math.h>

#include "graph/lower.h"
#include "graph/ops.h"
#include "graph/readers.h"

/* Scale and zero are one element, or one an index of the axis. */
static int scale_check(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	const struct value *scale = node_input(graph, node, 1);
	int64_t axis = attribute_int(node, "axis", 1);
	uint32_t normal;
	int r;

	if (attribute_int(node, "block_size", 0) != 0)
		return node_refuse(graph, node, -EOPNOTSUPP, "blocks of an axis are not supported");
	if (scale->dtype != DTYPE_F32)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "its scale '%s' is %s; supported: float32", scale->name,
				   dtype_name((int32_t)scale->dtype));
	if (node_has_input(node, 2) &&
	    !value_same_shape(node_input(graph, node, 2), scale))
		return node_refuse(graph, node, -EINVAL,
				   "its scale and zero point do not have the same shape");
	node->axis = -1;
	if (scale->rank == 0 || (scale->rank == 1 && dim_is(scale->dims[0], 1)))
		return 0;
	r = axis_normalize(graph, node, axis, input->rank, &normal);
	if (r < 0)
		return err_trace(r);
	if (scale->rank != 1 || !dim_equal(scale->dims[0], input->dims[normal]))
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "its scale '%s' is neither one element nor one for each index of "
				   "axis %u",
				   scale->name, normal);
	node->axis = normal;
	return 0;
}

int infer_quantize(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	int64_t wanted = attribute_int(node, "output_dtype", 0);
	enum dtype dtype = wanted ? (enum dtype)wanted : DTYPE_U8;
	int r;

	if (input->dtype != DTYPE_F32)
		return node_refuse(graph, node, -EOPNOTSUPP, "its input is %s; supported: float32",
				   dtype_name((int32_t)input->dtype));
	r = scale_check(graph, node);
	if (r < 0)
		return err_trace(r);
	if (node_has_input(node, 2))
		dtype = node_input(graph, node, 2)->dtype;
	if ((dtype != DTYPE_U8 && dtype != DTYPE_I8) || (wanted && wanted != (int64_t)dtype))
		return node_refuse(graph, node, -EOPNOTSUPP, "to %s; supported: uint8, int8",
				   dtype_name((int32_t)dtype));
	infer_output(graph, node, 0, dtype, input->rank, input->dims);
	return 0;
}

int infer_dequantize(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	int r;

	if (input->dtype != DTYPE_U8 && input->dtype != DTYPE_I8 && input->dtype != DTYPE_I32)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "its input is %s; supported: uint8, int8, int32",
				   dtype_name((int32_t)input->dtype));
	r = scale_check(graph, node);
	if (r < 0)
		return err_trace(r);
	r = require_same_type(graph, node, 2);
	if (r < 0)
		return err_trace(r);
	infer_output(graph, node, 0, DTYPE_F32, input->rank, input->dims);
	return 0;
}

int lower_quantize(struct lowering *lowering, const struct node *node)
{
	static const uint32_t fields[] = {FIELD(quantize_args, x), FIELD(quantize_args, scale),
					  FIELD(quantize_args, zero)};
	const struct value *input = node_input(lowering->graph, node, 0);
	const struct value *output = node_output(lowering->graph, node, 0);
	bool is_back = output->dtype == DTYPE_F32;
	struct step *step = step_new(lowering, is_back ? KERNEL_DEQUANTIZE : KERNEL_QUANTIZE);
	uint32_t axis = node->axis < 0 ? 0 : (uint32_t)node->axis;
	struct poly outer = value_span(input, 0, axis);
	struct poly sizes = poly_constant(1);
	struct poly inner = value_span(input, axis, input->rank);
	int r;

	for (uint32_t index = 0; index < 3; index++) {
		if (!node_has_input(node, index))
			continue;
		r = step_read(lowering, step, fields[index], node->inputs[index], poly_constant(0));
		if (r < 0)
			return err_trace(r);
	}
	r = step_write(lowering, step, FIELD(quantize_args, y), node->outputs[0], poly_constant(0));
	if (r < 0)
		return err_trace(r);
	if (node->axis >= 0) {
		sizes = poly_dim(input->dims[axis]);
		inner = value_span(input, axis + 1, input->rank);
	}
	step->args->quantize.dtype = is_back ? input->dtype : output->dtype;
	r = step_size(lowering, step, FIELD(quantize_args, outer), outer);
	if (r < 0)
		return err_trace(r);
	r = step_size(lowering, step, FIELD(quantize_args, axis), sizes);
	if (r < 0)
		return err_trace(r);
	return step_size(lowering, step, FIELD(quantize_args, inner), inner);
}

static int affine_fill(struct graph *graph, struct node *node, float *scales, float *shifts,
		       int64_t count)
{
	double epsilon = (double)attribute_float(node, "epsilon", 1e-5f);
	float numbers[4]; /* scale, bias, mean, variance */
	int r;

	for (int64_t index = 0; index < count; index++) {
		double scale;

		for (uint32_t input = 0; input < 4; input++) {
			r = constant_float(graph, node_input(graph, node, input + 1),
					   (uint64_t)index, &numbers[input]);
			if (r < 0)
				return err_trace(r);
		}
		scale = numbers[0] / sqrt(numbers[3] + epsilon);
		scales[index] = (float)scale;
		shifts[index] = (float)(numbers[1] - numbers[2] * scale);
	}
	return 0;
}

int infer_batchnorm(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	struct affine *affine;
	struct dim dims[KERNEL_RANK_MAX];
	float *scales, *shifts;
	int64_t count;
	int r;

	if (input->dtype != DTYPE_F32 || input->rank < 2 || input->dims[1].symbol >= 0)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "its input must be float32 with a constant second dimension");
	if (attribute_int(node, "training_mode", 0) != 0 || node->output_count > 1)
		return node_refuse(graph, node, -EOPNOTSUPP, "it trains; supported: inference");
	count = input->dims[1].constant;
	for (uint32_t index = 1; index < 5; index++) {
		const struct value *value = node_input(graph, node, index);

		if (value->kind != VALUE_CONSTANT || !dtype_is_float(value->dtype) ||
		    value->rank != 1 || !dim_is(value->dims[0], count))
			return node_refuse(graph, node, -EOPNOTSUPP,
					   "'%s' must be a constant of %lld floats", value->name,
					   (long long)count);
	}
	affine = graph_allocate(graph, 1, sizeof(*affine));
	scales = graph_allocate(graph, (size_t)count, sizeof(*scales));
	shifts = graph_allocate(graph, (size_t)count, sizeof(*shifts));
	if (!affine || !scales || !shifts)
		return err_trace(-ENOMEM);
	r = affine_fill(graph, node, scales, shifts, count);
	if (r < 0)
		return err_trace(r);
	for (uint32_t axis = 1; axis < input->rank; axis++)
		dims[axis - 1] = axis == 1 ? input->dims[1] : dim_constant(1);
	r = graph_constant_new(graph, DTYPE_F32, input->rank - 1, dims, scales, &affine->scale);
	if (r < 0)
		return err_trace(r);
	r = graph_constant_new(graph, DTYPE_F32, input->rank - 1, dims, shifts, &affine->shift);
	if (r < 0)
		return err_trace(r);
	node->details = affine;
	return infer_same(graph, node);
}

const struct affine *batchnorm_affine(const struct node *node)
{
	return node->details;
}

int lower_batchnorm(struct lowering *lowering, const struct node *node)
{
	const struct value *input = node_input(lowering->graph, node, 0);
	const struct affine *affine = node->details;
	uint32_t product;
	int r;

	r = lower_temporary(lowering, DTYPE_F32, input->rank, input->dims, &product);
	if (r < 0)
		return err_trace(r);
	r = lower_binary_values(lowering, BINARY_MUL, node->inputs[0], affine->scale, product);
	if (r < 0)
		return err_trace(r);
	return lower_binary_values(lowering, BINARY_ADD, product, affine->shift, node->outputs[0]);
}

/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/operators/expand.c - operators that repeat: Expand, ConstantOfShape, Range, Tile,
 * Pad
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "graph/lower.h"
#include "graph/ops.h"

/* A shape that is known before a run. */
static int infer_sizes(struct graph *graph, struct node *node, uint32_t input,
		       struct dim dims[KERNEL_RANK_MAX], uint32_t *ret_rank)
{
	const struct dim *known;
	uint32_t count;
	int r;

	r = infer_integers(graph, node, input, "shape", &known, &count);
	if (r < 0)
		return err_trace(r);
	if (count > KERNEL_RANK_MAX)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "the output has %u dimensions; at most %d are supported", count,
				   KERNEL_RANK_MAX);
	for (uint32_t axis = 0; axis < count; axis++) {
		r = graph_require(graph, node, known[axis]);
		if (r < 0)
			return err_trace(r);
		dims[axis] = known[axis];
	}
	*ret_rank = count;
	return 0;
}

int infer_expand(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	struct value shape = {0};
	bool is_same;
	int r;

	r = infer_sizes(graph, node, 1, shape.dims, &shape.rank);
	if (r < 0)
		return err_trace(r);
	r = infer_broadcast(graph, node, &shape, input);
	if (r < 0)
		return err_trace(r);
	is_same = true;
	for (uint32_t axis = 0; axis < shape.rank; axis++) {
		uint32_t lead = shape.rank - input->rank;

		is_same = is_same &&
			  (axis < lead ? dim_is(shape.dims[axis], 1)
				       : dim_equal(shape.dims[axis], input->dims[axis - lead]));
	}
	if (is_same)
		return infer_view(graph, node, shape.rank, shape.dims);
	infer_output(graph, node, 0, input->dtype, shape.rank, shape.dims);
	return 0;
}

/* y = x, broadcast to y's dims. */
static int lower_broadcast(struct lowering *lowering, uint32_t x, uint32_t y)
{
	const struct value *output = graph_value(lowering->graph, y);
	struct walk walk = {.rank = output->rank, .set_count = 2};
	struct poly elements = value_elements(output);

	if (poly_is(&elements, 0))
		return 0;
	walk_broadcast(graph_value(lowering->graph, x), output->rank, output->dims,
		       walk.strides[0]);
	for (uint32_t axis = 0; axis < output->rank; axis++) {
		walk.dims[axis] = poly_dim(output->dims[axis]);
		walk.strides[1][axis] = value_span(output, axis + 1, output->rank);
	}
	return lower_copy(lowering, x, poly_constant(0), y, poly_constant(0), &walk);
}

int lower_expand(struct lowering *lowering, const struct node *node)
{
	if (node_output(lowering->graph, node, 0)->view_of != GRAPH_NONE)
		return 0;
	return lower_broadcast(lowering, node->inputs[0], node->outputs[0]);
}

/* A scalar constant of the graph's own. */
static int scalar_new(struct graph *graph, enum dtype dtype, const void *bytes,
		      uint32_t *ret_scalar)
{
	void *data = graph_allocate(graph, 1, sizeof(int64_t));

	if (!data)
		return err_trace(-ENOMEM);
	memcpy(data, bytes, dtype_bytes(dtype));
	return graph_constant_new(graph, dtype, 0, NULL, data, ret_scalar);
}

/* What ConstantOfShape and Pad put where nothing else is. */
struct fill {
	uint32_t scalar; /* a constant; GRAPH_NONE: input 2 */
	int64_t before[KERNEL_RANK_MAX];
};

static int fill_new(struct graph *graph, struct node *node, enum dtype dtype, const void *bytes,
		    struct fill **ret_fill)
{
	struct fill *fill = graph_allocate(graph, 1, sizeof(*fill));
	int r;

	if (!fill)
		return err_trace(-ENOMEM);
	r = scalar_new(graph, dtype, bytes, &fill->scalar);
	if (r < 0)
		return err_trace(r);
	node->details = fill;
	*ret_fill = fill;
	return 0;
}

int infer_fill(struct graph *graph, struct node *node)
{
	const struct onnx_attribute *attribute = attribute_find(node, "value");
	const struct onnx_tensor *tensor = attribute ? attribute->tensor : NULL;
	enum dtype dtype = tensor ? (enum dtype)tensor->dtype : DTYPE_F32;
	struct dim dims[KERNEL_RANK_MAX];
	struct fill *fill;
	uint32_t rank;
	int r;

	r = infer_sizes(graph, node, 0, dims, &rank);
	if (r < 0)
		return err_trace(r);
	if (!dtype_is_supported((int32_t)dtype))
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "its value is %s; supported: " GRAPH_DTYPES,
				   dtype_name((int32_t)dtype));
	if (tensor && (tensor->bytes != dtype_bytes(dtype) || !tensor->data))
		return node_refuse(graph, node, -EINVAL, "its value is not one element");
	r = fill_new(graph, node, dtype, tensor ? tensor->data : (const void *)&(float){0}, &fill);
	if (r < 0)
		return err_trace(r);
	if (!dtype_is_float(dtype))
		node->starts[0] =
			dim_constant(constant_integer(graph_value(graph, fill->scalar), 0));
	infer_output(graph, node, 0, dtype, rank, dims);
	return 0;
}

int lower_fill(struct lowering *lowering, const struct node *node)
{
	const struct fill *fill = node->details;

	return lower_broadcast(lowering, fill->scalar, node->outputs[0]);
}

/* --- Range --- */

struct range {
	int64_t start, delta;
	float start_f32, delta_f32;
};

/* Constants, of which there are as many as the specification says. */
static int range_floats(struct graph *graph, struct node *node, struct range *range,
			struct dim *ret_count)
{
	float numbers[3];
	double count;
	int r;

	for (uint32_t input = 0; input < 3; input++) {
		struct value *value = node_input(graph, node, input);

		if (value->kind != VALUE_CONSTANT || constant_elements(value) != 1)
			return node_refuse(graph, node, -EOPNOTSUPP,
					   "'%s' must be a constant of one element", value->name);
		r = constant_float(graph, value, 0, &numbers[input]);
		if (r < 0)
			return err_trace(r);
	}
	count = ceil(((double)numbers[1] - numbers[0]) / numbers[2]);
	if (!(count <= (double)GRAPH_ELEMENTS_MAX))
		return node_refuse(graph, node, -EOPNOTSUPP, "it has too many elements");
	range->start_f32 = numbers[0];
	range->delta_f32 = numbers[2];
	*ret_count = dim_constant(count > 0 ? (int64_t)count : 0);
	return 0;
}

/* From a constant by a constant; the end may be a size of the run, by steps of 1. */
static int range_integers(struct graph *graph, struct node *node, struct range *range,
			  struct dim *ret_count)
{
	struct dim numbers[3];
	struct dim span;
	int r;

	for (uint32_t input = 0; input < 3; input++) {
		const struct dim *known;
		uint32_t count;

		r = infer_integers(graph, node, input, "its start, limit and delta", &known,
				   &count);
		if (r < 0)
			return err_trace(r);
		if (count != 1)
			return node_refuse(graph, node, -EINVAL, "'%s' is not one element",
					   node_input(graph, node, input)->name);
		numbers[input] = known[0];
	}
	range->start = numbers[0].constant;
	range->delta = numbers[2].constant;
	if (numbers[0].symbol >= 0 || numbers[2].symbol >= 0 || range->delta == 0)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "its start and delta must be constant, and delta not 0");
	if (!dim_subtract(numbers[1], numbers[0], &span) ||
	    (span.symbol >= 0 && (range->delta < 0 || !dim_divide(span, range->delta, &span))))
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "how many elements it has is no size of the run");
	if (span.symbol < 0) {
		int64_t room = range->delta > 0 ? range->delta - 1 : range->delta + 1;
		int64_t count;

		if (__builtin_add_overflow(span.constant, room, &count))
			return node_refuse(graph, node, -EOPNOTSUPP, "it has too many elements");
		count = span.constant == 0 || (span.constant < 0) != (range->delta < 0)
				? 0
				: count / range->delta;
		span = dim_constant(count);
	}
	*ret_count = span;
	return 0;
}

int infer_range(struct graph *graph, struct node *node)
{
	enum dtype dtype = node_input(graph, node, 0)->dtype;
	struct range *range = graph_allocate(graph, 1, sizeof(*range));
	struct dim count;
	int r;

	if (!range)
		return err_trace(-ENOMEM);
	if (dtype != DTYPE_F32 && !dtype_is_index(dtype))
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "it is of %s; supported: float32, int32, int64",
				   dtype_name((int32_t)dtype));
	for (uint32_t input = 1; input < 3; input++) {
		r = require_same_type(graph, node, input);
		if (r < 0)
			return err_trace(r);
	}
	r = dtype == DTYPE_F32 ? range_floats(graph, node, range, &count)
			       : range_integers(graph, node, range, &count);
	if (r < 0)
		return err_trace(r);
	node->details = range;
	infer_output(graph, node, 0, dtype, 1, &count);
	return 0;
}

int lower_range(struct lowering *lowering, const struct node *node)
{
	const struct value *output = node_output(lowering->graph, node, 0);
	const struct range *range = node->details;
	struct step *step = step_new(lowering, KERNEL_RANGE);
	int r;

	r = step_write(lowering, step, FIELD(range_args, y), node->outputs[0], poly_constant(0));
	if (r < 0)
		return err_trace(r);
	step->args->range.start_i64 = range->start;
	step->args->range.delta_i64 = range->delta;
	step->args->range.start = range->start_f32;
	step->args->range.delta = range->delta_f32;
	step->args->range.dtype = output->dtype;
	return step_size(lowering, step, FIELD(range_args, count), poly_dim(output->dims[0]));
}

/* --- Tile --- */

int infer_tile(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	struct dim dims[KERNEL_RANK_MAX];
	struct dim repeats[KERNEL_RANK_MAX];
	uint32_t loops = 0;
	uint32_t rank;
	int r;

	r = infer_sizes(graph, node, 1, repeats, &rank);
	if (r < 0)
		return err_trace(r);
	if (rank != input->rank)
		return node_refuse(graph, node, -EINVAL,
				   "it has %u repeats; the input has rank %u", rank, input->rank);
	node->axis = rank;
	for (uint32_t axis = rank; axis-- > 0;) {
		if (!dim_multiply(input->dims[axis], repeats[axis], &dims[axis]))
			return node_refuse(graph, node, -EOPNOTSUPP,
					   "a dimension would be the product of two free sizes");
		node->starts[axis] = repeats[axis];
		loops += !dim_is(input->dims[axis], 1);
		if (dim_is(repeats[axis], 1))
			continue;
		loops++;
		node->axis = axis;
	}
	if (node->axis == rank)
		return infer_view(graph, node, rank, dims);
	if (loops > KERNEL_RANK_MAX)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "its sizes and repeats that are not 1 are %u; at most %d are "
				   "supported",
				   loops, KERNEL_RANK_MAX);
	infer_output(graph, node, 0, input->dtype, rank, dims);
	return 0;
}

/* Each axis is two: how often, and what. */
int lower_tile(struct lowering *lowering, const struct node *node)
{
	const struct value *input = node_input(lowering->graph, node, 0);
	const struct value *output = node_output(lowering->graph, node, 0);
	struct poly elements = value_elements(output);
	struct walk walk = {.set_count = 2};

	if (output->view_of != GRAPH_NONE || poly_is(&elements, 0))
		return 0;
	for (uint32_t axis = 0; axis < input->rank; axis++) {
		struct poly stride = value_span(output, axis + 1, output->rank);

		if (!dim_is(node->starts[axis], 1)) {
			walk.dims[walk.rank] = poly_dim(node->starts[axis]);
			walk.strides[0][walk.rank] = poly_constant(0);
			walk.strides[1][walk.rank++] =
				poly_multiply(poly_dim(input->dims[axis]), stride);
		}
		if (!dim_is(input->dims[axis], 1)) {
			walk.dims[walk.rank] = poly_dim(input->dims[axis]);
			walk.strides[0][walk.rank] = value_span(input, axis + 1, input->rank);
			walk.strides[1][walk.rank++] = stride;
		}
	}
	return lower_copy(lowering, node->inputs[0], poly_constant(0), node->outputs[0],
			  poly_constant(0), &walk);
}

/* --- Pad --- */

/* Attribute before opset 11, an input since; some axes alone since opset 18. */
static int pad_counts(struct graph *graph, struct node *node, uint32_t rank,
		      int64_t counts[2 * KERNEL_RANK_MAX])
{
	const struct onnx_attribute *attribute = attribute_find(node, "pads");
	const struct dim *axes = NULL;
	const struct dim *pads = NULL;
	uint32_t axis_count = rank;
	uint32_t count = attribute ? attribute->count : 0;
	int r;

	memset(counts, 0, 2 * KERNEL_RANK_MAX * sizeof(counts[0]));
	if (node_has_input(node, 3)) {
		r = infer_integers(graph, node, 3, "axes", &axes, &axis_count);
		if (r < 0)
			return err_trace(r);
	}
	if (node_has_input(node, 1)) {
		r = infer_integers(graph, node, 1, "pads", &pads, &count);
		if (r < 0)
			return err_trace(r);
	}
	if (count != 2 * axis_count || axis_count > rank)
		return node_refuse(graph, node, -EINVAL, "pads has %u elements for %u axes", count,
				   axis_count);
	for (uint32_t index = 0; index < count; index++) {
		uint32_t axis = index % axis_count;

		if ((pads && pads[index].symbol >= 0) || (axes && axes[axis].symbol >= 0))
			return node_refuse(graph, node, -EOPNOTSUPP, "pads must be constant");
		if (axes) {
			r = axis_normalize(graph, node, axes[axis].constant, rank, &axis);
			if (r < 0)
				return err_trace(r);
		}
		counts[axis + (index < axis_count ? 0 : rank)] =
			pads ? pads[index].constant : attribute->ints[index];
	}
	return 0;
}

int infer_pad(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	const struct onnx_attribute *mode = attribute_find(node, "mode");
	float value = attribute_float(node, "value", 0.0f);
	int64_t counts[2 * KERNEL_RANK_MAX];
	struct dim dims[KERNEL_RANK_MAX];
	struct fill *fill;
	int r;

	if (mode && strcmp(mode->s, "constant") != 0)
		return node_refuse(graph, node, -EOPNOTSUPP, "mode '%s'; supported: constant",
				   mode->s);
	r = pad_counts(graph, node, input->rank, counts);
	if (r < 0)
		return err_trace(r);
	if (value != 0.0f && input->dtype != DTYPE_F32)
		return node_refuse(graph, node, -EOPNOTSUPP, "value is not 0 and not float32");
	r = fill_new(graph, node, input->dtype,
		     value != 0.0f ? (const void *)&value : (const void *)&(int64_t){0}, &fill);
	if (r < 0)
		return err_trace(r);
	if (node_has_input(node, 2)) {
		r = require_same_type(graph, node, 2);
		if (r < 0)
			return err_trace(r);
		fill->scalar = GRAPH_NONE;
	}
	node->axis = input->rank;
	for (uint32_t axis = input->rank; axis-- > 0;) {
		int64_t after = counts[input->rank + axis];
		struct dim more;

		fill->before[axis] = counts[axis];
		if (fill->before[axis] < 0 || after < 0 || after > INT32_MAX ||
		    fill->before[axis] > INT32_MAX)
			return node_refuse(graph, node, -EOPNOTSUPP,
					   "pads that are negative or above 2^31 are not supported");
		more = dim_constant(fill->before[axis] + after);
		if (!dim_add(input->dims[axis], more, &dims[axis]))
			return node_refuse(graph, node, -EOPNOTSUPP, "pads are too large");
		if (!dim_is(more, 0))
			node->axis = axis;
	}
	if (node->axis == input->rank)
		return infer_view(graph, node, input->rank, dims);
	infer_output(graph, node, 0, input->dtype, input->rank, dims);
	return 0;
}

/* Everything is filled; then the input comes into the middle. */
int lower_pad(struct lowering *lowering, const struct node *node)
{
	const struct value *input = node_input(lowering->graph, node, 0);
	const struct value *output = node_output(lowering->graph, node, 0);
	const struct fill *fill = node->details;
	struct walk walk = {.rank = input->rank, .set_count = 2};
	struct poly elements = value_elements(input);
	struct poly offset = poly_constant(0);
	int r;

	if (output->view_of != GRAPH_NONE)
		return 0;
	r = lower_broadcast(lowering, fill->scalar == GRAPH_NONE ? node->inputs[2] : fill->scalar,
			    node->outputs[0]);
	if (r < 0)
		return err_trace(r);
	if (poly_is(&elements, 0))
		return 0;
	for (uint32_t axis = 0; axis < input->rank; axis++) {
		walk.dims[axis] = poly_dim(input->dims[axis]);
		walk.strides[0][axis] = value_span(input, axis + 1, input->rank);
		walk.strides[1][axis] = value_span(output, axis + 1, output->rank);
		offset = poly_add(offset, poly_scale(walk.strides[1][axis], fill->before[axis]));
	}
	return lower_copy(lowering, node->inputs[0], poly_constant(0), node->outputs[0], offset,
			  &walk);
}

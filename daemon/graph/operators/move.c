/* SPDX-License-Identifier: MIT */
/* daemon/graph/operators/move.c - operators that only move elements: concat, slice, transpose */
#include <errno.h>
#include <string.h>

#include "graph/bodies/control.h"
#include "graph/jagged.h"
#include "graph/lower.h"
#include "graph/ops.h"

#define END_IS_FAR INT32_MAX /* exporters write "to the end" as this or more */

int infer_concat(struct graph *graph, struct node *node)
{
	struct value shape = *node_input(graph, node, 0);
	char left[SHAPE_TEXT_BYTES];
	char right[SHAPE_TEXT_BYTES];
	uint32_t axis;
	int r;

	if (!attribute_find(node, "axis"))
		return node_refuse(graph, node, -EINVAL, "attribute 'axis' is missing");
	r = axis_normalize(graph, node, attribute_int(node, "axis", 0), shape.rank, &axis);
	if (r < 0)
		return err_trace(r);
	node->axis = axis;
	for (uint32_t input = 1; input < node->input_count; input++) {
		const struct value *other = node_input(graph, node, input);
		bool fits = other->rank == shape.rank && other->dtype == shape.dtype;

		for (uint32_t index = 0; fits && index < shape.rank; index++) {
			if (index == axis)
				continue;
			r = jagged_unite(graph, shape.dims[index], other->dims[index], &shape,
					 &fits);
			if (r < 0)
				return err_trace(r);
		}
		if (!fits || !dim_add(shape.dims[axis], other->dims[axis], &shape.dims[axis]))
			return node_refuse(
				graph, node, -EINVAL,
				"input '%s' (%s %s) does not continue %s %s along axis %u "
				"in every batch",
				other->name, dtype_name((int32_t)other->dtype),
				shape_text(graph, other, right), dtype_name((int32_t)shape.dtype),
				shape_text(graph, &shape, left), axis);
	}
	if (node->input_count == 1)
		return infer_view(graph, node, shape.rank, shape.dims);
	infer_output(graph, node, 0, shape.dtype, shape.rank, shape.dims);
	return 0;
}

/* Is the input computed where the output has it, `offset` elements on? */
static bool is_in_place(const struct lowering *lowering, const struct node *node, uint32_t input,
			const struct poly *offset)
{
	const struct value *value = node_input(lowering->graph, node, input);
	const struct value *output = node_output(lowering->graph, node, 0);
	uint32_t place = output->part_of == GRAPH_NONE ? node->outputs[0] : output->part_of;

	return value->part_of == place && poly_is(offset, value->part_offset - output->part_offset);
}

int lower_concat(struct lowering *lowering, const struct node *node)
{
	const struct value *output = node_output(lowering->graph, node, 0);
	struct poly offset = poly_constant(0);
	int r;

	if (output->view_of != GRAPH_NONE)
		return 0;
	for (uint32_t input = 0; input < node->input_count; input++) {
		const struct value *value = node_input(lowering->graph, node, input);
		struct walk walk = {.rank = value->rank, .set_count = 2};
		struct poly elements = value_elements(value);
		struct poly inner = value_stride(output, (uint32_t)node->axis);
		struct poly moved = poly_multiply(poly_dim(value->dims[node->axis]), inner);

		for (uint32_t axis = 0; axis < value->rank; axis++) {
			walk.dims[axis] = poly_dim(value->dims[axis]);
			walk.strides[0][axis] = value_stride(value, axis);
			walk.strides[1][axis] = value_stride(output, axis);
		}
		if (poly_is(&elements, 0))
			continue;
		if (is_in_place(lowering, node, input, &offset))
			r = value_need(lowering, node->inputs[input]);
		else
			r = lower_copy(lowering, node->inputs[input], poly_constant(0),
				       node->outputs[0], offset, &walk);
		if (r < 0)
			return err_trace(r);
		offset = poly_add(offset, moved);
	}
	return 0;
}

/* One bound of a slice as an index from the front, before it is clamped: a
 * negative constant counts from the end. */
static bool bound_index(struct dim bound, struct dim size, struct dim *ret_index)
{
	if (bound.symbol < 0 && bound.constant < 0 && bound.constant > -END_IS_FAR)
		return dim_add(bound, size, ret_index);
	*ret_index = bound;
	return true;
}

/* All three known: the specification's clamps. */
static void slice_constant(int64_t size, int64_t start, int64_t end, int64_t step,
			   int64_t *ret_start, int64_t *ret_count)
{
	int64_t least = step > 0 ? 0 : -1;
	int64_t most = step > 0 ? size : size - 1;
	int64_t span;

	start = start < 0 ? 0 : start > most ? most : start;
	end = end < least ? least : end > most ? most : end;
	span = step > 0 ? end - start : start - end;
	*ret_start = start < 0 ? 0 : start;
	*ret_count = span <= 0 || size == 0 ? 0 : (span - 1) / (step > 0 ? step : -step) + 1;
}

/* A free size: what would be clamped becomes a condition on the run instead. */
static int slice_symbolic(struct graph *graph, struct node *node, struct dim size, struct dim start,
			  struct dim end, int64_t step, struct dim *ret_start,
			  struct dim *ret_count)
{
	struct dim room;
	struct dim span;
	int r;

	if (step < 0 && (start.symbol >= 0 || start.constant < END_IS_FAR) &&
	    !(dim_subtract(size, start, &room) && dim_is(room, 1)))
		goto unclear;
	if (step < 0 && (end.symbol >= 0 || end.constant > -END_IS_FAR))
		goto unclear;
	if (step < 0) {
		if (!dim_add(size, dim_constant(-1), ret_start) || step != -1)
			goto unclear;
		*ret_count = size;
		return 0;
	}
	if (start.symbol < 0 && start.constant < 0)
		start = dim_constant(0);
	if (end.symbol < 0 && end.constant >= END_IS_FAR)
		end = size;
	if (!dim_subtract(size, end, &room) || !dim_subtract(end, start, &span))
		goto unclear;
	r = graph_require(graph, node, start);
	if (r < 0)
		return err_trace(r);
	r = graph_require(graph, node, room);
	if (r < 0)
		return err_trace(r);
	r = graph_require(graph, node, span);
	if (r < 0)
		return err_trace(r);
	if (!dim_add(span, dim_constant(span.symbol < 0 || span.factor % step == 0 ? step - 1 : 0),
		     &span))
		goto unclear;
	if (span.symbol >= 0)
		span.constant -= (span.constant % step + step) % step;
	if (!dim_divide(span, step, ret_count))
		goto unclear;
	*ret_start = start;
	return 0;
unclear:
	return node_refuse(graph, node, -EOPNOTSUPP,
			   "what it cuts out of a free size is not the same in every batch");
}

static int slice_axis(struct graph *graph, struct node *node, uint32_t axis, struct dim start,
		      struct dim end, int64_t step, struct dim *dim)
{
	struct dim size = *dim;
	int64_t first;
	int64_t count;

	if (step == 0 || step < -END_IS_FAR)
		return node_refuse(graph, node, -EINVAL, "the step of axis %u is %lld", axis,
				   (long long)step);
	if (step > END_IS_FAR)
		step = END_IS_FAR;
	node->steps[axis] = step;
	if (!bound_index(start, size, &start) || !bound_index(end, size, &end))
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "its bounds and axis %u are of different free sizes", axis);
	if (size.symbol >= 0 || start.symbol >= 0 || end.symbol >= 0)
		return slice_symbolic(graph, node, size, start, end, step, &node->starts[axis],
				      dim);
	slice_constant(size.constant, start.constant, end.constant, step, &first, &count);
	node->starts[axis] = dim_constant(first);
	*dim = dim_constant(count);
	return 0;
}

/* Attributes before opset 10, inputs since. */
static int slice_bounds(struct graph *graph, struct node *node, uint32_t input, const char *name,
			struct dim bounds[KERNEL_RANK_MAX], uint32_t *ret_count)
{
	const struct onnx_attribute *attribute = attribute_find(node, name);
	const struct dim *known = NULL;
	uint32_t count = 0;
	int r;

	if (node_has_input(node, input)) {
		r = infer_integers(graph, node, input, name, &known, &count);
		if (r < 0)
			return err_trace(r);
	} else if (attribute) {
		count = attribute->count;
	}
	if (count > KERNEL_RANK_MAX)
		return node_refuse(graph, node, -EINVAL, "%s has %u elements", name, count);
	for (uint32_t index = 0; index < count; index++)
		bounds[index] = known ? known[index] : dim_constant(attribute->ints[index]);
	*ret_count = count;
	return 0;
}

int infer_slice(struct graph *graph, struct node *node)
{
	static const char *const names[] = {"starts", "ends", "axes", "steps"};
	const struct value *input = node_input(graph, node, 0);
	struct dim bounds[4][KERNEL_RANK_MAX];
	struct dim dims[KERNEL_RANK_MAX];
	uint32_t counts[4];
	uint32_t seen = 0;
	uint32_t axis;
	bool whole = true;
	int r;

	memcpy(dims, input->dims, sizeof(dims));
	for (uint32_t index = 0; index < KERNEL_RANK_MAX; index++) {
		node->starts[index] = dim_constant(0);
		node->steps[index] = 1;
	}
	for (uint32_t index = 0; index < 4; index++) {
		r = slice_bounds(graph, node, index + 1, names[index], bounds[index],
				 &counts[index]);
		if (r < 0)
			return err_trace(r);
	}
	if (counts[0] != counts[1] || counts[0] > input->rank ||
	    (counts[2] != 0 && counts[2] != counts[0]) ||
	    (counts[3] != 0 && counts[3] != counts[0]))
		return node_refuse(graph, node, -EINVAL,
				   "starts, ends, axes and steps do not have as many elements");
	for (uint32_t index = 0; index < counts[0]; index++) {
		struct dim named = counts[2] ? bounds[2][index] : dim_constant(index);
		struct dim step = counts[3] ? bounds[3][index] : dim_constant(1);

		if (named.symbol >= 0 || step.symbol >= 0)
			return node_refuse(graph, node, -EOPNOTSUPP,
					   "axes and steps must be constant");
		r = axis_normalize(graph, node, named.constant, input->rank, &axis);
		if (r < 0)
			return err_trace(r);
		if (seen & (1U << axis))
			return node_refuse(graph, node, -EINVAL, "axis %u is given twice", axis);
		seen |= 1U << axis;
		r = slice_axis(graph, node, axis, bounds[0][index], bounds[1][index], step.constant,
			       &dims[axis]);
		if (r < 0)
			return err_trace(r);
	}
	for (uint32_t index = 0; index < input->rank; index++)
		whole = whole && node->steps[index] == 1 &&
			dim_equal(dims[index], input->dims[index]);
	if (whole)
		return infer_view(graph, node, input->rank, dims);
	infer_output(graph, node, 0, input->dtype, input->rank, dims);
	return 0;
}

int lower_slice(struct lowering *lowering, const struct node *node)
{
	const struct value *input = node_input(lowering->graph, node, 0);
	const struct value *output = node_output(lowering->graph, node, 0);
	struct walk walk = {.rank = output->rank, .set_count = 2};
	struct poly elements = value_elements(output);
	struct poly offset = poly_constant(0);

	if (output->view_of != GRAPH_NONE || poly_is(&elements, 0))
		return 0;
	for (uint32_t axis = 0; axis < output->rank; axis++) {
		struct poly stride = value_stride(input, axis);

		walk.dims[axis] = poly_dim(output->dims[axis]);
		walk.strides[0][axis] = poly_scale(stride, node->steps[axis]);
		walk.strides[1][axis] = value_stride(output, axis);
		offset = poly_add(offset, poly_multiply(poly_dim(node->starts[axis]), stride));
	}
	return lower_copy(lowering, node->inputs[0], offset, node->outputs[0], poly_constant(0),
			  &walk);
}

int infer_transpose(struct graph *graph, struct node *node)
{
	const struct onnx_attribute *perm = attribute_find(node, "perm");
	const struct value *input = node_input(graph, node, 0);
	struct dim dims[KERNEL_RANK_MAX];
	uint32_t seen = 0;
	uint32_t last = 0;
	bool moves = false;

	if (perm && perm->count != input->rank)
		return node_refuse(graph, node, -EINVAL,
				   "perm has %u elements; the input has rank %u", perm->count,
				   input->rank);
	for (uint32_t axis = 0; axis < input->rank; axis++) {
		int64_t source = perm ? perm->ints[axis] : input->rank - 1 - axis;

		if (source < 0 || source >= input->rank || (seen & (1U << source)))
			return node_refuse(graph, node, -EINVAL, "perm is not a permutation");
		seen |= 1U << source;
		node->perm[axis] = (uint32_t)source;
		dims[axis] = input->dims[source];
		if (dim_is(dims[axis], 1))
			continue;
		moves = moves || source < last;
		last = (uint32_t)source;
	}
	if (!moves)
		return infer_view(graph, node, input->rank, dims);
	infer_output(graph, node, 0, input->dtype, input->rank, dims);
	return 0;
}

int lower_transpose(struct lowering *lowering, const struct node *node)
{
	const struct value *input = node_input(lowering->graph, node, 0);
	const struct value *output = node_output(lowering->graph, node, 0);
	struct walk walk = {.rank = output->rank, .set_count = 2};

	if (output->view_of != GRAPH_NONE)
		return 0;
	for (uint32_t axis = 0; axis < output->rank; axis++) {
		walk.dims[axis] = poly_dim(output->dims[axis]);
		walk.strides[0][axis] = value_stride(input, node->perm[axis]);
		walk.strides[1][axis] = value_stride(output, axis);
	}
	return lower_copy(lowering, node->inputs[0], poly_constant(0), node->outputs[0],
			  poly_constant(0), &walk);
}

/* --- ScatterElements --- */

/* Of a vector whose last element becomes another one: what is before it, and that one. */
int infer_scatter_elements(struct graph *graph, struct node *node)
{
	const struct control_attribute axis[] = {{"axis", 0, {0}}, {NULL, 0, {0}}};
	const struct onnx_attribute *reduction = attribute_find(node, "reduction");
	const struct value *data = node_input(graph, node, 0);
	const struct value *update = node_input(graph, node, 2);
	const struct dim one = dim_constant(1);
	int64_t *bounds = graph_allocate(graph, 2, sizeof(*bounds));
	uint32_t slice[3] = {node->inputs[0]}, parts[2] = {GRAPH_NONE, node->inputs[2]};
	uint32_t all = GRAPH_NONE;
	bool known;
	int r;

	if (!bounds)
		return err_trace(-ENOMEM);
	r = graph_known(graph, node->inputs[1], &known);
	if (r < 0)
		return err_trace(r);
	if (data->rank != 1 || update->rank != 1 || !dim_is(update->dims[0], 1) || !known ||
	    node_input(graph, node, 1)->known_count != 1 ||
	    !dim_is(node_input(graph, node, 1)->known[0], -1) ||
	    (reduction && strcmp(reduction->s, "none") != 0))
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "supported: the last element of a vector, at the constant index "
				   "-1, without a reduction");
	if (update->dtype != data->dtype)
		return node_refuse(graph, node, -EINVAL, "'%s' is %s and '%s' is %s", data->name,
				   dtype_name((int32_t)data->dtype), update->name,
				   dtype_name((int32_t)update->dtype));
	bounds[1] = -1;
	for (uint32_t bound = 0; r >= 0 && bound < 2; bound++)
		r = graph_constant_new(graph, DTYPE_I64, 1, &one, &bounds[bound], &slice[1 + bound]);
	if (r >= 0)
		r = control_emit(graph, node, "Slice", slice, 3, NULL, &parts[0]);
	if (r >= 0)
		r = control_emit(graph, node, "Concat", parts, 2, axis, &all);
	return r < 0 ? err_trace(r) : control_alias(graph, node, 0, all);
}

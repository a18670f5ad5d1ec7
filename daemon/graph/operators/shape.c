/* SPDX-License-Identifier: MIT */
/* daemon/graph/operators/shape.c - operators that move no bytes: constants, shapes, views */
#include <errno.h>
#include <string.h>

#include "graph/ops.h"

/* Views have no step: whoever reads one reads its root. */
int lower_view(struct lowering *lowering, const struct node *node)
{
	(void)lowering;
	(void)node;
	return 0;
}

static int constant_tensor(struct graph *graph, struct node *node, struct value *output,
			   const struct onnx_tensor *tensor)
{
	if (!dtype_is_supported(tensor->dtype))
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "its value is %s; supported: " GRAPH_DTYPES,
				   dtype_name(tensor->dtype));
	if (tensor->rank > KERNEL_RANK_MAX)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "its value has %u dimensions; at most %d are supported",
				   tensor->rank, KERNEL_RANK_MAX);
	output->dtype = (enum dtype)tensor->dtype;
	output->rank = tensor->rank;
	output->tensor = tensor;
	output->data = tensor->source == ONNX_INLINE ? tensor->data : NULL;
	for (uint32_t axis = 0; axis < tensor->rank; axis++)
		output->dims[axis] = dim_constant(tensor->dims[axis]);
	return 0;
}

int infer_constant(struct graph *graph, struct node *node)
{
	struct value *output = node_output(graph, node, 0);
	const struct onnx_attribute *attribute;

	if (node->source->attribute_count != 1)
		return node_refuse(graph, node, -EINVAL, "it must have exactly one attribute");
	if (!node_has_output(node, 0))
		return node_refuse(graph, node, -EINVAL, "it has no output");
	attribute = &node->source->attributes[0];
	output->kind = VALUE_CONSTANT;
	switch (attribute->type) {
	case ONNX_ATTRIBUTE_TENSOR:
		return constant_tensor(graph, node, output, attribute->tensor);
	case ONNX_ATTRIBUTE_INT:
		output->dtype = DTYPE_I64;
		output->data = &attribute->i;
		return 0;
	case ONNX_ATTRIBUTE_FLOAT:
		output->dtype = DTYPE_F32;
		output->data = &attribute->f;
		return 0;
	case ONNX_ATTRIBUTE_INTS:
		output->dtype = DTYPE_I64;
		output->data = attribute->ints ? (const void *)attribute->ints : "";
		break;
	default:
		output->dtype = DTYPE_F32;
		output->data = attribute->floats ? (const void *)attribute->floats : "";
		break;
	}
	output->rank = 1;
	output->dims[0] = dim_constant(attribute->count);
	return 0;
}

int infer_identity(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);

	return infer_view(graph, node, input->rank, input->dims);
}

int infer_shape(struct graph *graph, struct node *node)
{
	int64_t rank = node_input(graph, node, 0)->rank;
	int64_t start = attribute_int(node, "start", 0);
	int64_t end = attribute_int(node, "end", rank);
	struct dim count;

	start = start < 0 ? start + rank : start;
	end = end < 0 ? end + rank : end;
	start = start < 0 ? 0 : start > rank ? rank : start;
	end = end < 0 ? 0 : end > rank ? rank : end;
	node->axis = start;
	count = dim_constant(end > start ? end - start : 0);
	infer_output(graph, node, 0, DTYPE_I64, 1, &count);
	return 0;
}

/* Its one integer follows from dims (KNOWN_SIZE), or there is none. */
int infer_size(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	struct dim size = dim_constant(1);

	for (uint32_t axis = 0; axis < input->rank; axis++) {
		if (!dim_multiply(size, input->dims[axis], &size))
			return node_refuse(graph, node, -EOPNOTSUPP,
					   "it would be the product of two free sizes");
	}
	infer_output(graph, node, 0, DTYPE_I64, 0, NULL);
	return 0;
}

/* A product of dims, apart: a constant and the free sizes of its factors. */
struct product {
	int64_t constant;
	struct dim factors[KERNEL_RANK_MAX];
	uint32_t factor_count;
};

static int product_add(const struct graph *graph, const struct node *node, struct product *product,
		       struct dim dim)
{
	int64_t constant = dim.constant;

	if (dim.symbol >= 0) {
		/* factor * symbol + constant = scale * (...) where scale divides both */
		constant = dim.constant == 0 || dim.constant % dim.factor == 0 ? dim.factor : 1;
		dim.factor = (int32_t)(dim.factor / constant);
		dim.constant /= constant;
		product->factors[product->factor_count++] = dim;
	}
	if (__builtin_mul_overflow(product->constant, constant, &product->constant))
		return node_refuse(graph, node, -EOPNOTSUPP, "the shape is too large");
	return 0;
}

/* Removes what both products have. */
static void products_cancel(struct product *a, struct product *b)
{
	for (uint32_t left = 0; left < a->factor_count;) {
		uint32_t right = 0;

		while (right < b->factor_count && !dim_equal(a->factors[left], b->factors[right]))
			right++;
		if (right == b->factor_count) {
			left++;
			continue;
		}
		a->factors[left] = a->factors[--a->factor_count];
		b->factors[right] = b->factors[--b->factor_count];
	}
}

/* What -1 stands for: the input's elements divided by the other dims. */
static int reshape_rest(const struct graph *graph, const struct node *node,
			const struct product *whole, const struct product *given,
			struct dim *ret_rest)
{
	struct dim rest = dim_constant(1);

	if (given->factor_count > 0 || whole->factor_count > 1 || given->constant == 0)
		goto unclear;
	if (whole->factor_count == 1)
		rest = whole->factors[0];
	if (!dim_multiply(rest, dim_constant(whole->constant), &rest))
		goto unclear;
	if (rest.symbol < 0 && rest.constant % given->constant != 0)
		goto unclear;
	if (!dim_divide(rest, given->constant, ret_rest))
		goto unclear;
	return 0;
unclear:
	return node_refuse(graph, node, -EOPNOTSUPP,
			   "the size that -1 stands for is not a whole number in every batch");
}

static int reshape_dims(struct graph *graph, struct node *node, const struct dim known[],
			uint32_t count, struct dim dims[])
{
	const struct value *input = node_input(graph, node, 0);
	bool allow_zero = attribute_int(node, "allowzero", 0) != 0;
	struct product whole = {.constant = 1};
	struct product given = {.constant = 1};
	uint32_t unknown = GRAPH_NONE;
	char text[SHAPE_TEXT_BYTES];
	int r;

	for (uint32_t axis = 0; axis < input->rank; axis++) {
		r = product_add(graph, node, &whole, input->dims[axis]);
		if (r < 0)
			return err_trace(r);
	}
	for (uint32_t axis = 0; axis < count; axis++) {
		dims[axis] = known[axis];
		if (dim_is(known[axis], 0) && !allow_zero) {
			if (axis >= input->rank)
				return node_refuse(
					graph, node, -EINVAL,
					"dimension %u is copied, but the input has rank %u", axis,
					input->rank);
			dims[axis] = input->dims[axis];
		}
		if (dim_is(known[axis], -1)) {
			if (unknown != GRAPH_NONE)
				return node_refuse(graph, node, -EINVAL, "two dimensions are -1");
			unknown = axis;
			continue;
		}
		r = graph_require(graph, node, dims[axis]);
		if (r < 0)
			return err_trace(r);
		r = product_add(graph, node, &given, dims[axis]);
		if (r < 0)
			return err_trace(r);
	}
	products_cancel(&whole, &given);
	if (unknown != GRAPH_NONE)
		return reshape_rest(graph, node, &whole, &given, &dims[unknown]);
	if (whole.factor_count > 0 || given.factor_count > 0 || whole.constant != given.constant)
		return node_refuse(graph, node, -EINVAL,
				   "the input of shape %s does not have as many elements as the "
				   "shape it is given, in every batch",
				   shape_text(graph, input, text));
	return 0;
}

int infer_reshape(struct graph *graph, struct node *node)
{
	struct dim dims[GRAPH_KNOWN_MAX];
	const struct dim *known;
	uint32_t count;
	int r;

	r = infer_integers(graph, node, 1, "shape", &known, &count);
	if (r < 0)
		return err_trace(r);
	if (count > KERNEL_RANK_MAX)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "the output has %u dimensions; at most %d are supported", count,
				   KERNEL_RANK_MAX);
	r = reshape_dims(graph, node, known, count, dims);
	if (r < 0)
		return err_trace(r);
	return infer_view(graph, node, count, dims);
}

int infer_flatten(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	int64_t axis = attribute_int(node, "axis", 1);
	struct dim dims[2] = {dim_constant(1), dim_constant(1)};

	if (axis < -(int64_t)input->rank || axis > (int64_t)input->rank)
		return node_refuse(graph, node, -EINVAL, "axis %lld is outside rank %u",
				   (long long)axis, input->rank);
	if (axis < 0)
		axis += input->rank;
	for (uint32_t index = 0; index < input->rank; index++) {
		struct dim *dim = &dims[index < axis ? 0 : 1];

		if (!dim_multiply(*dim, input->dims[index], dim))
			return node_refuse(graph, node, -EOPNOTSUPP,
					   "a dimension would be the product of two free sizes");
	}
	return infer_view(graph, node, 2, dims);
}

int infer_squeeze(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	struct dim dims[KERNEL_RANK_MAX];
	uint32_t rank = 0;
	bool given;
	int r;

	r = infer_axes(graph, node, 1, input->rank, &given);
	if (r < 0)
		return err_trace(r);
	for (uint32_t axis = 0; axis < input->rank; axis++) {
		bool named = node->axes & (1U << axis);

		if (named && !dim_is(input->dims[axis], 1))
			return node_refuse(
				graph, node, -EINVAL,
				"axis %u is squeezed, but its size is not 1 in every batch", axis);
		if (named || (!given && dim_is(input->dims[axis], 1)))
			continue;
		dims[rank++] = input->dims[axis];
	}
	return infer_view(graph, node, rank, dims);
}

int infer_unsqueeze(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);
	const struct onnx_attribute *attribute = attribute_find(node, "axes");
	struct dim dims[KERNEL_RANK_MAX];
	const struct dim *known;
	uint32_t count = attribute ? attribute->count : 0;
	uint32_t source = 0;
	bool given;
	int r;

	if (node_has_input(node, 1)) {
		r = infer_integers(graph, node, 1, "axes", &known, &count);
		if (r < 0)
			return err_trace(r);
	}
	if (count == 0)
		return node_refuse(graph, node, -EINVAL, "axes are missing");
	if (count > KERNEL_RANK_MAX - input->rank)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "the output has %u dimensions; at most %d are supported",
				   input->rank + count, KERNEL_RANK_MAX);
	r = infer_axes(graph, node, 1, input->rank + count, &given);
	if (r < 0)
		return err_trace(r);
	for (uint32_t axis = 0; axis < input->rank + count; axis++)
		dims[axis] = node->axes & (1U << axis) ? dim_constant(1) : input->dims[source++];
	return infer_view(graph, node, input->rank + count, dims);
}

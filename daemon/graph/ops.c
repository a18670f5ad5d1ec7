/* SPDX-License-Identifier: MIT */
/* daemon/graph/ops.c - the operators: one table row, one shape rule, one lowering each */
#include "graph/ops.h"

#include <errno.h>
#include <string.h>

#include "kernels/binary.h"
#include "kernels/reduce.h"
#include "kernels/unary.h"

#define MANY UINT32_MAX

static const struct op ops[] = {
	{"Add", 7, 2, 2, 1, "", infer_binary, lower_binary, ROWS_ELEMENTWISE, KNOWN_ADD,
	 BINARY_ADD},
	{"Cast", 6, 1, 1, 1, "i:to", infer_cast, lower_cast, ROWS_ELEMENTWISE, KNOWN_CAST, 0},
	{"Clip", 6, 1, 3, 1, "f:min f:max", infer_clip, lower_unary, ROWS_ELEMENTWISE,
	 KNOWN_NOTHING, UNARY_CLIP},
	{"Concat", 4, 1, MANY, 1, "i:axis", infer_concat, lower_concat, ROWS_CONCAT, KNOWN_CONCAT,
	 0},
	{"ConcatFromSequence", 11, 1, 1, 1, "i:axis i:new_axis", infer_concat_from_sequence,
	 lower_expanded, ROWS_VIEW, KNOWN_NOTHING, 0},
	{"Constant", 1, 0, 0, 1, "t:value i:value_int I:value_ints f:value_float F:value_floats",
	 infer_constant, lower_view, ROWS_VIEW, KNOWN_NOTHING, 0},
	{"Div", 7, 2, 2, 1, "", infer_binary, lower_binary, ROWS_ELEMENTWISE, KNOWN_DIV,
	 BINARY_DIV},
	{"Flatten", 1, 1, 1, 1, "i:axis", infer_flatten, lower_view, ROWS_VIEW, KNOWN_NOTHING, 0},
	{"Gather", 1, 2, 2, 1, "i:axis", infer_gather, lower_gather, ROWS_GATHER, KNOWN_GATHER, 0},
	{"Gemm", 7, 2, 3, 1, "f:alpha f:beta i:transA i:transB", infer_gemm, lower_linear,
	 ROWS_LINEAR, KNOWN_NOTHING, 0},
	{"Identity", 1, 1, 1, 1, "", infer_identity, lower_view, ROWS_VIEW, KNOWN_VIEW, 0},
	{"If", 1, 1, 1, MANY, "g:then_branch g:else_branch", infer_if, lower_expanded, ROWS_VIEW,
	 KNOWN_NOTHING, 0},
	{"LayerNormalization", 17, 2, 3, 3, "i:axis f:epsilon i:stash_type", infer_layernorm,
	 lower_layernorm, ROWS_INNER, KNOWN_NOTHING, 0},
	{"Loop", 1, 2, MANY, MANY, "g:body", infer_loop, lower_expanded, ROWS_VIEW, KNOWN_NOTHING,
	 0},
	{"MatMul", 1, 2, 2, 1, "", infer_matmul, lower_linear, ROWS_LINEAR, KNOWN_NOTHING, 0},
	{"Max", 8, 1, MANY, 1, "", infer_variadic, lower_binary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 BINARY_MAX},
	{"Min", 8, 1, MANY, 1, "", infer_variadic, lower_binary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 BINARY_MIN},
	{"Mul", 7, 2, 2, 1, "", infer_binary, lower_binary, ROWS_ELEMENTWISE, KNOWN_MUL,
	 BINARY_MUL},
	{"Pow", 7, 2, 2, 1, "", infer_binary, lower_binary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 BINARY_POW},
	{"ReduceMean", 1, 1, 1, 1, "I:axes i:keepdims", infer_reduce, lower_reduce, ROWS_AXES,
	 KNOWN_NOTHING, REDUCE_MEAN},
	{"ReduceSum", 1, 1, 2, 1, "I:axes i:keepdims i:noop_with_empty_axes", infer_reduce,
	 lower_reduce, ROWS_AXES, KNOWN_NOTHING, REDUCE_SUM},
	{"Relu", 6, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_RELU},
	{"Reshape", 5, 2, 2, 1, "i:allowzero", infer_reshape, lower_view, ROWS_VIEW, KNOWN_VIEW, 0},
	{"SequenceAt", 11, 2, 2, 1, "", infer_sequence_at, lower_expanded,
	 ROWS_VIEW, KNOWN_NOTHING, 0},
	{"SequenceConstruct", 11, 1, MANY, 1, "", infer_sequence_construct, lower_expanded,
	 ROWS_VIEW, KNOWN_NOTHING, 0},
	{"SequenceEmpty", 11, 0, 0, 1, "i:dtype", infer_sequence_empty, lower_expanded,
	 ROWS_VIEW, KNOWN_NOTHING, 0},
	{"SequenceErase", 11, 1, 2, 1, "", infer_sequence_erase, lower_expanded,
	 ROWS_VIEW, KNOWN_NOTHING, 0},
	{"SequenceInsert", 11, 2, 3, 1, "", infer_sequence_insert, lower_expanded,
	 ROWS_VIEW, KNOWN_NOTHING, 0},
	{"SequenceLength", 11, 1, 1, 1, "", infer_sequence_length, lower_expanded,
	 ROWS_VIEW, KNOWN_NOTHING, 0},
	{"Shape", 1, 1, 1, 1, "i:start i:end", infer_shape, lower_view, ROWS_SHAPE, KNOWN_SHAPE, 0},
	{"Sigmoid", 6, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_SIGMOID},
	{"Slice", 1, 1, 5, 1, "I:starts I:ends I:axes", infer_slice, lower_slice, ROWS_SLICE,
	 KNOWN_SLICE, 0},
	{"Softmax", 1, 1, 1, 1, "i:axis", infer_softmax, lower_softmax, ROWS_INNER, KNOWN_NOTHING,
	 0},
	{"SplitToSequence", 11, 1, 2, 1, "i:axis i:keepdims", infer_split_to_sequence,
	 lower_expanded, ROWS_VIEW, KNOWN_NOTHING, 0},
	{"Sqrt", 6, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_SQRT},
	{"Squeeze", 1, 1, 2, 1, "I:axes", infer_squeeze, lower_view, ROWS_VIEW, KNOWN_VIEW, 0},
	{"Sub", 7, 2, 2, 1, "", infer_binary, lower_binary, ROWS_ELEMENTWISE, KNOWN_SUB,
	 BINARY_SUB},
	{"Tanh", 6, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_TANH},
	{"Transpose", 1, 1, 1, 1, "I:perm", infer_transpose, lower_transpose, ROWS_TRANSPOSE,
	 KNOWN_NOTHING, 0},
	{"Unsqueeze", 1, 1, 2, 1, "I:axes", infer_unsqueeze, lower_view, ROWS_VIEW, KNOWN_VIEW, 0},
};

const struct op *op_find(const char *name)
{
	for (size_t index = 0; index < sizeof(ops) / sizeof(ops[0]); index++) {
		if (strcmp(ops[index].name, name) == 0)
			return &ops[index];
	}
	return NULL;
}

const char *op_list(void)
{
	return "Add Cast Clip Concat ConcatFromSequence Constant Div Flatten Gather Gemm Identity If "
	       "LayerNormalization Loop MatMul Max Min Mul Pow ReduceMean ReduceSum Relu Reshape "
	       "SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert "
	       "SequenceLength Shape Sigmoid Slice Softmax SplitToSequence Sqrt Squeeze Sub Tanh "
	       "Transpose Unsqueeze";
}

void infer_output(struct graph *graph, struct node *node, uint32_t index, enum dtype dtype,
		  uint32_t rank, const struct dim dims[])
{
	struct value *output;

	if (!node_has_output(node, index))
		return;
	output = node_output(graph, node, index);
	output->kind = VALUE_COMPUTED;
	output->dtype = dtype;
	output->rank = rank;
	for (uint32_t axis = 0; axis < rank; axis++)
		output->dims[axis] = dims[axis];
}

int infer_same(struct graph *graph, struct node *node)
{
	const struct value *input = node_input(graph, node, 0);

	infer_output(graph, node, 0, input->dtype, input->rank, input->dims);
	return 0;
}

int infer_view(struct graph *graph, struct node *node, uint32_t rank, const struct dim dims[])
{
	const struct value *input = node_input(graph, node, 0);

	if (rank > KERNEL_RANK_MAX)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "the output has %u dimensions; at most %d are supported", rank,
				   KERNEL_RANK_MAX);
	infer_output(graph, node, 0, input->dtype, rank, dims);
	if (node_has_output(node, 0))
		node_output(graph, node, 0)->view_of = node->inputs[0];
	return 0;
}

int infer_broadcast(struct graph *graph, struct node *node, struct value *shape,
		    const struct value *other)
{
	uint32_t rank = shape->rank > other->rank ? shape->rank : other->rank;
	struct dim dims[KERNEL_RANK_MAX];
	char left[SHAPE_TEXT_BYTES];
	char right[SHAPE_TEXT_BYTES];

	for (uint32_t axis = 0; axis < rank; axis++) {
		uint32_t shape_lead = rank - shape->rank;
		uint32_t other_lead = rank - other->rank;
		struct dim a = axis < shape_lead ? dim_constant(1) : shape->dims[axis - shape_lead];
		struct dim b = axis < other_lead ? dim_constant(1) : other->dims[axis - other_lead];

		if (!dim_equal(a, b) && !dim_is(a, 1) && !dim_is(b, 1))
			return node_refuse(graph, node, -EINVAL,
					   "shapes %s and %s do not broadcast in every batch",
					   shape_text(graph, shape, left),
					   shape_text(graph, other, right));
		dims[axis] = dim_is(a, 1) ? b : a;
	}
	shape->rank = rank;
	memcpy(shape->dims, dims, rank * sizeof(dims[0]));
	return 0;
}

int infer_integers(struct graph *graph, struct node *node, uint32_t input, const char *what,
		   const struct dim **ret_values, uint32_t *ret_count)
{
	const struct value *value = node_input(graph, node, input);
	bool known;
	int r;

	if (value->dtype == DTYPE_F32)
		return node_refuse(graph, node, -EINVAL, "%s must be int32 or int64, not float32",
				   what);
	r = graph_known(graph, node->inputs[input], &known);
	if (r < 0)
		return err_trace(r);
	if (!known)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "%s ('%s') must be a constant of at most %d integers, or follow "
				   "from Shape; it is computed at run time",
				   what, value->name, GRAPH_KNOWN_MAX);
	*ret_values = value->known;
	*ret_count = value->known_count;
	return 0;
}

int infer_axes(struct graph *graph, struct node *node, uint32_t input, uint32_t rank,
	       bool *ret_given)
{
	const struct onnx_attribute *attribute = attribute_find(node, "axes");
	const struct dim *known = NULL;
	uint32_t count = 0;
	uint32_t axis;
	int r;

	node->axes = 0;
	if (node_has_input(node, input)) {
		r = infer_integers(graph, node, input, "axes", &known, &count);
		if (r < 0)
			return err_trace(r);
	} else if (attribute) {
		count = attribute->count;
	}
	*ret_given = count > 0;
	for (uint32_t index = 0; index < count; index++) {
		if (known && known[index].symbol >= 0)
			return node_refuse(graph, node, -EOPNOTSUPP, "axes must be constant");
		r = axis_normalize(graph, node,
				   known ? known[index].constant : attribute->ints[index], rank,
				   &axis);
		if (r < 0)
			return err_trace(r);
		if (node->axes & (1U << axis))
			return node_refuse(graph, node, -EINVAL, "axis %u is given twice", axis);
		node->axes |= 1U << axis;
	}
	return 0;
}

int require_f32(const struct graph *graph, const struct node *node, uint32_t input)
{
	if (!node_has_input(node, input) || node_input(graph, node, input)->dtype == DTYPE_F32)
		return 0;
	return node_refuse(graph, node, -EOPNOTSUPP, "input %u ('%s') is %s; supported: float32",
			   input, node_input(graph, node, input)->name,
			   dtype_name((int32_t)node_input(graph, node, input)->dtype));
}

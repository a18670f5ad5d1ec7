/* SPDX-License-Identifier: MIT */
/* daemon/graph/ops.c - the operators: one table row, one shape rule, one lowering each */
#include "graph/ops.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "kernels/binary.h"
#include "kernels/compare.h"
#include "kernels/reduce.h"
#include "kernels/unary.h"

#define MANY UINT32_MAX
#define LIST_BYTES 2048 /* of all names */

static const struct op ops[] = {
	{"Abs", 6, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_ABS, TYPES_WIDE},
	{"Add", 7, 2, 2, 1, "", infer_binary, lower_binary, ROWS_ELEMENTWISE, KNOWN_ADD, BINARY_ADD,
	 TYPES_WIDE},
	{"And", 7, 2, 2, 1, "", infer_compare, lower_compare, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 COMPARE_AND, TYPES_WIDE},
	{"ArgMax", 1, 1, 1, 1, "i:axis i:keepdims i:select_last_index", infer_arg, lower_arg,
	 ROWS_INNER, KNOWN_NOTHING, 0, TYPES_WIDE},
	{"ArgMin", 1, 1, 1, 1, "i:axis i:keepdims i:select_last_index", infer_arg, lower_arg,
	 ROWS_INNER, KNOWN_NOTHING, 1, TYPES_WIDE},
	{"BatchNormalization", 9, 5, 5, 5, "f:epsilon f:momentum i:training_mode", infer_batchnorm,
	 lower_batchnorm, ROWS_ELEMENTWISE, KNOWN_NOTHING, 0, TYPES_ANY},
	{"Cast", 6, 1, 1, 1, "i:to i:saturate", infer_cast, lower_cast, ROWS_ELEMENTWISE,
	 KNOWN_CAST, 0, TYPES_ANY},
	{"CastLike", 15, 2, 2, 1, "i:saturate", infer_cast, lower_cast, ROWS_VIEW, KNOWN_CAST, 0,
	 TYPES_ANY},
	{"Ceil", 6, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_CEIL, TYPES_WIDE},
	{"Clip", 6, 1, 3, 1, "f:min f:max", infer_clip, lower_unary, ROWS_ELEMENTWISE,
	 KNOWN_NOTHING, UNARY_CLIP, TYPES_WIDE},
	{"Concat", 4, 1, MANY, 1, "i:axis", infer_concat, lower_concat, ROWS_CONCAT, KNOWN_CONCAT,
	 0, TYPES_ANY},
	{"ConcatFromSequence", 11, 1, 1, 1, "i:axis i:new_axis", infer_concat_from_sequence,
	 lower_expanded, ROWS_VIEW, KNOWN_NOTHING, 0, TYPES_ANY},
	{"Constant", 1, 0, 0, 1, "t:value i:value_int I:value_ints f:value_float F:value_floats",
	 infer_constant, lower_view, ROWS_VIEW, KNOWN_NOTHING, 0, TYPES_ANY},
	{"ConstantOfShape", 9, 1, 1, 1, "t:value", infer_fill, lower_fill, ROWS_FILL, KNOWN_FILL, 0,
	 TYPES_ANY},
	{"Cos", 7, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_COS, TYPES_WIDE},
	{"CumSum", 11, 2, 2, 1, "i:exclusive i:reverse", infer_scan, lower_scan, ROWS_INNER,
	 KNOWN_NOTHING, 0, TYPES_WIDE},
	{"DequantizeLinear", 10, 2, 3, 1, "i:axis i:block_size", infer_dequantize, lower_quantize,
	 ROWS_ELEMENTWISE, KNOWN_NOTHING, 0, TYPES_ANY},
	{"Div", 7, 2, 2, 1, "", infer_binary, lower_binary, ROWS_ELEMENTWISE, KNOWN_DIV, BINARY_DIV,
	 TYPES_WIDE},
	{"Dropout", 7, 1, 3, 2, "f:ratio i:seed", infer_dropout, lower_dropout, ROWS_VIEW,
	 KNOWN_NOTHING, 0, TYPES_ANY},
	{"DynamicQuantizeLinear", 11, 1, 1, 3, "", infer_quantize_dynamic, lower_quantize_dynamic,
	 ROWS_OPAQUE, KNOWN_NOTHING, 0, TYPES_ANY},
	{"Einsum", 12, 1, MANY, 1, "s:equation", infer_einsum, lower_expanded, ROWS_VIEW,
	 KNOWN_NOTHING, 0, TYPES_ANY},
	{"Elu", 6, 1, 1, 1, "f:alpha", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_ELU, TYPES_WIDE},
	{"Equal", 7, 2, 2, 1, "", infer_compare, lower_compare, ROWS_ELEMENTWISE, KNOWN_EQUAL,
	 COMPARE_EQUAL, TYPES_WIDE},
	{"Erf", 9, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_ERF, TYPES_WIDE},
	{"Exp", 6, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_EXP, TYPES_WIDE},
	{"Expand", 8, 2, 2, 1, "", infer_expand, lower_expand, ROWS_EXPAND, KNOWN_EXPAND, 0,
	 TYPES_ANY},
	{"Flatten", 1, 1, 1, 1, "i:axis", infer_flatten, lower_view, ROWS_VIEW, KNOWN_NOTHING, 0,
	 TYPES_ANY},
	{"Floor", 6, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_FLOOR, TYPES_WIDE},
	{"Gather", 1, 2, 2, 1, "i:axis", infer_gather, lower_gather, ROWS_GATHER, KNOWN_GATHER, 0,
	 TYPES_ANY},
	{"GatherElements", 11, 2, 2, 1, "i:axis", infer_gather_elements, lower_gather_elements,
	 ROWS_GATHER_ELEMENTS, KNOWN_GATHER, 0, TYPES_ANY},
	{"GatherND", 11, 2, 2, 1, "i:batch_dims", infer_gather_nd, lower_gather_nd, ROWS_GATHER_ND,
	 KNOWN_GATHER_ND, 0, TYPES_ANY},
	{"Gelu", 20, 1, 1, 1, "s:approximate", infer_gelu, lower_unary, ROWS_ELEMENTWISE,
	 KNOWN_NOTHING, UNARY_GELU, TYPES_WIDE},
	{"Gemm", 7, 2, 3, 1, "f:alpha f:beta i:transA i:transB", infer_gemm, lower_linear,
	 ROWS_LINEAR, KNOWN_NOTHING, 0, TYPES_WIDE},
	{"Greater", 7, 2, 2, 1, "", infer_compare, lower_compare, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 COMPARE_GREATER, TYPES_WIDE},
	{"GreaterOrEqual", 12, 2, 2, 1, "", infer_compare, lower_compare, ROWS_ELEMENTWISE,
	 KNOWN_NOTHING, COMPARE_GREATER_OR_EQUAL, TYPES_WIDE},
	{"HardSigmoid", 6, 1, 1, 1, "f:alpha f:beta", infer_unary, lower_unary, ROWS_ELEMENTWISE,
	 KNOWN_NOTHING, UNARY_HARD_SIGMOID, TYPES_WIDE},
	{"HardSwish", 14, 1, 1, 1, "", infer_unary, lower_hard_swish, ROWS_ELEMENTWISE,
	 KNOWN_NOTHING, UNARY_HARD_SIGMOID, TYPES_WIDE},
	{"Identity", 1, 1, 1, 1, "", infer_identity, lower_view, ROWS_VIEW, KNOWN_VIEW, 0,
	 TYPES_ANY},
	{"If", 1, 1, 1, MANY, "g:then_branch g:else_branch", infer_if, lower_expanded, ROWS_VIEW,
	 KNOWN_NOTHING, 0, TYPES_ANY},
	{"IsNaN", 9, 1, 1, 1, "", infer_is_nan, lower_compare, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 COMPARE_NOT_EQUAL, TYPES_WIDE},
	{"LayerNormalization", 17, 2, 3, 3, "i:axis f:epsilon i:stash_type", infer_layernorm,
	 lower_layernorm, ROWS_INNER, KNOWN_NOTHING, 0, TYPES_WIDE},
	{"LeakyRelu", 6, 1, 1, 1, "f:alpha", infer_unary, lower_unary, ROWS_ELEMENTWISE,
	 KNOWN_NOTHING, UNARY_LEAKY_RELU, TYPES_WIDE},
	{"Less", 7, 2, 2, 1, "", infer_compare, lower_compare, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 COMPARE_LESS, TYPES_WIDE},
	{"LessOrEqual", 12, 2, 2, 1, "", infer_compare, lower_compare, ROWS_ELEMENTWISE,
	 KNOWN_NOTHING, COMPARE_LESS_OR_EQUAL, TYPES_WIDE},
	{"Log", 6, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_LOG, TYPES_WIDE},
	{"LogSoftmax", 1, 1, 1, 1, "i:axis", infer_softmax, lower_softmax, ROWS_INNER,
	 KNOWN_NOTHING, 1, TYPES_WIDE},
	{"Loop", 1, 2, MANY, MANY, "g:body", infer_loop, lower_expanded, ROWS_VIEW, KNOWN_NOTHING,
	 0, TYPES_ANY},
	{"MatMul", 1, 2, 2, 1, "", infer_matmul, lower_linear, ROWS_LINEAR, KNOWN_NOTHING, 0,
	 TYPES_WIDE},
	{"MatMulInteger", 10, 2, 4, 1, "", infer_matmul_integer, lower_matmul_integer, ROWS_LINEAR,
	 KNOWN_NOTHING, 0, TYPES_ANY},
	{"Max", 8, 1, MANY, 1, "", infer_variadic, lower_binary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 BINARY_MAX, TYPES_WIDE},
	{"Mean", 8, 1, MANY, 1, "", infer_variadic, lower_mean, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 BINARY_ADD, TYPES_WIDE},
	{"Min", 8, 1, MANY, 1, "", infer_variadic, lower_binary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 BINARY_MIN, TYPES_WIDE},
	{"Mod", 10, 2, 2, 1, "i:fmod", infer_mod, lower_binary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 BINARY_MOD, TYPES_WIDE},
	{"Mul", 7, 2, 2, 1, "", infer_binary, lower_binary, ROWS_ELEMENTWISE, KNOWN_MUL, BINARY_MUL,
	 TYPES_WIDE},
	{"Neg", 6, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_NEG, TYPES_WIDE},
	{"NonZero", 9, 1, 1, 1, "", infer_non_zero, lower_view, ROWS_VIEW, KNOWN_NOTHING, 0,
	 TYPES_ANY},
	{"Not", 1, 1, 1, 1, "", infer_not, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING, UNARY_NOT,
	 TYPES_WIDE},
	{"Or", 7, 2, 2, 1, "", infer_compare, lower_compare, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 COMPARE_OR, TYPES_WIDE},
	{"PRelu", 7, 2, 2, 1, "", infer_binary, lower_binary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 BINARY_PRELU, TYPES_WIDE},
	{"Pad", 2, 1, 4, 1, "s:mode I:pads f:value", infer_pad, lower_pad, ROWS_INNER,
	 KNOWN_NOTHING, 0, TYPES_ANY},
	{"Pow", 7, 2, 2, 1, "", infer_binary, lower_binary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 BINARY_POW, TYPES_WIDE},
	{"QuantizeLinear", 10, 2, 3, 1, "i:axis i:block_size i:output_dtype i:saturate",
	 infer_quantize, lower_quantize, ROWS_ELEMENTWISE, KNOWN_NOTHING, 0, TYPES_ANY},
	{"Range", 11, 3, 3, 1, "", infer_range, lower_range, ROWS_OPAQUE, KNOWN_NOTHING, 0,
	 TYPES_ANY},
	{"Reciprocal", 6, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_RECIPROCAL, TYPES_WIDE},
	{"ReduceL1", 1, 1, 2, 1, "I:axes i:keepdims i:noop_with_empty_axes", infer_reduce,
	 lower_norm, ROWS_AXES, KNOWN_NOTHING, UNARY_ABS, TYPES_WIDE},
	{"ReduceL2", 1, 1, 2, 1, "I:axes i:keepdims i:noop_with_empty_axes", infer_reduce,
	 lower_norm, ROWS_AXES, KNOWN_NOTHING, UNARY_SQRT, TYPES_WIDE},
	{"ReduceLogSum", 1, 1, 2, 1, "I:axes i:keepdims i:noop_with_empty_axes", infer_reduce,
	 lower_norm, ROWS_AXES, KNOWN_NOTHING, UNARY_LOG, TYPES_WIDE},
	{"ReduceLogSumExp", 1, 1, 2, 1, "I:axes i:keepdims i:noop_with_empty_axes", infer_reduce,
	 lower_log_sum_exp, ROWS_AXES, KNOWN_NOTHING, UNARY_EXP, TYPES_WIDE},
	{"ReduceMax", 1, 1, 2, 1, "I:axes i:keepdims i:noop_with_empty_axes", infer_reduce,
	 lower_reduce, ROWS_AXES, KNOWN_NOTHING, REDUCE_MAX, TYPES_WIDE},
	{"ReduceMean", 1, 1, 2, 1, "I:axes i:keepdims i:noop_with_empty_axes", infer_reduce,
	 lower_reduce, ROWS_AXES, KNOWN_NOTHING, REDUCE_MEAN, TYPES_WIDE},
	{"ReduceMin", 1, 1, 2, 1, "I:axes i:keepdims i:noop_with_empty_axes", infer_reduce,
	 lower_reduce, ROWS_AXES, KNOWN_NOTHING, REDUCE_MIN, TYPES_WIDE},
	{"ReduceProd", 1, 1, 2, 1, "I:axes i:keepdims i:noop_with_empty_axes", infer_reduce,
	 lower_reduce, ROWS_AXES, KNOWN_PRODUCT, REDUCE_PROD, TYPES_WIDE},
	{"ReduceSum", 1, 1, 2, 1, "I:axes i:keepdims i:noop_with_empty_axes", infer_reduce,
	 lower_reduce, ROWS_AXES, KNOWN_NOTHING, REDUCE_SUM, TYPES_WIDE},
	{"ReduceSumSquare", 1, 1, 2, 1, "I:axes i:keepdims i:noop_with_empty_axes", infer_reduce,
	 lower_norm, ROWS_AXES, KNOWN_NOTHING, UNARY_RELU, TYPES_WIDE},
	{"Relu", 6, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_RELU, TYPES_WIDE},
	{"Reshape", 5, 2, 2, 1, "i:allowzero", infer_reshape, lower_view, ROWS_VIEW, KNOWN_VIEW, 0,
	 TYPES_ANY},
	{"Round", 11, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_ROUND, TYPES_WIDE},
	{"ScatterElements", 11, 3, 3, 1, "i:axis s:reduction", infer_scatter_elements,
	 lower_expanded, ROWS_VIEW, KNOWN_NOTHING, 0, TYPES_ANY},
	{"ScatterND", 11, 3, 3, 1, "s:reduction", infer_scatter_nd, lower_scatter_nd, ROWS_OPAQUE,
	 KNOWN_SCATTER_ND, 0, TYPES_ANY},
	{"SequenceAt", 11, 2, 2, 1, "", infer_sequence_at, lower_expanded, ROWS_VIEW, KNOWN_NOTHING,
	 0, TYPES_ANY},
	{"SequenceConstruct", 11, 1, MANY, 1, "", infer_sequence_construct, lower_expanded,
	 ROWS_VIEW, KNOWN_NOTHING, 0, TYPES_ANY},
	{"SequenceEmpty", 11, 0, 0, 1, "i:dtype", infer_sequence_empty, lower_expanded, ROWS_VIEW,
	 KNOWN_NOTHING, 0, TYPES_ANY},
	{"SequenceErase", 11, 1, 2, 1, "", infer_sequence_erase, lower_expanded, ROWS_VIEW,
	 KNOWN_NOTHING, 0, TYPES_ANY},
	{"SequenceInsert", 11, 2, 3, 1, "", infer_sequence_insert, lower_expanded, ROWS_VIEW,
	 KNOWN_NOTHING, 0, TYPES_ANY},
	{"SequenceLength", 11, 1, 1, 1, "", infer_sequence_length, lower_expanded, ROWS_VIEW,
	 KNOWN_NOTHING, 0, TYPES_ANY},
	{"Shape", 1, 1, 1, 1, "i:start i:end", infer_shape, lower_view, ROWS_SHAPE, KNOWN_SHAPE, 0,
	 TYPES_ANY},
	{"Sigmoid", 6, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_SIGMOID, TYPES_WIDE},
	{"Sign", 9, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_SIGN, TYPES_WIDE},
	{"Sin", 7, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_SIN, TYPES_WIDE},
	{"Size", 1, 1, 1, 1, "", infer_size, lower_view, ROWS_SHAPE, KNOWN_SIZE, 0, TYPES_ANY},
	{"Slice", 1, 1, 5, 1, "I:starts I:ends I:axes", infer_slice, lower_slice, ROWS_SLICE,
	 KNOWN_SLICE, 0, TYPES_ANY},
	{"Softmax", 1, 1, 1, 1, "i:axis", infer_softmax, lower_softmax, ROWS_INNER, KNOWN_NOTHING,
	 0, TYPES_WIDE},
	{"Softplus", 1, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_SOFTPLUS, TYPES_WIDE},
	{"Split", 2, 1, 2, MANY, "i:axis I:split i:num_outputs", infer_split, lower_split,
	 ROWS_INNER, KNOWN_NOTHING, 0, TYPES_ANY},
	{"SplitToSequence", 11, 1, 2, 1, "i:axis i:keepdims", infer_split_to_sequence,
	 lower_expanded, ROWS_VIEW, KNOWN_NOTHING, 0, TYPES_ANY},
	{"Sqrt", 6, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_SQRT, TYPES_WIDE},
	{"Squeeze", 1, 1, 2, 1, "I:axes", infer_squeeze, lower_view, ROWS_VIEW, KNOWN_VIEW, 0,
	 TYPES_ANY},
	{"Sub", 7, 2, 2, 1, "", infer_binary, lower_binary, ROWS_ELEMENTWISE, KNOWN_SUB, BINARY_SUB,
	 TYPES_WIDE},
	{"Sum", 8, 1, MANY, 1, "", infer_variadic, lower_binary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 BINARY_ADD, TYPES_WIDE},
	{"Tanh", 6, 1, 1, 1, "", infer_unary, lower_unary, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 UNARY_TANH, TYPES_WIDE},
	{"Tile", 6, 2, 2, 1, "", infer_tile, lower_tile, ROWS_INNER, KNOWN_NOTHING, 0, TYPES_ANY},
	{"TopK", 1, 1, 2, 2, "i:axis i:k i:largest i:sorted", infer_topk, lower_topk, ROWS_INNER,
	 KNOWN_NOTHING, 0, TYPES_WIDE},
	{"Transpose", 1, 1, 1, 1, "I:perm", infer_transpose, lower_transpose, ROWS_TRANSPOSE,
	 KNOWN_NOTHING, 0, TYPES_ANY},
	{"Unsqueeze", 1, 1, 2, 1, "I:axes", infer_unsqueeze, lower_view, ROWS_VIEW, KNOWN_VIEW, 0,
	 TYPES_ANY},
	{"Where", 9, 3, 3, 1, "", infer_where, lower_where, ROWS_ELEMENTWISE, KNOWN_WHERE, 0,
	 TYPES_ANY},
	{"Xor", 7, 2, 2, 1, "", infer_compare, lower_compare, ROWS_ELEMENTWISE, KNOWN_NOTHING,
	 COMPARE_XOR, TYPES_WIDE},
};

const struct op *op_find(const char *name)
{
	for (size_t index = 0; index < sizeof(ops) / sizeof(ops[0]); index++) {
		if (strcmp(ops[index].name, name) == 0)
			return &ops[index];
	}
	return NULL;
}

static char list[LIST_BYTES];

static void list_make(void)
{
	size_t used = 0;

	for (size_t index = 0; index < sizeof(ops) / sizeof(ops[0]); index++) {
		int written = snprintf(list + used, sizeof(list) - used, "%s%s",
				       index > 0 ? " " : "", ops[index].name);

		used += (size_t)written < sizeof(list) - used ? (size_t)written : 0;
	}
}

const char *op_list(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, list_make);
	return list;
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

	if (!dtype_is_index(value->dtype))
		return node_refuse(graph, node, -EINVAL, "%s must be int32 or int64, not %s", what,
				   dtype_name((int32_t)value->dtype));
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

int require_float(const struct graph *graph, const struct node *node, uint32_t input)
{
	if (!node_has_input(node, input) || dtype_is_float(node_input(graph, node, input)->dtype))
		return 0;
	return node_refuse(graph, node, -EOPNOTSUPP,
			   "input %u ('%s') is %s; supported: float32, float16, bfloat16", input,
			   node_input(graph, node, input)->name,
			   dtype_name((int32_t)node_input(graph, node, input)->dtype));
}

int require_same_type(const struct graph *graph, const struct node *node, uint32_t input)
{
	const struct value *first = node_input(graph, node, 0);
	const struct value *value;

	if (!node_has_input(node, input))
		return 0;
	value = node_input(graph, node, input);
	if (value->dtype == first->dtype)
		return 0;
	return node_refuse(graph, node, -EINVAL, "it mixes %s and %s",
			   dtype_name((int32_t)first->dtype), dtype_name((int32_t)value->dtype));
}

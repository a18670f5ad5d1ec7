/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/known.c - integers that are known before a run, symbols included
 *
 * Exporters write sizes as graphs: Shape, Gather, Unsqueeze, Concat, Reshape.
 * Their small integer values are followed here as dims, so that a Reshape finds
 * [batch, 432] and the chain that computed it is never run.
 */
#include <errno.h>
#include <string.h>

#include "graph/graph.h"
#include "graph/ops.h"

struct known {
	struct dim dims[GRAPH_KNOWN_MAX];
	uint32_t count;
};

/* A size of a run is at least 0, so it is no negative constant. */
static bool known_equal(struct dim a, struct dim b, struct dim *ret_truth)
{
	bool is_apart = a.symbol < 0 && b.symbol < 0;

	is_apart = is_apart || (a.symbol < 0 && a.constant < 0 && dim_is_natural(b)) ||
		   (b.symbol < 0 && b.constant < 0 && dim_is_natural(a));
	*ret_truth = dim_constant(dim_equal(a, b));
	return is_apart || dim_equal(a, b);
}

static bool known_binary(enum known_rule rule, const struct value *a, const struct value *b,
			 struct known *result)
{
	uint32_t count = a->known_count > b->known_count ? a->known_count : b->known_count;

	if (a->known_count == 0 || b->known_count == 0)
		return false;
	for (uint32_t index = 0; index < count; index++) {
		struct dim left = a->known[a->known_count == 1 ? 0 : index];
		struct dim right = b->known[b->known_count == 1 ? 0 : index];
		struct dim *out = &result->dims[index];
		bool fits;

		switch (rule) {
		case KNOWN_ADD:
			fits = dim_add(left, right, out);
			break;
		case KNOWN_SUB:
			fits = dim_subtract(left, right, out);
			break;
		case KNOWN_MUL:
			fits = dim_multiply(left, right, out);
			break;
		case KNOWN_EQUAL:
			fits = known_equal(left, right, out);
			break;
		default:
			fits = right.symbol < 0 && dim_divide(left, right.constant, out);
			break;
		}
		if (!fits)
			return false;
	}
	result->count = count;
	return true;
}

/* Element `index` of a value that is broadcast. */
static struct dim known_at(const struct value *value, uint32_t index)
{
	return value->known[value->known_count == 1 ? 0 : index];
}

static bool known_where(const struct graph *graph, const struct node *node, struct known *result)
{
	const struct value *values[3];

	for (uint32_t input = 0; input < 3; input++) {
		values[input] = node_input(graph, node, input);
		if (values[input]->known_count == 0)
			return false;
		if (values[input]->known_count > result->count)
			result->count = values[input]->known_count;
	}
	for (uint32_t index = 0; index < result->count; index++)
		result->dims[index] =
			known_at(values[known_at(values[0], index).constant ? 1 : 2], index);
	return true;
}

/* Expand and ConstantOfShape: to as many as the output has. */
static bool known_repeat(const struct value *output, struct dim only, struct known *result)
{
	int64_t count = output->rank == 0 ? 1 : output->dims[0].constant;

	if ((output->rank > 0 && output->dims[0].symbol >= 0) || count > GRAPH_KNOWN_MAX)
		return false;
	for (result->count = 0; result->count < count; result->count++)
		result->dims[result->count] = only;
	return true;
}

static bool known_product(const struct value *input, struct known *result)
{
	result->count = 1;
	result->dims[0] = dim_constant(1);
	for (uint32_t index = 0; index < input->known_count; index++) {
		if (!dim_multiply(result->dims[0], input->known[index], &result->dims[0]))
			return false;
	}
	return true;
}

static bool known_size(const struct value *input, struct known *result)
{
	result->count = 1;
	result->dims[0] = dim_constant(1);
	for (uint32_t axis = 0; axis < input->rank; axis++) {
		if (!dim_multiply(result->dims[0], input->dims[axis], &result->dims[0]))
			return false;
	}
	return true;
}

/* To bool only what is 0 or 1 already. */
static bool known_cast(const struct value *input, enum dtype to, struct known *result)
{
	for (uint32_t index = 0; index < input->known_count; index++) {
		struct dim dim = input->known[index];

		if (to == DTYPE_BOOL && !dim_is(dim, 0) && !dim_is(dim, 1))
			return false;
		result->dims[index] = dim;
	}
	result->count = input->known_count;
	return true;
}

static bool known_gather(const struct value *data, const struct value *ids, struct known *result)
{
	if (data->rank != 1 || ids->rank > 1)
		return false;
	for (uint32_t index = 0; index < ids->known_count; index++) {
		int64_t id = ids->known[index].constant;

		if (ids->known[index].symbol >= 0)
			return false;
		if (id < 0)
			id += data->known_count;
		if (id < 0 || id >= data->known_count)
			return false;
		result->dims[index] = data->known[id];
	}
	result->count = ids->known_count;
	return true;
}

/* Where each of a few constant points of one id is in the `count` elements that are known. */
static bool known_points(const struct graph *graph, const struct node *node, uint32_t count,
			 uint32_t places[GRAPH_KNOWN_MAX], uint32_t *ret_count)
{
	const struct value *ids = node_input(graph, node, 1);

	if (ids->kind != VALUE_CONSTANT || !ids->data || constant_elements(ids) > GRAPH_KNOWN_MAX)
		return false;
	*ret_count = (uint32_t)constant_elements(ids);
	for (uint32_t index = 0; index < *ret_count; index++) {
		int64_t id = constant_integer(ids, index);

		places[index] = (uint32_t)(id < 0 ? id + count : id);
		if (places[index] >= count)
			return false;
	}
	return true;
}

static bool known_gather_nd(const struct graph *graph, const struct node *node,
			    struct known *result)
{
	const struct value *data = node_input(graph, node, 0);
	uint32_t places[GRAPH_KNOWN_MAX];

	if (data->rank != 1 ||
	    !known_points(graph, node, data->known_count, places, &result->count))
		return false;
	for (uint32_t index = 0; index < result->count; index++)
		result->dims[index] = data->known[places[index]];
	return true;
}

static bool known_scatter_nd(const struct graph *graph, const struct node *node,
			     struct known *result)
{
	const struct onnx_attribute *reduction = attribute_find(node, "reduction");
	const struct value *data = node_input(graph, node, 0);
	const struct value *updates = node_input(graph, node, 2);
	uint32_t places[GRAPH_KNOWN_MAX];
	uint32_t count;

	if (data->rank != 1 || (reduction && strcmp(reduction->s, "none") != 0) ||
	    !known_points(graph, node, data->known_count, places, &count))
		return false;
	memcpy(result->dims, data->known, data->known_count * sizeof(result->dims[0]));
	result->count = data->known_count;
	for (uint32_t index = 0; index < count; index++)
		result->dims[places[index]] = updates->known[index];
	return true;
}

static bool known_concat(const struct graph *graph, const struct node *node, struct known *result)
{
	for (uint32_t input = 0; input < node->input_count; input++) {
		const struct value *value = node_input(graph, node, input);

		if (value->known_count > GRAPH_KNOWN_MAX - result->count)
			return false;
		memcpy(&result->dims[result->count], value->known,
		       value->known_count * sizeof(result->dims[0]));
		result->count += value->known_count;
	}
	return true;
}

static bool known_slice(const struct node *node, const struct value *data,
			const struct value *output, struct known *result)
{
	if (data->rank != 1 || output->dims[0].symbol >= 0 || node->starts[0].symbol >= 0 ||
	    output->dims[0].constant > GRAPH_KNOWN_MAX)
		return false;
	result->count = (uint32_t)output->dims[0].constant;
	for (uint32_t index = 0; index < result->count; index++) {
		int64_t source = node->starts[0].constant + (int64_t)index * node->steps[0];

		if (source < 0 || source >= data->known_count)
			return false;
		result->dims[index] = data->known[source];
	}
	return true;
}

static void known_shape(const struct graph *graph, const struct node *node, struct known *result)
{
	const struct value *input = node_input(graph, node, 0);
	const struct value *output = node_output(graph, node, 0);

	result->count = (uint32_t)output->dims[0].constant;
	memcpy(result->dims, &input->dims[node->axis], result->count * sizeof(result->dims[0]));
}

/* The inputs that the rule reads are known when this is called. */
static bool known_apply(const struct graph *graph, const struct node *node, struct known *result)
{
	const struct value *first = node_input(graph, node, 0);

	switch (node->op->known) {
	case KNOWN_CAST:
		return known_cast(first, node_output(graph, node, 0)->dtype, result);
	case KNOWN_WHERE:
		return known_where(graph, node, result);
	case KNOWN_EXPAND:
		if (first->known_count == 1)
			return known_repeat(node_output(graph, node, 0), first->known[0], result);
		result->count = first->known_count;
		memcpy(result->dims, first->known, result->count * sizeof(result->dims[0]));
		return dim_is(node_output(graph, node, 0)->dims[0], result->count);
	case KNOWN_FILL:
		return known_repeat(node_output(graph, node, 0), node->starts[0], result);
	case KNOWN_PRODUCT:
		return node->axes != 0 && known_product(first, result);
	case KNOWN_SIZE:
		return known_size(first, result);
	case KNOWN_VIEW:
		memcpy(result->dims, first->known, first->known_count * sizeof(result->dims[0]));
		result->count = first->known_count;
		return true;
	case KNOWN_SHAPE:
		known_shape(graph, node, result);
		return true;
	case KNOWN_GATHER:
		return known_gather(first, node_input(graph, node, 1), result);
	case KNOWN_GATHER_ND:
		return known_gather_nd(graph, node, result);
	case KNOWN_SCATTER_ND:
		return known_scatter_nd(graph, node, result);
	case KNOWN_SLICE:
		return known_slice(node, first, node_output(graph, node, 0), result);
	case KNOWN_CONCAT:
		return known_concat(graph, node, result);
	default:
		return known_binary(node->op->known, first, node_input(graph, node, 1), result);
	}
}

/* Constants wrap as the kernels do, so values outside int32 are left to them. */
static bool fits_dtype(const struct known *known, enum dtype dtype)
{
	for (uint32_t index = 0; dtype == DTYPE_I32 && index < known->count; index++) {
		struct dim dim = known->dims[index];

		if (dim.constant > INT32_MAX || dim.constant < INT32_MIN)
			return false;
	}
	return true;
}

static int known_set(struct graph *graph, struct value *value, const struct known *known)
{
	bool is_constant = true;
	struct dim *dims;
	char *data;

	dims = graph_allocate(graph, GRAPH_KNOWN_MAX, sizeof(*dims));
	if (!dims)
		return err_trace(-ENOMEM);
	memcpy(dims, known->dims, known->count * sizeof(*dims));
	value->known = dims;
	value->known_count = known->count;

	for (uint32_t index = 0; index < known->count; index++)
		is_constant = is_constant && dims[index].symbol < 0;
	if (!is_constant)
		return 0;
	data = graph_allocate(graph, GRAPH_KNOWN_MAX, sizeof(int64_t));
	if (!data)
		return err_trace(-ENOMEM);
	for (uint32_t index = 0; index < known->count; index++) {
		int32_t narrow = (int32_t)dims[index].constant;

		if (value->dtype == DTYPE_BOOL)
			data[index] = (char)dims[index].constant;
		else if (value->dtype == DTYPE_I64)
			memcpy(data + index * sizeof(int64_t), &dims[index].constant,
			       sizeof(int64_t));
		else
			memcpy(data + index * sizeof(narrow), &narrow, sizeof(narrow));
	}
	value->kind = VALUE_CONSTANT;
	value->data = data;
	value->view_of = GRAPH_NONE;
	return 0;
}

/* How many inputs must be known, from the first on. */
static uint32_t known_reads(const struct node *node)
{
	switch (node->op->known) {
	case KNOWN_SHAPE:
	case KNOWN_FILL:
	case KNOWN_SIZE:
		return 0;
	case KNOWN_VIEW:
	case KNOWN_CAST:
	case KNOWN_SLICE:
	case KNOWN_EXPAND:
	case KNOWN_PRODUCT:
		return 1;
	default:
		return node->input_count;
	}
}

/* Points have more dimensions than what is known; their rules look at the constant itself. */
static bool is_points(const struct node *node, uint32_t input)
{
	return input == 1 &&
	       (node->op->known == KNOWN_GATHER_ND || node->op->known == KNOWN_SCATTER_ND);
}

int known_infer(struct graph *graph, const struct node *node)
{
	struct known result = {.count = 0};
	struct value *output;
	uint32_t reads;
	int r;

	if (node->op->known == KNOWN_NOTHING || !node_has_output(node, 0))
		return 0;
	output = node_output(graph, node, 0);
	if ((!dtype_is_index(output->dtype) && output->dtype != DTYPE_BOOL) || output->rank > 1)
		return 0;
	reads = known_reads(node);
	for (uint32_t input = 0; input < reads; input++) {
		bool known;

		if (is_points(node, input))
			continue;
		r = graph_known(graph, node->inputs[input], &known);
		if (r < 0)
			return err_trace(r);
		if (!known)
			return 0;
	}
	if (!known_apply(graph, node, &result) || !fits_dtype(&result, output->dtype))
		return 0;
	r = known_set(graph, output, &result);
	if (r < 0)
		return err_trace(r);
	return 0;
}

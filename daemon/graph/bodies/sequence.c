/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/bodies/sequence.c - sequences of tensors are lists of values that are known at load
 *
 * A sequence has no bytes: whoever takes a tensor out of one reads that tensor. Of what a loop of
 * nn.EmbeddingBag collects, only all tensors together are known (graph/bodies/find_sequence_bag.c).
 */
#include <errno.h>
#include <string.h>

#include "graph/bodies/control.h"
#include "graph/ops.h"

static int sequence_set(struct graph *graph, const struct node *node, const uint32_t items[],
			uint32_t item_count)
{
	struct value *output = node_output(graph, node, 0);

	output->kind = VALUE_SEQUENCE;
	output->items = items;
	output->item_count = item_count;
	return 0;
}

static int sequence_input(const struct graph *graph, const struct node *node,
			  const struct value **ret_sequence)
{
	const struct value *value = node_input(graph, node, 0);

	if (!node_has_output(node, 0))
		return node_refuse(graph, node, -EINVAL, "it has no output");
	if (value->kind != VALUE_SEQUENCE)
		return node_refuse(graph, node, -EINVAL, "input '%s' is not a sequence",
				   value->name);
	if (value->items_joined && node->op->infer != infer_concat_from_sequence)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "how many tensors the sequence '%s' has is known in a run alone; "
				   "supported: ConcatFromSequence along axis 0",
				   value->name);
	*ret_sequence = value;
	return 0;
}

/* A tensor of this node that goes into a sequence. */
static int tensor_check(const struct graph *graph, const struct node *node, uint32_t input)
{
	if (node_input(graph, node, input)->kind != VALUE_SEQUENCE)
		return 0;
	return node_refuse(graph, node, -EINVAL, "input '%s' is a sequence; a tensor is wanted",
			   node_input(graph, node, input)->name);
}

/* Position `input`, or `otherwise`; -count <= position < limit, from the front. */
static int sequence_position(struct graph *graph, const struct node *node, uint32_t input,
			     int64_t count, int64_t limit, int64_t otherwise, int64_t *ret_position)
{
	const struct value *value;
	int64_t position;
	bool known;
	int r;

	*ret_position = otherwise;
	if (!node_has_input(node, input))
		return 0;
	value = node_input(graph, node, input);
	r = value->kind == VALUE_SEQUENCE ? -EINVAL
					  : graph_known(graph, node->inputs[input], &known);
	if (value->kind == VALUE_SEQUENCE)
		return node_refuse(graph, node, -EINVAL, "the position '%s' is a sequence",
				   value->name);
	if (r < 0)
		return err_trace(r);
	if (!known || value->known_count != 1 || value->known[0].symbol >= 0)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "the position ('%s') is computed at run time; supported: a "
				   "constant",
				   value->name);
	position = value->known[0].constant;
	if (position < -count || position >= limit)
		return node_refuse(graph, node, -EINVAL,
				   "position %lld is outside a sequence of %lld tensors",
				   (long long)position, (long long)count);
	*ret_position = position < 0 ? position + count : position;
	return 0;
}

int infer_sequence_empty(struct graph *graph, struct node *node)
{
	if (!node_has_output(node, 0))
		return node_refuse(graph, node, -EINVAL, "it has no output");
	return sequence_set(graph, node, NULL, 0);
}

int infer_sequence_construct(struct graph *graph, struct node *node)
{
	int r;

	if (!node_has_output(node, 0))
		return node_refuse(graph, node, -EINVAL, "it has no output");
	if (node->input_count > CONTROL_ITEMS_MAX)
		return node_refuse(graph, node, -EOPNOTSUPP, "%u tensors; at most %d are supported",
				   node->input_count, CONTROL_ITEMS_MAX);
	for (uint32_t input = 0; input < node->input_count; input++) {
		r = tensor_check(graph, node, input);
		if (r < 0)
			return err_trace(r);
	}
	return sequence_set(graph, node, node->inputs, node->input_count);
}

int infer_sequence_insert(struct graph *graph, struct node *node)
{
	const struct value *sequence;
	int64_t position;
	uint32_t *items;
	uint32_t count;
	int r;

	r = sequence_input(graph, node, &sequence);
	if (r >= 0)
		r = tensor_check(graph, node, 1);
	if (r < 0)
		return err_trace(r);
	count = sequence->item_count;
	if (count == CONTROL_ITEMS_MAX)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "the sequence has more than %d tensors; at most so many are "
				   "supported",
				   CONTROL_ITEMS_MAX);
	r = sequence_position(graph, node, 2, count, (int64_t)count + 1, count, &position);
	if (r < 0)
		return err_trace(r);
	items = graph_allocate(graph, (size_t)count + 1, sizeof(*items));
	if (!items)
		return err_trace(-ENOMEM);
	for (uint32_t item = 0; item < count; item++)
		items[item < position ? item : item + 1] = sequence->items[item];
	items[position] = node->inputs[1];
	return sequence_set(graph, node, items, count + 1);
}

int infer_sequence_erase(struct graph *graph, struct node *node)
{
	const struct value *sequence;
	int64_t position;
	uint32_t *items;
	uint32_t kept = 0;
	int r;

	r = sequence_input(graph, node, &sequence);
	if (r < 0)
		return err_trace(r);
	if (sequence->item_count == 0)
		return node_refuse(graph, node, -EINVAL, "the sequence is empty");
	r = sequence_position(graph, node, 1, sequence->item_count, sequence->item_count,
			      (int64_t)sequence->item_count - 1, &position);
	if (r < 0)
		return err_trace(r);
	items = graph_allocate(graph, sequence->item_count, sizeof(*items));
	if (!items)
		return err_trace(-ENOMEM);
	for (uint32_t item = 0; item < sequence->item_count; item++) {
		if (item != position)
			items[kept++] = sequence->items[item];
	}
	return sequence_set(graph, node, items, kept);
}

int infer_sequence_at(struct graph *graph, struct node *node)
{
	const struct value *sequence;
	int64_t position;
	int r;

	r = sequence_input(graph, node, &sequence);
	if (r >= 0)
		r = sequence_position(graph, node, 1, sequence->item_count, sequence->item_count, 0,
				      &position);
	if (r < 0)
		return err_trace(r);
	return control_alias(graph, node, 0, sequence->items[position]);
}

int infer_sequence_length(struct graph *graph, struct node *node)
{
	int64_t *length = graph_allocate(graph, 1, sizeof(*length));
	const struct value *sequence;
	uint32_t constant;
	int r;

	if (!length)
		return err_trace(-ENOMEM);
	r = sequence_input(graph, node, &sequence);
	if (r < 0)
		return err_trace(r);
	*length = sequence->item_count;
	r = graph_constant_new(graph, DTYPE_I64, 0, NULL, length, &constant);
	if (r < 0)
		return err_trace(r);
	return control_alias(graph, node, 0, constant);
}

int infer_concat_from_sequence(struct graph *graph, struct node *node)
{
	bool is_new_axis = attribute_int(node, "new_axis", 0) != 0;
	const struct value *sequence;
	uint32_t all = GRAPH_NONE;
	int r;

	r = sequence_input(graph, node, &sequence);
	if (r < 0)
		return err_trace(r);
	if (sequence->item_count == 0)
		return node_refuse(graph, node, -EINVAL, "the sequence is empty");
	if (sequence->items_joined && (is_new_axis || attribute_int(node, "axis", 0) != 0))
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "how many tensors the sequence '%s' has is known in a run alone; "
				   "supported: axis 0 without a new axis",
				   node_input(graph, node, 0)->name);
	r = control_concat(graph, node, sequence->items, sequence->item_count,
			   attribute_int(node, "axis", 0), is_new_axis, &all);
	if (r < 0)
		return err_trace(r);
	return control_alias(graph, node, 0, all);
}

/* How many elements of the axis each part has: `split` of one element is the size of all but the
 * last part, of several the size of each; without it all have 1. */
static int split_sizes(struct graph *graph, const struct node *node, int64_t size,
		       int64_t sizes[CONTROL_ITEMS_MAX], uint32_t *ret_count)
{
	const struct value *split = node_has_input(node, 1) ? node_input(graph, node, 1) : NULL;
	const void *data;
	int64_t count, sum = 0, each = 1;
	int r;

	if (split && (split->kind != VALUE_CONSTANT || split->rank > 1 ||
		      !dtype_is_index(split->dtype)))
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "the parts ('%s') must be constant integers", split->name);
	if (split) {
		r = graph_constant_data(graph, node_input(graph, node, 1), &data);
		if (r < 0)
			return err_trace(r);
	}
	count = split && split->rank == 1 ? constant_elements(split) : 0;
	if (split && split->rank == 0)
		each = constant_integer(split, 0);
	if (each < 1)
		return node_refuse(graph, node, -EINVAL, "parts of %lld elements", (long long)each);
	if (!split || split->rank == 0)
		count = size / each + (size % each != 0);
	if (count < 1 || count > CONTROL_ITEMS_MAX)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "%lld parts; supported: 1 to %d", (long long)count,
				   CONTROL_ITEMS_MAX);
	for (int64_t part = 0; part < count; part++) {
		sizes[part] = split && split->rank == 1 ? constant_integer(split, (uint64_t)part)
			      : size - sum < each	? size - sum
							: each;
		if (sizes[part] < 0 || sizes[part] > size - sum)
			return node_refuse(graph, node, -EINVAL,
					   "the parts do not add up to the axis' %lld elements",
					   (long long)size);
		sum += sizes[part];
	}
	if (sum != size)
		return node_refuse(graph, node, -EINVAL,
				   "the parts do not add up to the axis' %lld elements",
				   (long long)size);
	*ret_count = (uint32_t)count;
	return 0;
}

/* Elements [from, to) of an axis. */
static int part_emit(struct graph *graph, const struct node *node, int64_t axis, int64_t from,
		     int64_t to, uint32_t *ret_value)
{
	struct dim one = dim_constant(1);
	int64_t *bounds = graph_allocate(graph, 3, sizeof(*bounds));
	uint32_t inputs[4] = {node->inputs[0]};
	int r;

	if (!bounds)
		return err_trace(-ENOMEM);
	bounds[0] = from;
	bounds[1] = to;
	bounds[2] = axis;
	for (uint32_t bound = 0; bound < 3; bound++) {
		r = graph_constant_new(graph, DTYPE_I64, 1, &one, &bounds[bound],
				       &inputs[1 + bound]);
		if (r < 0)
			return err_trace(r);
	}
	return control_emit(graph, node, "Slice", inputs, 4, NULL, ret_value);
}

int infer_split_to_sequence(struct graph *graph, struct node *node)
{
	const struct value *value = node_input(graph, node, 0);
	bool squeeze = !node_has_input(node, 1) && attribute_int(node, "keepdims", 1) == 0;
	struct control_attribute axes[] = {{"axes", 1, {0}}, {NULL, 0, {0}}};
	int64_t *sizes = graph_allocate(graph, CONTROL_ITEMS_MAX, sizeof(*sizes));
	uint32_t *items;
	int64_t from = 0;
	uint32_t axis = 0, count = 0;
	int r;

	if (!sizes)
		return err_trace(-ENOMEM);
	r = tensor_check(graph, node, 0);
	if (r >= 0)
		r = axis_normalize(graph, node, attribute_int(node, "axis", 0), value->rank, &axis);
	if (r < 0)
		return err_trace(r);
	if (!node_has_output(node, 0) || value->dims[axis].symbol >= 0)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "the axis that is split has a free size");
	r = split_sizes(graph, node, value->dims[axis].constant, sizes, &count);
	if (r < 0)
		return err_trace(r);
	axes[0].values[0] = axis;
	items = graph_allocate(graph, count, sizeof(*items));
	if (!items)
		return err_trace(-ENOMEM);
	for (uint32_t part = 0; part < count; part++) {
		r = part_emit(graph, node, axis, from, from + sizes[part], &items[part]);
		if (r >= 0 && squeeze)
			r = control_emit(graph, node, "Squeeze", &items[part], 1, axes,
					 &items[part]);
		if (r < 0)
			return err_trace(r);
		from += sizes[part];
	}
	return sequence_set(graph, node, items, count);
}

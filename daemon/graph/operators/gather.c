/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/operators/gather.c - Gather: embedding tables, columns of ids, picked elements
 *
 * A table is a constant gathered from with ids of the run. Its policy says what
 * an id outside it means. Where the ids are one column of an input, the kernel
 * reads that column in place (ids_stride) and the column is never copied.
 */
#include <errno.h>
#include <string.h>

#include "graph/lower.h"
#include "graph/operators/ids.h"
#include "graph/ops.h"
#include "graph/rows.h"

/* Constant ids are checked here, once; a free size becomes a condition. */
static int constants_check(struct graph *graph, struct node *node, int64_t first, int64_t step,
			   struct dim size)
{
	struct value *ids = node_input(graph, node, 1);
	int64_t count = constant_elements(ids);
	int64_t least = 0;
	int64_t most = 0;
	struct dim room;
	const void *data;
	int r;

	r = graph_constant_data(graph, ids, &data);
	if (r < 0)
		return err_trace(r);
	for (int64_t index = first; index < count; index += step) {
		int64_t id = constant_integer(ids, (uint64_t)index);

		least = id < least ? id : least;
		most = id > most ? id : most;
	}
	if (count == 0)
		return 0;
	if (most > GRAPH_ELEMENTS_MAX || least < -GRAPH_ELEMENTS_MAX ||
	    (size.symbol < 0 && (most >= size.constant || least < -size.constant)))
		return node_refuse(graph, node, -EINVAL,
				   "an index (%lld) is outside the axis of '%s'",
				   (long long)(least < -size.constant ? least : most),
				   node_input(graph, node, 0)->name);
	if (!dim_add(size, dim_constant(-most - 1), &room))
		return node_refuse(graph, node, -EOPNOTSUPP, "an index is too large");
	r = graph_require(graph, node, room);
	if (r < 0)
		return err_trace(r);
	if (!dim_add(size, dim_constant(least), &room))
		return node_refuse(graph, node, -EOPNOTSUPP, "an index is too large");
	r = graph_require(graph, node, room);
	if (r < 0)
		return err_trace(r);
	return 0;
}

int ids_check(struct graph *graph, struct node *node, int64_t first, int64_t step, struct dim size)
{
	struct dim room;
	int r = 0;

	if (node_input(graph, node, 1)->kind == VALUE_CONSTANT)
		r = constants_check(graph, node, first, step, size);
	else if (dim_is(size, 0))
		r = node_refuse(graph, node, -EINVAL, "'%s' has no rows to gather",
				node_input(graph, node, 0)->name);
	else if (dim_add(size, dim_constant(-1), &room))
		r = graph_require(graph, node, room);
	return r < 0 ? err_trace(r) : 0;
}

/* A single constant id is an index from the front. */
static int pick_one(struct graph *graph, struct node *node, struct dim size)
{
	const struct value *ids = node_input(graph, node, 1);
	int64_t id;

	if (ids->kind != VALUE_CONSTANT || constant_elements(ids) != 1)
		return 0;
	id = constant_integer(ids, 0);
	node->picks_one = true;
	node->starts[0] = dim_constant(id);
	if (id < 0 && !dim_add(size, dim_constant(id), &node->starts[0]))
		return node_refuse(graph, node, -EOPNOTSUPP, "an index is too large");
	return 0;
}

int infer_gather(struct graph *graph, struct node *node)
{
	const struct value *data = node_input(graph, node, 0);
	const struct value *ids = node_input(graph, node, 1);
	struct dim dims[2 * KERNEL_RANK_MAX];
	uint32_t rank = 0;
	uint32_t axis;
	int r;

	if (!dtype_is_index(ids->dtype))
		return node_refuse(graph, node, -EINVAL, "indices ('%s') are %s", ids->name,
				   dtype_name((int32_t)ids->dtype));
	r = axis_normalize(graph, node, attribute_int(node, "axis", 0), data->rank, &axis);
	if (r < 0)
		return err_trace(r);
	node->axis = axis;
	for (uint32_t index = 0; index < axis; index++)
		dims[rank++] = data->dims[index];
	for (uint32_t index = 0; index < ids->rank; index++)
		dims[rank++] = ids->dims[index];
	for (uint32_t index = axis + 1; index < data->rank; index++)
		dims[rank++] = data->dims[index];
	if (rank > KERNEL_RANK_MAX)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "the output has %u dimensions; at most %d are supported", rank,
				   KERNEL_RANK_MAX);
	r = ids_check(graph, node, 0, 1, data->dims[axis]);
	if (r < 0)
		return err_trace(r);
	r = pick_one(graph, node, data->dims[axis]);
	if (r < 0)
		return err_trace(r);
	infer_output(graph, node, 0, data->dtype, rank, dims);
	return 0;
}

/* A step that takes one index of an axis out of its input. */
struct column {
	uint32_t source;
	uint32_t axis;
	struct dim index;
};

static bool node_column(const struct graph *graph, const struct node *node, struct column *column)
{
	const struct value *input = node_input(graph, node, 0);
	const struct value *output = node_output(graph, node, 0);
	uint32_t cut = 0;

	column->source = node->inputs[0];
	if (node->op->infer == infer_gather && node->picks_one) {
		column->axis = (uint32_t)node->axis;
		column->index = node->starts[0];
		return true;
	}
	if (node->op->infer != infer_slice)
		return false;
	for (uint32_t axis = 0; axis < input->rank; axis++) {
		if (dim_equal(input->dims[axis], output->dims[axis]) && node->steps[axis] == 1)
			continue;
		column->axis = axis;
		column->index = node->starts[axis];
		cut++;
	}
	return cut == 1 && dim_is(output->dims[column->axis], 1);
}

/* Through widening casts and one column. */
struct ids_source ids_find(const struct graph *graph, uint32_t value)
{
	struct ids_source ids = {
		.value = value,
		.offset = poly_constant(0),
		.stride = poly_constant(1),
	};
	bool strided = false;

	for (;;) {
		uint32_t root = graph_root(graph, ids.value);
		uint32_t producer = graph_value(graph, root)->producer;
		const struct node *node;
		const struct value *source;
		struct column column;
		struct poly outer;
		struct poly inner;

		if (graph_value(graph, root)->kind != VALUE_COMPUTED || producer == GRAPH_NONE)
			return ids;
		node = &graph->nodes[producer];
		if (node->op->infer == infer_cast &&
		    node_input(graph, node, 0)->dtype == DTYPE_I32) {
			ids.value = node->inputs[0];
			continue;
		}
		if (strided || !node_column(graph, node, &column))
			return ids;
		source = graph_value(graph, column.source);
		outer = value_span(source, 0, column.axis);
		inner = value_span(source, column.axis + 1, source->rank);
		if (poly_is(&inner, 1)) {
			ids.offset = poly_dim(column.index);
			ids.stride = poly_dim(source->dims[column.axis]);
		} else if (poly_is(&outer, 1)) {
			ids.offset = poly_multiply(poly_dim(column.index), inner);
		} else {
			return ids;
		}
		ids.value = column.source;
		strided = true;
	}
}

/* The graph input that gave these ids, -1 when they were computed. */
static int32_t ids_input(const struct graph *graph, uint32_t value)
{
	for (;;) {
		const struct value *root = graph_value(graph, graph_root(graph, value));
		const struct node *node;

		if (root->kind == VALUE_INPUT)
			return (int32_t)root->input_index;
		if (root->kind != VALUE_COMPUTED || root->producer == GRAPH_NONE)
			return -1;
		node = &graph->nodes[root->producer];
		if (node->op->infer != infer_cast && node->op->infer != infer_gather &&
		    node->op->infer != infer_slice && node->op->infer != infer_transpose)
			return -1;
		value = node->inputs[0];
	}
}

int lower_missing(struct lowering *lowering, const struct node *node, uint32_t table_value,
		  uint32_t ids_value, int64_t table_rows, enum missing *ret_missing,
		  int64_t *ret_missing_row)
{
	struct graph *graph = lowering->graph;
	const struct value *table = graph_value(graph, graph_root(graph, table_value));
	const struct value *ids = graph_value(graph, ids_value);
	struct lower_policy *policy = NULL;

	for (uint32_t index = 0; index < lowering->policy_count; index++) {
		struct lower_policy *candidate = &lowering->policies[index];

		if (table->kind != VALUE_CONSTANT || ids->kind == VALUE_CONSTANT)
			break;
		if (strcmp(candidate->table, "*") == 0 && !policy)
			policy = candidate;
		if (strcmp(candidate->table, table->name) == 0) {
			policy = candidate;
			break;
		}
	}
	*ret_missing = MISSING_WRAP;
	if (!policy)
		return 0;
	policy->used = true;
	*ret_missing = policy->missing;
	*ret_missing_row = policy->missing_row;
	if (policy->missing == MISSING_ROW &&
	    (policy->missing_row < 0 || policy->missing_row >= table_rows))
		return node_refuse(
			graph, node, -EINVAL,
			"the row for missing ids, %lld, is outside table '%s' of %lld rows",
			(long long)policy->missing_row, table->name, (long long)table_rows);
	return 0;
}

int step_table(struct lowering *lowering, struct step *step, uint32_t field, uint32_t value)
{
	uint32_t table = graph_root(lowering->graph, value);

	if (graph_value(lowering->graph, table)->kind == VALUE_CONSTANT && !lowering->folding)
		return step_weight(lowering, step, field,
				   (struct weight){.layout = WEIGHT_TABLE, .value = table});
	return step_read(lowering, step, field, table, poly_constant(0));
}

int lower_site(struct lowering *lowering, uint32_t ids, uint32_t *ret_site)
{
	int32_t *sites = lowering->site_inputs;

	if (lowering->site_count == lowering->site_capacity) {
		lowering->site_capacity =
			lowering->site_capacity ? 2 * lowering->site_capacity : 64;
		sites = graph_allocate(lowering->graph, lowering->site_capacity, sizeof(*sites));
		if (!sites)
			return err_trace(-ENOMEM);
		if (lowering->site_count > 0)
			memcpy(sites, lowering->site_inputs,
			       lowering->site_count * sizeof(*sites));
		lowering->site_inputs = sites;
	}
	*ret_site = lowering->site_count;
	sites[lowering->site_count++] = ids_input(lowering->graph, ids);
	return 0;
}

int step_blame(struct lowering *lowering, const struct node *node, struct step *step,
	       uint32_t status_field, uint32_t per_row_field, uint32_t *ret_site)
{
	struct poly per_row = poly_constant(INT64_MAX); /* every id belongs to row 0 */
	int r;

	if (node_input(lowering->graph, node, 1)->kind != VALUE_CONSTANT && !lowering->folding) {
		r = lower_site(lowering, node->inputs[1], ret_site);
		if (r < 0)
			return err_trace(r);
		r = step_status(lowering, step, status_field, node->inputs[1], &per_row);
		if (r < 0)
			return err_trace(r);
	}
	return step_size(lowering, step, per_row_field, per_row);
}

/* One index of an axis: a copy by strides. */
static int lower_pick(struct lowering *lowering, const struct node *node)
{
	const struct value *data = node_input(lowering->graph, node, 0);
	struct poly inner = value_span(data, (uint32_t)node->axis + 1, data->rank);
	struct walk walk = {.rank = 2, .set_count = 2};

	walk.dims[0] = value_span(data, 0, (uint32_t)node->axis);
	walk.dims[1] = inner;
	walk.strides[0][0] = poly_multiply(poly_dim(data->dims[node->axis]), inner);
	walk.strides[0][1] = poly_constant(1);
	walk.strides[1][0] = inner;
	walk.strides[1][1] = poly_constant(1);
	return lower_copy(lowering, node->inputs[0],
			  poly_multiply(poly_dim(node->starts[0]), inner), node->outputs[0],
			  poly_constant(0), &walk);
}

static int gather_sizes(struct lowering *lowering, const struct node *node, struct step *step)
{
	const struct value *data = node_input(lowering->graph, node, 0);
	const struct value *ids = node_input(lowering->graph, node, 1);
	uint32_t axis = (uint32_t)node->axis;
	const struct {
		uint32_t field;
		struct poly size;
	} sizes[] = {
		{FIELD(gather_args, outer), value_span(data, 0, axis)},
		{FIELD(gather_args, axis), poly_dim(data->dims[axis])},
		{FIELD(gather_args, inner), value_span(data, axis + 1, data->rank)},
		{FIELD(gather_args, count), value_elements(ids)},
	};
	int r;

	for (size_t index = 0; index < sizeof(sizes) / sizeof(sizes[0]); index++) {
		r = step_size(lowering, step, sizes[index].field, sizes[index].size);
		if (r < 0)
			return err_trace(r);
	}
	step->args->gather.element_bytes = dtype_bytes(data->dtype);
	return 0;
}

int lower_gather(struct lowering *lowering, const struct node *node)
{
	struct graph *graph = lowering->graph;
	struct poly elements = value_elements(node_output(graph, node, 0));
	struct ids_source ids = ids_find(graph, node->inputs[1]);
	struct step *step;
	int r;

	if (poly_is(&elements, 0))
		return 0;
	if (node->picks_one)
		return lower_pick(lowering, node);
	step = step_new(lowering, KERNEL_GATHER);
	if (!step)
		return err_trace(-ENOMEM);
	r = step_table(lowering, step, FIELD(gather_args, data), node->inputs[0]);
	if (r < 0)
		return err_trace(r);
	r = step_read(lowering, step, FIELD(gather_args, ids), ids.value, ids.offset);
	if (r < 0)
		return err_trace(r);
	r = step_size(lowering, step, FIELD(gather_args, ids_stride), ids.stride);
	if (r < 0)
		return err_trace(r);
	r = step_write(lowering, step, FIELD(gather_args, y), node->outputs[0], poly_constant(0));
	if (r < 0)
		return err_trace(r);
	step->args->gather.ids_dtype = graph_value(graph, ids.value)->dtype;
	r = lower_missing(lowering, node, node->inputs[0], node->inputs[1],
			  node_input(graph, node, 0)->dims[node->axis].constant,
			  &step->args->gather.missing, &step->args->gather.missing_row);
	if (r < 0)
		return err_trace(r);
	r = gather_sizes(lowering, node, step);
	if (r < 0)
		return err_trace(r);
	return step_blame(lowering, node, step, FIELD(gather_args, status),
			  FIELD(gather_args, ids_per_row), &step->args->gather.site);
}

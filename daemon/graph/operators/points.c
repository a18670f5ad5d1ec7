/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/operators/points.c - elements and slices by ids: GatherElements, GatherND, ScatterND
 *
 * A point is a row of ids, one for each of the axes that it names; the axes behind them are the
 * slice. Ids that are constants are checked here, once; those of a run are told to their row.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "graph/lower.h"
#include "graph/operators/ids.h"
#include "graph/ops.h"

/* Both kernels' args begin with their points. */
static_assert(offsetof(struct gather_nd_args, points) == 0, "gather_nd_args begins with points");
static_assert(offsetof(struct scatter_nd_args, points) == 0, "scatter_nd_args begins with points");

/* --- GatherElements --- */

/* Of each axis but one the ids have no more than the value has. */
static int corner_check(struct graph *graph, struct node *node, uint32_t along)
{
	const struct value *data = node_input(graph, node, 0);
	const struct value *ids = node_input(graph, node, 1);
	char left[SHAPE_TEXT_BYTES];
	char right[SHAPE_TEXT_BYTES];

	for (uint32_t axis = 0; axis < data->rank; axis++) {
		struct dim room;
		int r;

		if (axis == along || dim_equal(data->dims[axis], ids->dims[axis]))
			continue;
		if (!dim_subtract(data->dims[axis], ids->dims[axis], &room) ||
		    (room.symbol < 0 && room.constant < 0))
			return node_refuse(graph, node, -EINVAL,
					   "indices '%s' of shape %s do not fit into '%s' of shape "
					   "%s along axis %u in every batch",
					   ids->name, shape_text(graph, ids, left), data->name,
					   shape_text(graph, data, right), axis);
		r = graph_require(graph, node, room);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

static int indices_are_index(const struct graph *graph, const struct node *node)
{
	const struct value *ids = node_input(graph, node, 1);

	if (dtype_is_index(ids->dtype))
		return 0;
	return node_refuse(graph, node, -EINVAL, "indices ('%s') are %s; int64 and int32 are right",
			   ids->name, dtype_name((int32_t)ids->dtype));
}

int infer_gather_elements(struct graph *graph, struct node *node)
{
	const struct value *data = node_input(graph, node, 0);
	const struct value *ids = node_input(graph, node, 1);
	uint32_t axis;
	int r;

	r = indices_are_index(graph, node);
	if (r < 0)
		return err_trace(r);
	if (ids->rank != data->rank)
		return node_refuse(graph, node, -EINVAL,
				   "indices '%s' have rank %u; '%s' has rank %u", ids->name,
				   ids->rank, data->name, data->rank);
	r = axis_normalize(graph, node, attribute_int(node, "axis", 0), data->rank, &axis);
	if (r < 0)
		return err_trace(r);
	node->axis = axis;
	r = corner_check(graph, node, axis);
	if (r < 0)
		return err_trace(r);
	r = ids_check(graph, node, 0, 1, data->dims[axis]);
	if (r < 0)
		return err_trace(r);
	infer_output(graph, node, 0, data->dtype, ids->rank, ids->dims);
	return 0;
}

int lower_gather_elements(struct lowering *lowering, const struct node *node)
{
	static const uint32_t strides[] = {FIELD(gather_elements_args, x_strides)};
	const struct value *data = node_input(lowering->graph, node, 0);
	const struct value *ids = node_input(lowering->graph, node, 1);
	struct poly elements = value_elements(ids);
	struct walk walk = {.rank = ids->rank, .set_count = 1};
	struct gather_elements_args *args;
	struct step *step;
	int r;

	if (poly_is(&elements, 0))
		return 0;
	step = step_new(lowering, KERNEL_GATHER_ELEMENTS);
	if (!step)
		return err_trace(-ENOMEM);
	args = &step->args->gather_elements;
	r = step_table(lowering, step, FIELD(gather_elements_args, x), node->inputs[0]);
	if (r < 0)
		return err_trace(r);
	r = step_read(lowering, step, FIELD(gather_elements_args, ids), node->inputs[1],
		      poly_constant(0));
	if (r < 0)
		return err_trace(r);
	r = step_write(lowering, step, FIELD(gather_elements_args, y), node->outputs[0],
		       poly_constant(0));
	if (r < 0)
		return err_trace(r);
	for (uint32_t axis = 0; axis < ids->rank; axis++) {
		walk.dims[axis] = poly_dim(ids->dims[axis]);
		walk.strides[0][axis] = value_span(data, axis + 1, data->rank);
	}
	r = step_size(lowering, step, FIELD(gather_elements_args, axis_stride),
		      walk.strides[0][node->axis]);
	if (r < 0)
		return err_trace(r);
	r = step_size(lowering, step, FIELD(gather_elements_args, axis),
		      poly_dim(data->dims[node->axis]));
	if (r < 0)
		return err_trace(r);
	walk.strides[0][node->axis] = poly_constant(0);
	walk_collapse(&walk);
	args->rank = walk.rank;
	args->element_bytes = dtype_bytes(data->dtype);
	args->ids_dtype = ids->dtype;
	r = step_walk(lowering, step, &walk, FIELD(gather_elements_args, dims), strides);
	if (r < 0)
		return err_trace(r);
	return step_blame(lowering, node, step, FIELD(gather_elements_args, status),
			  FIELD(gather_elements_args, ids_per_row), &args->site);
}

/* --- points --- */

/* node->axis axes are batches, and a point names as many behind them as it has ids. */
static int points_check(struct graph *graph, struct node *node, uint32_t *ret_depth)
{
	const struct value *data = node_input(graph, node, 0);
	const struct value *ids = node_input(graph, node, 1);
	uint32_t batches = (uint32_t)node->axis;
	struct dim depth;
	int r;

	r = indices_are_index(graph, node);
	if (r < 0)
		return err_trace(r);
	depth = ids->rank > 0 ? ids->dims[ids->rank - 1] : dim_constant(0);
	if (depth.symbol >= 0 || depth.constant < 1 || depth.constant > data->rank - batches)
		return node_refuse(graph, node, -EINVAL,
				   "the last dimension of indices '%s' must be a constant from 1 "
				   "to %u, the axes of '%s' behind %u batch dimensions",
				   ids->name, data->rank - batches, data->name, batches);
	for (uint32_t axis = 0; axis < (uint32_t)depth.constant; axis++) {
		r = ids_check(graph, node, axis, depth.constant, data->dims[batches + axis]);
		if (r < 0)
			return err_trace(r);
	}
	*ret_depth = (uint32_t)depth.constant;
	return 0;
}

/* What a point stands for: its place among the ids, then the slice. */
static int points_shape(struct graph *graph, struct node *node, uint32_t depth,
			struct dim dims[2 * KERNEL_RANK_MAX], uint32_t *ret_rank)
{
	const struct value *data = node_input(graph, node, 0);
	const struct value *ids = node_input(graph, node, 1);
	uint32_t rank = 0;

	for (uint32_t axis = 0; axis + 1 < ids->rank; axis++)
		dims[rank++] = ids->dims[axis];
	for (uint32_t axis = (uint32_t)node->axis + depth; axis < data->rank; axis++)
		dims[rank++] = data->dims[axis];
	if (rank > KERNEL_RANK_MAX)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "what its points name has %u dimensions; at most %d are supported",
				   rank, KERNEL_RANK_MAX);
	*ret_rank = rank;
	return 0;
}

int infer_gather_nd(struct graph *graph, struct node *node)
{
	const struct value *data = node_input(graph, node, 0);
	const struct value *ids = node_input(graph, node, 1);
	int64_t batches = attribute_int(node, "batch_dims", 0);
	struct dim dims[2 * KERNEL_RANK_MAX];
	char left[SHAPE_TEXT_BYTES];
	char right[SHAPE_TEXT_BYTES];
	uint32_t depth;
	uint32_t rank;
	int r;

	if (batches < 0 || batches >= data->rank || batches >= ids->rank)
		return node_refuse(graph, node, -EINVAL,
				   "batch_dims is %lld; it is at least 0 and below the ranks of "
				   "data, %u, and indices, %u",
				   (long long)batches, data->rank, ids->rank);
	node->axis = batches;
	for (uint32_t axis = 0; axis < (uint32_t)batches; axis++) {
		if (!dim_equal(data->dims[axis], ids->dims[axis]))
			return node_refuse(graph, node, -EINVAL,
					   "'%s' of shape %s and indices '%s' of shape %s do not "
					   "have the same %lld batch dimensions in every batch",
					   data->name, shape_text(graph, data, left), ids->name,
					   shape_text(graph, ids, right), (long long)batches);
	}
	r = points_check(graph, node, &depth);
	if (r < 0)
		return err_trace(r);
	r = points_shape(graph, node, depth, dims, &rank);
	if (r < 0)
		return err_trace(r);
	infer_output(graph, node, 0, data->dtype, rank, dims);
	return 0;
}

static int step_points(struct lowering *lowering, const struct node *node, struct step *step)
{
	const struct value *data = node_input(lowering->graph, node, 0);
	const struct value *ids = node_input(lowering->graph, node, 1);
	struct points *points = &step->args->gather_nd.points;
	uint32_t batches = (uint32_t)node->axis;
	int r;

	points->depth = (uint32_t)ids->dims[ids->rank - 1].constant;
	points->element_bytes = dtype_bytes(data->dtype);
	points->ids_dtype = ids->dtype;
	r = step_read(lowering, step, FIELD(points, ids), node->inputs[1], poly_constant(0));
	if (r < 0)
		return err_trace(r);
	for (uint32_t axis = 0; axis < points->depth; axis++) {
		r = step_size(lowering, step, FIELD_AT(points, dims, axis),
			      poly_dim(data->dims[batches + axis]));
		if (r < 0)
			return err_trace(r);
	}
	r = step_size(lowering, step, FIELD(points, batch), value_span(ids, 0, batches));
	if (r < 0)
		return err_trace(r);
	r = step_size(lowering, step, FIELD(points, count),
		      value_span(ids, batches, ids->rank - 1));
	if (r < 0)
		return err_trace(r);
	r = step_size(lowering, step, FIELD(points, inner),
		      value_span(data, batches + points->depth, data->rank));
	if (r < 0)
		return err_trace(r);
	return step_blame(lowering, node, step, FIELD(points, status), FIELD(points, ids_per_row),
			  &points->site);
}

int lower_gather_nd(struct lowering *lowering, const struct node *node)
{
	struct poly elements = value_elements(node_output(lowering->graph, node, 0));
	struct step *step;
	int r;

	if (poly_is(&elements, 0))
		return 0;
	step = step_new(lowering, KERNEL_GATHER_ND);
	if (!step)
		return err_trace(-ENOMEM);
	r = step_table(lowering, step, FIELD(gather_nd_args, x), node->inputs[0]);
	if (r < 0)
		return err_trace(r);
	r = step_write(lowering, step, FIELD(gather_nd_args, y), node->outputs[0],
		       poly_constant(0));
	if (r < 0)
		return err_trace(r);
	return step_points(lowering, node, step);
}

/* --- ScatterND --- */

static int scatter_op(struct graph *graph, const struct node *node, enum scatter *ret_op)
{
	static const struct {
		const char *name;
		int64_t since; /* first opset */
	} reductions[] = {
		[SCATTER_SET] = {"none", 11}, [SCATTER_ADD] = {"add", 16},
		[SCATTER_MUL] = {"mul", 16},  [SCATTER_MAX] = {"max", 18},
		[SCATTER_MIN] = {"min", 18},
	};
	const struct onnx_attribute *attribute = attribute_find(node, "reduction");
	enum dtype dtype = node_input(graph, node, 0)->dtype;
	uint32_t op = SCATTER_SET;

	while (attribute && op <= SCATTER_MIN && strcmp(attribute->s, reductions[op].name) != 0)
		op++;
	if (op > SCATTER_MIN)
		return node_refuse(graph, node, -EINVAL,
				   "reduction '%s'; supported: none, add, mul, max, min",
				   attribute->s);
	if (graph->model->opset < reductions[op].since)
		return node_refuse(graph, node, -EINVAL,
				   "reduction '%s' is of opset %lld and later", reductions[op].name,
				   (long long)reductions[op].since);
	if (op != SCATTER_SET && dtype == DTYPE_BOOL)
		return node_refuse(graph, node, -EOPNOTSUPP,
				   "reduction '%s' of bool; supported: none", reductions[op].name);
	*ret_op = (enum scatter)op;
	return 0;
}

int infer_scatter_nd(struct graph *graph, struct node *node)
{
	const struct value *updates = node_input(graph, node, 2);
	struct value wanted = *updates;
	struct dim dims[2 * KERNEL_RANK_MAX];
	enum scatter *op = graph_allocate(graph, 1, sizeof(*op));
	char left[SHAPE_TEXT_BYTES];
	char right[SHAPE_TEXT_BYTES];
	uint32_t depth;
	bool fits;
	int r;

	if (!op)
		return err_trace(-ENOMEM);
	r = require_same_type(graph, node, 2);
	if (r < 0)
		return err_trace(r);
	r = scatter_op(graph, node, op);
	if (r < 0)
		return err_trace(r);
	node->axis = 0;
	node->details = op;
	r = points_check(graph, node, &depth);
	if (r < 0)
		return err_trace(r);
	r = points_shape(graph, node, depth, dims, &wanted.rank);
	if (r < 0)
		return err_trace(r);
	memcpy(wanted.dims, dims, sizeof(wanted.dims[0]) * wanted.rank);
	fits = updates->rank == wanted.rank;
	for (uint32_t axis = 0; fits && axis < wanted.rank; axis++)
		fits = dim_equal(updates->dims[axis], dims[axis]);
	if (!fits)
		return node_refuse(graph, node, -EINVAL,
				   "updates '%s' have the shape %s; the indices and the data want %s",
				   updates->name, shape_text(graph, updates, left),
				   shape_text(graph, &wanted, right));
	return infer_same(graph, node);
}

/* The data are copied, then the updates come over them. */
int lower_scatter_nd(struct lowering *lowering, const struct node *node)
{
	const struct value *data = node_input(lowering->graph, node, 0);
	const enum scatter *op = node->details;
	struct walk walk = {.rank = 1, .set_count = 2};
	struct step *step;
	int r;

	if (*op != SCATTER_SET && dtype_wide(data->dtype) != data->dtype)
		return lower_widened(lowering, node);
	walk.dims[0] = value_elements(data);
	walk.strides[0][0] = walk.strides[1][0] = poly_constant(1);
	if (poly_is(&walk.dims[0], 0))
		return 0;
	r = lower_copy(lowering, node->inputs[0], poly_constant(0), node->outputs[0],
		       poly_constant(0), &walk);
	if (r < 0)
		return err_trace(r);
	step = step_new(lowering, KERNEL_SCATTER_ND);
	if (!step)
		return err_trace(-ENOMEM);
	step->args->scatter_nd.op = *op;
	step->args->scatter_nd.dtype = data->dtype;
	r = step_read(lowering, step, FIELD(scatter_nd_args, updates), node->inputs[2],
		      poly_constant(0));
	if (r < 0)
		return err_trace(r);
	r = step_write(lowering, step, FIELD(scatter_nd_args, y), node->outputs[0],
		       poly_constant(0));
	if (r < 0)
		return err_trace(r);
	return step_points(lowering, node, step);
}

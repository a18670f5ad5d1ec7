/* SPDX-License-Identifier: MIT */
/* daemon/graph/walk.c - traversals by strides, with as few axes as the strides allow */
#include <errno.h>

#include "graph/lower.h"

static bool axes_merge(const struct walk *walk, uint32_t outer, uint32_t inner)
{
	for (uint32_t set = 0; set < walk->set_count; set++) {
		struct poly whole = poly_multiply(walk->strides[set][inner], walk->dims[inner]);

		if (!poly_equal(&whole, &walk->strides[set][outer]))
			return false;
	}
	return true;
}

void walk_collapse(struct walk *walk)
{
	uint32_t rank = 0;

	for (uint32_t axis = 0; axis < walk->rank; axis++) {
		if (poly_is(&walk->dims[axis], 1))
			continue;
		walk->dims[rank] = walk->dims[axis];
		for (uint32_t set = 0; set < walk->set_count; set++)
			walk->strides[set][rank] = walk->strides[set][axis];
		if (rank > 0 && axes_merge(walk, rank - 1, rank)) {
			struct poly whole = poly_multiply(walk->dims[rank - 1], walk->dims[rank]);

			walk->dims[rank - 1] = whole;
			for (uint32_t set = 0; set < walk->set_count; set++)
				walk->strides[set][rank - 1] = walk->strides[set][rank];
			continue;
		}
		rank++;
	}
	walk->rank = rank;
}

void walk_broadcast(const struct value *value, uint32_t rank, const struct dim dims[],
		    struct poly strides[])
{
	uint32_t lead = rank - value->rank;

	for (uint32_t axis = 0; axis < rank; axis++) {
		if (axis < lead || (dim_is(value->dims[axis - lead], 1) && !dim_is(dims[axis], 1)))
			strides[axis] = poly_constant(0);
		else
			strides[axis] = value_stride(value, axis - lead);
	}
}

int step_walk(struct lowering *lowering, struct step *step, const struct walk *walk,
	      uint32_t dims_field, const uint32_t stride_fields[])
{
	int r;

	for (uint32_t axis = 0; axis < walk->rank; axis++) {
		uint32_t shift = axis * (uint32_t)sizeof(int64_t);

		r = step_size(lowering, step, dims_field + shift, walk->dims[axis]);
		if (r < 0)
			return err_trace(r);
		for (uint32_t set = 0; set < walk->set_count; set++) {
			r = step_size(lowering, step, stride_fields[set] + shift,
				      walk->strides[set][axis]);
			if (r < 0)
				return err_trace(r);
		}
	}
	return 0;
}

int lower_copy(struct lowering *lowering, uint32_t x, struct poly x_offset, uint32_t y,
	       struct poly y_offset, struct walk *walk)
{
	static const uint32_t strides[] = {FIELD(copy_args, x_strides),
					   FIELD(copy_args, y_strides)};
	struct step *step = step_new(lowering, KERNEL_COPY);
	int r;

	r = step_read_strided(lowering, step, FIELD(copy_args, x), x, x_offset);
	if (r < 0)
		return err_trace(r);
	r = step_write_strided(lowering, step, FIELD(copy_args, y), y, y_offset);
	if (r < 0)
		return err_trace(r);
	walk_collapse(walk);
	step->args->copy.rank = walk->rank;
	step->args->copy.element_bytes = dtype_bytes(graph_value(lowering->graph, y)->dtype);
	return step_walk(lowering, step, walk, FIELD(copy_args, dims), strides);
}

int lower_binary_values(struct lowering *lowering, enum binary op, uint32_t a, uint32_t b,
			uint32_t y)
{
	static const uint32_t strides[] = {FIELD(binary_args, a_strides),
					   FIELD(binary_args, b_strides)};
	const struct value *output = graph_value(lowering->graph, y);
	struct walk walk = {.rank = output->rank, .set_count = 2};
	struct step *step = step_new(lowering, KERNEL_BINARY);
	int r;

	r = step_read_strided(lowering, step, FIELD(binary_args, a), a, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	r = step_read_strided(lowering, step, FIELD(binary_args, b), b, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	r = step_write(lowering, step, FIELD(binary_args, y), y, poly_constant(0));
	if (r < 0)
		return err_trace(r);
	for (uint32_t axis = 0; axis < output->rank; axis++)
		walk.dims[axis] = poly_dim(output->dims[axis]);
	walk_broadcast(graph_value(lowering->graph, a), output->rank, output->dims,
		       walk.strides[0]);
	walk_broadcast(graph_value(lowering->graph, b), output->rank, output->dims,
		       walk.strides[1]);
	walk_collapse(&walk);
	step->args->binary.rank = walk.rank;
	step->args->binary.op = op;
	step->args->binary.dtype = output->dtype;
	step->args->binary.b_dtype = graph_value(lowering->graph, b)->dtype;
	return step_walk(lowering, step, &walk, FIELD(binary_args, dims), strides);
}

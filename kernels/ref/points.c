/* SPDX-License-Identifier: MIT */
/* kernels/ref/points.c - one id at a time */
#include "kernels/ref/ref.h"

#include <math.h>
#include <string.h>

/* The index that an id means; -1: it is outside. */
static int64_t ref_index(const void *ids, enum dtype dtype, int64_t position, int64_t dim)
{
	int64_t id = ref_read_integer(ids, dtype, position);

	if (id < -dim || id >= dim)
		return -1;
	return id < 0 ? id + dim : id;
}

static void ref_blame(struct row_status *status, uint32_t site)
{
	if (status->error == 0)
		status->error = 1 + site;
}

/* Slice number of point `point`; -1: it is outside. */
static int64_t ref_point(const struct points *points, int64_t point, struct row_status *ret_status)
{
	int64_t slice = 0;

	for (uint32_t axis = 0; axis < points->depth; axis++) {
		int64_t position = point * points->depth + axis;
		int64_t index = ref_index(points->ids, points->ids_dtype, position,
					  points->dims[axis]);

		if (index < 0) {
			ref_blame(&ret_status[position / points->ids_per_row], points->site);
			return -1;
		}
		slice = slice * points->dims[axis] + index;
	}
	return slice;
}

void ref_gather_nd(const struct gather_nd_args *args, void *ret_y, struct row_status *ret_status)
{
	const struct points *points = &args->points;
	size_t slice_bytes = (size_t)points->inner * points->element_bytes;
	int64_t slices = 1;

	for (uint32_t axis = 0; axis < points->depth; axis++)
		slices *= points->dims[axis];
	for (int64_t point = 0; point < points->batch * points->count; point++) {
		int64_t slice = ref_point(points, point, ret_status);

		slice = point / points->count * slices + (slice < 0 ? 0 : slice);
		memcpy((char *)ret_y + (size_t)point * slice_bytes,
		       (const char *)args->x + (size_t)slice * slice_bytes, slice_bytes);
	}
}

static double ref_combine(enum scatter op, double y, double x)
{
	switch (op) {
	case SCATTER_ADD:
		return y + x;
	case SCATTER_MUL:
		return y * x;
	case SCATTER_MAX:
		return isnan(y) || isnan(x) ? NAN : fmax(y, x);
	case SCATTER_MIN:
		return isnan(y) || isnan(x) ? NAN : fmin(y, x);
	default:
		return x;
	}
}

void ref_scatter_nd(const struct scatter_nd_args *args, double *ret_y, double *ret_magnitude,
		    struct row_status *ret_status)
{
	const struct points *points = &args->points;

	for (int64_t point = 0; point < points->count; point++) {
		int64_t slice = ref_point(points, point, ret_status);

		for (int64_t index = 0; slice >= 0 && index < points->inner; index++) {
			double x = ref_read(args->updates, args->dtype,
					    point * points->inner + index);
			int64_t place = slice * points->inner + index;

			ret_y[place] = ref_combine(args->op, ret_y[place], x);
			if (args->op == SCATTER_ADD)
				ret_magnitude[place] += fabs(x);
			else
				ret_magnitude[place] = fabs(ret_y[place]);
		}
	}
}

void ref_gather_elements(const struct gather_elements_args *args, void *ret_y,
			 struct row_status *ret_status)
{
	int64_t count = 1;

	for (uint32_t dim = 0; dim < args->rank; dim++)
		count *= args->dims[dim];
	for (int64_t position = 0; position < count; position++) {
		int64_t index = ref_index(args->ids, args->ids_dtype, position, args->axis);
		int64_t place = 0, rest = position;

		if (index < 0)
			ref_blame(&ret_status[position / args->ids_per_row], args->site);
		for (uint32_t dim = args->rank; dim-- > 0; rest /= args->dims[dim])
			place += rest % args->dims[dim] * args->x_strides[dim];
		place += (index < 0 ? 0 : index) * args->axis_stride;
		memcpy((char *)ret_y + (size_t)position * args->element_bytes,
		       (const char *)args->x + (size_t)place * args->element_bytes,
		       args->element_bytes);
	}
}

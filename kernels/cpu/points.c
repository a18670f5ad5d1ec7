/* SPDX-License-Identifier: MIT */
/* kernels/cpu/points.c - each point is resolved to a slice, which is then copied or combined */
#include "kernels/points.h"

#include "kernels/cpu/arithmetic.h"
#include "kernels/cpu/bytes.h"
#include "kernels/cpu/ids.h"
#include "kernels/cpu/isa.h"

/* The slice that a point names; false, and the first one: an id is outside. */
static bool point_find(const struct points *points, int64_t point, int64_t *ret_slice)
{
	const int64_t first = point * points->depth;
	bool is_inside = true;
	int64_t slice = 0;

	for (uint32_t axis = 0; axis < points->depth; axis++) {
		const int64_t dim = points->dims[axis];
		int64_t id = id_read(points->ids, points->ids_dtype, first + axis);
		bool fits;

		if (id < 0 && id >= -dim)
			id += dim;
		fits = (uint64_t)id < (uint64_t)dim;
		is_inside = is_inside && fits;
		slice = slice * dim + (fits ? id_mask(id, dim) : 0);
	}
	if (!is_inside)
		id_blame(points->status ? &points->status[first / points->ids_per_row] : NULL,
			 points->site);
	*ret_slice = is_inside ? slice : 0;
	return is_inside;
}

static int64_t slices_count(const struct points *points)
{
	int64_t count = 1;

	for (uint32_t axis = 0; axis < points->depth; axis++)
		count *= points->dims[axis];
	return count;
}

void CPU(gather_nd)(const void *erased)
{
	const struct gather_nd_args *args = erased;
	const struct points *points = &args->points;
	const int64_t slice_bytes = points->inner * points->element_bytes;
	const int64_t batch_bytes = slices_count(points) * slice_bytes;
	const char *x = args->x;
	char *y = args->y;

	for (int64_t batch = 0; batch < points->batch; batch++, x += batch_bytes)
		for (int64_t index = 0; index < points->count; index++, y += slice_bytes) {
			int64_t slice;

			(void)point_find(points, batch * points->count + index, &slice);
			bytes_copy(y, x + slice * slice_bytes, (size_t)slice_bytes);
		}
}

#define COMBINE(name, type, verb)                                                              \
	static void name(void *slice, const void *update, int64_t count)                       \
	{                                                                                      \
		const type *x = update;                                                        \
		type *y = slice;                                                               \
                                                                                               \
		INDEPENDENT                                                                    \
		for (int64_t index = 0; index < count; index++)                                \
			y[index] = verb(y[index], x[index]);                                   \
	}

COMBINE(add_f32, float, ADD_FLOAT)
COMBINE(add_i32, int32_t, ADD_I32)
COMBINE(add_i64, int64_t, ADD_I64)
COMBINE(mul_f32, float, MUL_FLOAT)
COMBINE(mul_i32, int32_t, MUL_I32)
COMBINE(mul_i64, int64_t, MUL_I64)
COMBINE(max_f32, float, MAX_FLOAT)
COMBINE(max_i32, int32_t, MAX_INTEGER)
COMBINE(max_i64, int64_t, MAX_INTEGER)
COMBINE(min_f32, float, MIN_FLOAT)
COMBINE(min_i32, int32_t, MIN_INTEGER)
COMBINE(min_i64, int64_t, MIN_INTEGER)

typedef void (*combine_run)(void *slice, const void *update, int64_t count);

/* By operation, then f32, i32, i64. */
static const combine_run combines[][3] = {
	[SCATTER_ADD] = { add_f32, add_i32, add_i64 },
	[SCATTER_MUL] = { mul_f32, mul_i32, mul_i64 },
	[SCATTER_MAX] = { max_f32, max_i32, max_i64 },
	[SCATTER_MIN] = { min_f32, min_i32, min_i64 },
};

void CPU(scatter_nd)(const void *erased)
{
	const struct scatter_nd_args *args = erased;
	const struct points *points = &args->points;
	const int64_t slice_bytes = points->inner * points->element_bytes;
	const int column = args->dtype == DTYPE_F32 ? 0 : args->dtype == DTYPE_I32 ? 1 : 2;
	const combine_run combine = combines[args->op][column];
	const char *update = args->updates;

	for (int64_t index = 0; index < points->count; index++, update += slice_bytes) {
		int64_t slice;
		char *y;

		if (!point_find(points, index, &slice))
			continue;
		y = (char *)args->y + slice * slice_bytes;
		if (combine)
			combine(y, update, points->inner);
		else
			bytes_copy(y, update, (size_t)slice_bytes);
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/reduce.c - sums, products and extremes along any dimensions
 *
 * Two orders, chosen by the reduced dimensions alone. Where the innermost one is
 * contiguous and at least a wide long, 16 partial sums take turns and are folded
 * once. Elsewhere a sum takes one element at a time; there neighbours are summed
 * side by side, which is another speed but the same order.
 */
#include "kernels/reduce.h"

#include <math.h>
#include <stdbool.h>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/loop.h"
#include "kernels/cpu/vector.h"

/* Neighbours summed at once: four registers of sums on the widest processor. */
#define REDUCE_NEIGHBOURS 64

/* What changes nothing. */
ALWAYS_INLINE float reduce_start(enum reduce op)
{
	return op == REDUCE_PROD  ? 1.0f
	       : op == REDUCE_MAX ? -INFINITY
	       : op == REDUCE_MIN ? INFINITY
				  : 0.0f;
}

/* The switches vanish: every caller's op is a constant. */
ALWAYS_INLINE vec reduce_vec(enum reduce op, vec a, vec b)
{
	switch (op) {
	case REDUCE_PROD:
		return a * b;
	case REDUCE_MAX:
		return vec_choose((a > b) | (a != a), a, b);
	case REDUCE_MIN:
		return vec_choose((a < b) | (a != a), a, b);
	default:
		return a + b;
	}
}

ALWAYS_INLINE struct wide reduce_wide(enum reduce op, struct wide a, struct wide b)
{
	for (int part = 0; part < WIDE_VECS; part++)
		a.part[part] = reduce_vec(op, a.part[part], b.part[part]);
	return a;
}

ALWAYS_INLINE float reduce_float(enum reduce op, float a, float b)
{
	switch (op) {
	case REDUCE_PROD:
		return a * b;
	case REDUCE_MAX:
		return a > b || a != a ? a : b;
	case REDUCE_MIN:
		return a < b || a != a ? a : b;
	default:
		return a + b;
	}
}

/* The tree of wide_sum. */
ALWAYS_INLINE float reduce_fold(enum reduce op, struct wide wide)
{
	for (int half = WIDE_VECS / 2; half >= 1; half /= 2)
		for (int part = 0; part < half; part++)
			wide.part[part] = reduce_vec(op, wide.part[part], wide.part[part + half]);
	for (int distance = VEC_LANES / 2; distance >= 1; distance /= 2)
		wide.part[0] = reduce_vec(op, wide.part[0], vec_rotate(wide.part[0], distance));
	return wide.part[0][0];
}

ALWAYS_INLINE float reduce_contiguous(enum reduce op, const float *x, struct loop *reduced)
{
	const int64_t count = reduced->dims[reduced->rank - 1];
	struct wide sum = wide_splat(reduce_start(op));

	do {
		for (int64_t index = 0; index < count; index += WIDE_LANES)
			sum = reduce_wide(op, sum,
					  wide_load(x + reduced->left + index, count - index,
						    reduce_start(op)));
	} while (loop_next(reduced));
	return reduce_fold(op, sum);
}

ALWAYS_INLINE float reduce_strided(enum reduce op, const float *x, struct loop *reduced)
{
	const int64_t count = reduced->dims[reduced->rank - 1];
	const int64_t step = reduced->left_strides[reduced->rank - 1];
	float sum = reduce_start(op);

	do {
		for (int64_t index = 0; index < count; index++)
			sum = reduce_float(op, sum, x[reduced->left + index * step]);
	} while (loop_next(reduced));
	return sum;
}

/* The sums of `neighbours` elements that follow each other, in strided order. */
ALWAYS_INLINE void reduce_side_by_side(enum reduce op, const float *x, struct loop *reduced,
				       int64_t neighbours, float *y)
{
	const int64_t count = reduced->dims[reduced->rank - 1];
	const int64_t step = reduced->left_strides[reduced->rank - 1];
	struct wide sums[REDUCE_NEIGHBOURS / WIDE_LANES];
	const int64_t wides = (neighbours + WIDE_LANES - 1) / WIDE_LANES;

	for (int64_t wide = 0; wide < wides; wide++)
		sums[wide] = wide_splat(reduce_start(op));
	do {
		for (int64_t index = 0; index < count; index++) {
			const float *from = x + reduced->left + index * step;

			for (int64_t wide = 0; wide < wides; wide++)
				sums[wide] = reduce_wide(
					op, sums[wide],
					wide_load(from + wide * WIDE_LANES,
						  neighbours - wide * WIDE_LANES, 0.0f));
		}
	} while (loop_next(reduced));
	for (int64_t wide = 0; wide < wides; wide++)
		wide_store(y + wide * WIDE_LANES, sums[wide], neighbours - wide * WIDE_LANES);
}

ALWAYS_INLINE void reduce_neighbours(enum reduce op, const float *x, struct loop *reduced,
				     int64_t neighbours, float *y)
{
	for (; neighbours >= REDUCE_NEIGHBOURS; neighbours -= REDUCE_NEIGHBOURS) {
		reduce_side_by_side(op, x, reduced, REDUCE_NEIGHBOURS, y);
		x += REDUCE_NEIGHBOURS;
		y += REDUCE_NEIGHBOURS;
	}
	for (; neighbours >= WIDE_LANES; neighbours -= WIDE_LANES) {
		reduce_side_by_side(op, x, reduced, WIDE_LANES, y);
		x += WIDE_LANES;
		y += WIDE_LANES;
	}
	if (neighbours > 0)
		reduce_side_by_side(op, x, reduced, neighbours, y);
}

ALWAYS_INLINE void reduce_f32_as(enum reduce op, const struct reduce_args *args, struct loop *kept,
				 struct loop *reduced, int64_t reduced_count)
{
	const uint32_t inner = reduced->rank - 1;
	const bool contiguous = reduced->left_strides[inner] == 1 &&
				reduced->dims[inner] >= WIDE_LANES;
	const int64_t count = kept->dims[kept->rank - 1];
	const int64_t step = kept->left_strides[kept->rank - 1];
	float *y = args->y;

	do {
		const float *x = (const float *)args->x + kept->left;

		if (!contiguous && step == 1 && count > 1)
			reduce_neighbours(op, x, reduced, count, y);
		else
			for (int64_t index = 0; index < count; index++)
				y[index] = contiguous ?
						   reduce_contiguous(op, x + index * step, reduced) :
						   reduce_strided(op, x + index * step, reduced);
		if (args->op == REDUCE_MEAN)
			for (int64_t index = 0; index < count; index++)
				y[index] /= (float)reduced_count;
		y += count;
	} while (loop_next(kept));
}

static void reduce_f32(const struct reduce_args *args, struct loop *kept, struct loop *reduced,
		       int64_t reduced_count)
{
	switch (args->op) {
	case REDUCE_PROD:
		reduce_f32_as(REDUCE_PROD, args, kept, reduced, reduced_count);
		break;
	case REDUCE_MAX:
		reduce_f32_as(REDUCE_MAX, args, kept, reduced, reduced_count);
		break;
	case REDUCE_MIN:
		reduce_f32_as(REDUCE_MIN, args, kept, reduced, reduced_count);
		break;
	default:
		reduce_f32_as(REDUCE_SUM, args, kept, reduced, reduced_count);
		break;
	}
}

static int64_t reduce_start_i(const struct reduce_args *args)
{
	switch (args->op) {
	case REDUCE_PROD:
		return 1;
	case REDUCE_MAX:
		return args->dtype == DTYPE_I32 ? INT32_MIN : INT64_MIN;
	case REDUCE_MIN:
		return args->dtype == DTYPE_I32 ? INT32_MAX : INT64_MAX;
	default:
		return 0;
	}
}

ALWAYS_INLINE int64_t reduce_integer(enum reduce op, int64_t a, int64_t b)
{
	switch (op) {
	case REDUCE_PROD:
		return (int64_t)((uint64_t)a * (uint64_t)b);
	case REDUCE_MAX:
		return a > b ? a : b;
	case REDUCE_MIN:
		return a < b ? a : b;
	default:
		return (int64_t)((uint64_t)a + (uint64_t)b);
	}
}

/* Those of i32 are kept in 64 bits until they are stored or divided. */
static int64_t reduce_integers(const struct reduce_args *args, int64_t offset, struct loop *reduced)
{
	const int64_t count = reduced->dims[reduced->rank - 1];
	const int64_t step = reduced->left_strides[reduced->rank - 1];
	int64_t result = reduce_start_i(args);

	do {
		int64_t from = offset + reduced->left;

		for (int64_t index = 0; index < count; index++, from += step)
			result = reduce_integer(args->op, result,
						args->dtype == DTYPE_I32 ?
							((const int32_t *)args->x)[from] :
							((const int64_t *)args->x)[from]);
	} while (loop_next(reduced));
	return result;
}

static void reduce_store(const struct reduce_args *args, int64_t position, int64_t value)
{
	if (args->dtype == DTYPE_I32)
		((int32_t *)args->y)[position] = (int32_t)value;
	else
		((int64_t *)args->y)[position] = value;
}

static void reduce_i(const struct reduce_args *args, struct loop *kept, struct loop *reduced,
		     int64_t reduced_count)
{
	const int64_t count = kept->dims[kept->rank - 1];
	const int64_t step = kept->left_strides[kept->rank - 1];
	int64_t position = 0;

	do {
		for (int64_t index = 0; index < count; index++, position++) {
			int64_t value = reduce_integers(args, kept->left + index * step, reduced);

			if (args->op == REDUCE_MEAN)
				value /= reduced_count;
			reduce_store(args, position, value);
		}
	} while (loop_next(kept));
}

/* A mean of nothing is NaN, or 0 where there is no NaN. */
static void reduce_nothing(const struct reduce_args *args)
{
	float none = args->op == REDUCE_MEAN ? __builtin_nanf("") : reduce_start(args->op);
	int64_t count = 1;

	for (uint32_t dim = 0; dim < args->kept_rank; dim++)
		count *= args->kept[dim];
	for (int64_t index = 0; index < count; index++) {
		if (args->dtype == DTYPE_F32)
			((float *)args->y)[index] = none;
		else
			reduce_store(args, index, reduce_start_i(args));
	}
}

void CPU(reduce)(const void *erased)
{
	const struct reduce_args *args = erased;
	int64_t reduced_count = 1;
	struct loop kept, reduced;

	if (loop_empty(args->kept, args->kept_rank))
		return;
	if (loop_empty(args->reduced, args->reduced_rank)) {
		reduce_nothing(args);
		return;
	}
	for (uint32_t dim = 0; dim < args->reduced_rank; dim++)
		reduced_count *= args->reduced[dim];
	loop_init(&kept, args->kept, args->kept_strides, args->kept_strides, args->kept_rank);
	loop_init(&reduced, args->reduced, args->reduced_strides, args->reduced_strides,
		  args->reduced_rank);
	if (args->dtype == DTYPE_F32)
		reduce_f32(args, &kept, &reduced, reduced_count);
	else
		reduce_i(args, &kept, &reduced, reduced_count);
}

/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/reduce.c - sums along any dimensions
 *
 * Two orders, chosen by the reduced dimensions alone. Where the innermost one is
 * contiguous and at least a wide long, 16 partial sums take turns and are folded
 * once. Elsewhere a sum takes one element at a time; there neighbours are summed
 * side by side, which is another speed but the same order.
 */
#include "kernels/reduce.h"

#include <stdbool.h>
#include <string.h>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/loop.h"
#include "kernels/cpu/vector.h"

/* Neighbours summed at once: four registers of sums on the widest processor. */
#define REDUCE_NEIGHBOURS 64

static float reduce_contiguous(const float *x, struct loop *reduced)
{
	const int64_t count = reduced->dims[reduced->rank - 1];
	struct wide sum = wide_splat(0.0f);

	do {
		for (int64_t index = 0; index < count; index += WIDE_LANES)
			sum = wide_add(sum, wide_load(x + reduced->left + index, count - index,
						      0.0f));
	} while (loop_next(reduced));
	return wide_sum(sum);
}

static float reduce_strided(const float *x, struct loop *reduced)
{
	const int64_t count = reduced->dims[reduced->rank - 1];
	const int64_t step = reduced->left_strides[reduced->rank - 1];
	float sum = 0.0f;

	do {
		for (int64_t index = 0; index < count; index++)
			sum += x[reduced->left + index * step];
	} while (loop_next(reduced));
	return sum;
}

/* The sums of `neighbours` elements that follow each other, in strided order. */
ALWAYS_INLINE void reduce_side_by_side(const float *x, struct loop *reduced, int64_t neighbours,
				       float *y)
{
	const int64_t count = reduced->dims[reduced->rank - 1];
	const int64_t step = reduced->left_strides[reduced->rank - 1];
	struct wide sums[REDUCE_NEIGHBOURS / WIDE_LANES];
	const int64_t wides = (neighbours + WIDE_LANES - 1) / WIDE_LANES;

	for (int64_t wide = 0; wide < wides; wide++)
		sums[wide] = wide_splat(0.0f);
	do {
		for (int64_t index = 0; index < count; index++) {
			const float *from = x + reduced->left + index * step;

			for (int64_t wide = 0; wide < wides; wide++)
				sums[wide] = wide_add(sums[wide],
						      wide_load(from + wide * WIDE_LANES,
								neighbours - wide * WIDE_LANES,
								0.0f));
		}
	} while (loop_next(reduced));
	for (int64_t wide = 0; wide < wides; wide++)
		wide_store(y + wide * WIDE_LANES, sums[wide], neighbours - wide * WIDE_LANES);
}

static void reduce_neighbours(const float *x, struct loop *reduced, int64_t neighbours,
			      float *y)
{
	for (; neighbours >= REDUCE_NEIGHBOURS; neighbours -= REDUCE_NEIGHBOURS) {
		reduce_side_by_side(x, reduced, REDUCE_NEIGHBOURS, y);
		x += REDUCE_NEIGHBOURS;
		y += REDUCE_NEIGHBOURS;
	}
	for (; neighbours >= WIDE_LANES; neighbours -= WIDE_LANES) {
		reduce_side_by_side(x, reduced, WIDE_LANES, y);
		x += WIDE_LANES;
		y += WIDE_LANES;
	}
	if (neighbours > 0)
		reduce_side_by_side(x, reduced, neighbours, y);
}

static void reduce_f32(const struct reduce_args *args, struct loop *kept,
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
			reduce_neighbours(x, reduced, count, y);
		else
			for (int64_t index = 0; index < count; index++)
				y[index] = contiguous ? reduce_contiguous(x + index * step, reduced)
						      : reduce_strided(x + index * step, reduced);
		if (args->op == REDUCE_MEAN)
			for (int64_t index = 0; index < count; index++)
				y[index] /= (float)reduced_count;
		y += count;
	} while (loop_next(kept));
}

/* Sums of i32 are kept in 64 bits until they are stored or divided. */
static int64_t reduce_integers(const struct reduce_args *args, int64_t offset, struct loop *reduced)
{
	const int64_t count = reduced->dims[reduced->rank - 1];
	const int64_t step = reduced->left_strides[reduced->rank - 1];
	uint64_t sum = 0;

	do {
		int64_t from = offset + reduced->left;

		for (int64_t index = 0; index < count; index++, from += step)
			sum += args->dtype == DTYPE_I32 ?
				       (uint64_t)((const int32_t *)args->x)[from] :
				       (uint64_t)((const int64_t *)args->x)[from];
	} while (loop_next(reduced));
	return (int64_t)sum;
}

static void reduce_i(const struct reduce_args *args, struct loop *kept, struct loop *reduced,
		     int64_t reduced_count)
{
	const int64_t count = kept->dims[kept->rank - 1];
	const int64_t step = kept->left_strides[kept->rank - 1];
	int64_t position = 0;

	do {
		for (int64_t index = 0; index < count; index++, position++) {
			int64_t sum = reduce_integers(args, kept->left + index * step, reduced);

			if (args->op == REDUCE_MEAN)
				sum /= reduced_count;
			if (args->dtype == DTYPE_I32)
				((int32_t *)args->y)[position] = (int32_t)sum;
			else
				((int64_t *)args->y)[position] = sum;
		}
	} while (loop_next(kept));
}

/* A sum of nothing is 0; a mean of nothing is NaN, or 0 where there is no NaN. */
static void reduce_nothing(const struct reduce_args *args)
{
	int64_t count = 1;

	for (uint32_t dim = 0; dim < args->kept_rank; dim++)
		count *= args->kept[dim];
	if (args->dtype == DTYPE_F32 && args->op == REDUCE_MEAN)
		for (int64_t index = 0; index < count; index++)
			((float *)args->y)[index] = __builtin_nanf("");
	else
		memset(args->y, 0, (size_t)count * dtype_bytes(args->dtype));
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

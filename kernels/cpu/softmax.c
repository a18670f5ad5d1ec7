/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/softmax.c - three passes over a row that stays in the cache
 *
 * inner 1: a row is contiguous, its sum is kept in 16 partial sums. Otherwise 16
 * neighbours are computed at once, each with one sum along the axis.
 */
#include "kernels/softmax.h"

#include <math.h>

#include "kernels/cpu/exponential.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/vector.h"

ALWAYS_INLINE struct wide wide_exp_below(struct wide x, struct wide top)
{
	for (int part = 0; part < WIDE_VECS; part++)
		x.part[part] = vec_exp_below(x.part[part], top.part[part]);
	return x;
}

ALWAYS_INLINE struct wide wide_multiply(struct wide a, struct wide b)
{
	for (int part = 0; part < WIDE_VECS; part++)
		a.part[part] *= b.part[part];
	return a;
}

ALWAYS_INLINE struct wide wide_reciprocal(struct wide x)
{
	for (int part = 0; part < WIDE_VECS; part++)
		x.part[part] = 1.0f / x.part[part];
	return x;
}

static void softmax_row(const float *x, float *y, int64_t axis)
{
	struct wide top = wide_splat(-INFINITY);
	struct wide sum = wide_splat(0.0f);
	struct wide scale;
	int64_t index;

	for (index = 0; index < axis; index += WIDE_LANES)
		top = wide_max(top, wide_load(x + index, axis - index, -INFINITY));
	top = wide_splat(wide_largest(top));
	for (index = 0; index < axis; index += WIDE_LANES) {
		struct wide power =
			wide_exp_below(wide_load(x + index, axis - index, -INFINITY), top);

		sum = wide_add(sum, power);
		wide_store(y + index, power, axis - index);
	}
	scale = wide_splat(1.0f / wide_sum(sum));
	for (index = 0; index < axis; index += WIDE_LANES)
		wide_store(y + index,
			   wide_multiply(wide_load(y + index, axis - index, 0.0f), scale),
			   axis - index);
}

static void softmax_columns(const float *x, float *y, int64_t axis, int64_t inner, int64_t columns)
{
	struct wide top = wide_splat(-INFINITY);
	struct wide sum = wide_splat(0.0f);
	struct wide scale;
	int64_t index;

	for (index = 0; index < axis; index++)
		top = wide_max(top, wide_load(x + index * inner, columns, 0.0f));
	for (index = 0; index < axis; index++) {
		struct wide power =
			wide_exp_below(wide_load(x + index * inner, columns, 0.0f), top);

		sum = wide_add(sum, power);
		wide_store(y + index * inner, power, columns);
	}
	scale = wide_reciprocal(sum);
	for (index = 0; index < axis; index++)
		wide_store(y + index * inner,
			   wide_multiply(wide_load(y + index * inner, columns, 0.0f), scale),
			   columns);
}

ALWAYS_INLINE struct wide wide_subtract(struct wide a, struct wide b)
{
	for (int part = 0; part < WIDE_VECS; part++)
		a.part[part] -= b.part[part];
	return a;
}

ALWAYS_INLINE struct wide wide_log(struct wide x)
{
	for (int part = 0; part < WIDE_VECS; part++)
		x.part[part] = vec_log(x.part[part]);
	return x;
}

static void log_softmax_row(const float *x, float *y, int64_t axis)
{
	struct wide top = wide_splat(-INFINITY);
	struct wide sum = wide_splat(0.0f);
	struct wide scale;
	int64_t index;

	for (index = 0; index < axis; index += WIDE_LANES)
		top = wide_max(top, wide_load(x + index, axis - index, -INFINITY));
	top = wide_splat(wide_largest(top));
	for (index = 0; index < axis; index += WIDE_LANES)
		sum = wide_add(sum, wide_exp_below(wide_load(x + index, axis - index, -INFINITY),
						   top));
	scale = wide_log(wide_splat(wide_sum(sum)));
	for (index = 0; index < axis; index += WIDE_LANES) {
		struct wide value = wide_subtract(wide_load(x + index, axis - index, 0.0f), top);

		wide_store(y + index, wide_subtract(value, scale), axis - index);
	}
}

static void log_softmax_columns(const float *x, float *y, int64_t axis, int64_t inner,
				int64_t columns)
{
	struct wide top = wide_splat(-INFINITY);
	struct wide sum = wide_splat(0.0f);
	int64_t index;

	for (index = 0; index < axis; index++)
		top = wide_max(top, wide_load(x + index * inner, columns, 0.0f));
	for (index = 0; index < axis; index++)
		sum = wide_add(sum, wide_exp_below(wide_load(x + index * inner, columns, 0.0f),
						   top));
	sum = wide_log(sum);
	for (index = 0; index < axis; index++) {
		struct wide value = wide_subtract(wide_load(x + index * inner, columns, 0.0f), top);

		wide_store(y + index * inner, wide_subtract(value, sum), columns);
	}
}

void CPU(softmax)(const void *erased)
{
	const struct softmax_args *args = erased;
	const int64_t plane = args->axis * args->inner;

	for (int64_t outer = 0; outer < args->outer; outer++) {
		const float *x = args->x + outer * plane;
		float *y = args->y + outer * plane;

		if (args->inner == 1) {
			(args->logarithm ? log_softmax_row : softmax_row)(x, y, args->axis);
			continue;
		}
		for (int64_t column = 0; column < args->inner; column += WIDE_LANES)
			(args->logarithm ? log_softmax_columns : softmax_columns)(
				x + column, y + column, args->axis, args->inner,
				args->inner - column);
	}
}

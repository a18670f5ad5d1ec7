/* SPDX-License-Identifier: MIT */
/* kernels/ref/topk.c - an element's rank is how many come before it */
#include "kernels/ref/ref.h"

#include <math.h>

/* < 0: the element at place a is the smaller one. NaN is larger than all numbers. */
static int ref_order(const struct topk_args *args, int64_t a, int64_t b)
{
	double left, right;

	if (args->dtype != DTYPE_F32) {
		int64_t left_i64 = ref_read_integer(args->x, args->dtype, a);
		int64_t right_i64 = ref_read_integer(args->x, args->dtype, b);

		return (left_i64 > right_i64) - (left_i64 < right_i64);
	}
	left = ref_read(args->x, args->dtype, a);
	right = ref_read(args->x, args->dtype, b);
	if (isnan(left) || isnan(right))
		return (isnan(left) != 0) - (isnan(right) != 0);
	return (left > right) - (left < right);
}

void ref_topk(const struct topk_args *args, int64_t *ret_indices)
{
	for (int64_t place = 0; place < args->outer * args->axis * args->inner; place++) {
		int64_t index = place / args->inner % args->axis;
		int64_t start = place - index * args->inner;
		int64_t rank = 0;

		for (int64_t other = 0; other < args->axis; other++) {
			int order = ref_order(args, start + other * args->inner, place);

			if (args->is_smallest)
				order = -order;
			rank += order > 0 || (order == 0 && other < index);
		}
		if (rank < args->k)
			ret_indices[start / (args->axis * args->inner) * args->k * args->inner +
				    rank * args->inner + place % args->inner] = index;
	}
}

/* SPDX-License-Identifier: MIT */
/* kernels/ref/scan.c - along an axis, one element at a time; and ranges */
#include "kernels/ref/ref.h"

#include <math.h>

void ref_range(const struct range_args *args, double *ret_y)
{
	for (int64_t index = 0; index < args->count; index++)
		ret_y[index] = args->dtype == DTYPE_F32 ?
				       args->start + (double)index * args->delta :
				       (double)(args->start_i64 + index * args->delta_i64);
}

/* Every sum from its start. */
void ref_scan(const struct scan_args *args, double *ret_y, double *ret_magnitude)
{
	for (int64_t index = 0; index < args->outer * args->axis * args->inner; index++) {
		int64_t place = index / args->inner % args->axis;
		int64_t start = index - place * args->inner;

		ret_y[index] = ret_magnitude[index] = 0;
		for (int64_t axis = 0; axis < args->axis; axis++) {
			double x = ref_read(args->x, args->dtype, start + axis * args->inner);
			bool is_before = args->is_reverse ? axis > place : axis < place;

			if (!is_before && (args->is_exclusive || axis != place))
				continue;
			ret_y[index] += x;
			ret_magnitude[index] += fabs(x);
		}
	}
}

void ref_arg(const struct arg_args *args, int64_t *ret_y)
{
	for (int64_t index = 0; index < args->outer * args->inner; index++) {
		int64_t start = index / args->inner * args->axis * args->inner +
				index % args->inner;
		int64_t best = 0;

		for (int64_t axis = 0; axis < args->axis; axis++) {
			double here = ref_read(args->x, args->dtype, start + axis * args->inner);
			double kept = ref_read(args->x, args->dtype, start + best * args->inner);

			if (isnan(kept))
				break;
			if (isnan(here) || (args->is_smallest ? here < kept : here > kept) ||
			    (args->takes_last && here == kept))
				best = axis;
		}
		ret_y[index] = best;
	}
}

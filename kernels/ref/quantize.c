/* SPDX-License-Identifier: MIT */
/* kernels/ref/quantize.c - one element at a time */
#include "kernels/ref/ref.h"

#include <math.h>
#include <stddef.h>

static double ref_zero(const struct quantize_args *args, int64_t place)
{
	return args->zero != NULL ? (double)ref_read_integer(args->zero, args->dtype, place) : 0;
}

void ref_quantize(const struct quantize_args *args, int64_t *ret_y)
{
	double low = args->dtype == DTYPE_I8 ? -128 : 0, high = args->dtype == DTYPE_I8 ? 127 : 255;

	for (int64_t index = 0; index < args->outer * args->axis * args->inner; index++) {
		int64_t place = index / args->inner % args->axis;
		float quotient = (float)((double)((const float *)args->x)[index] /
					 args->scale[place]);
		double level = nearbyint(quotient) + ref_zero(args, place);

		if (isnan(level))
			level = ref_zero(args, place);
		ret_y[index] = (int64_t)fmin(fmax(level, low), high);
	}
}

void ref_dequantize(const struct quantize_args *args, double *ret_y)
{
	for (int64_t index = 0; index < args->outer * args->axis * args->inner; index++) {
		int64_t place = index / args->inner % args->axis;

		ret_y[index] = (float)(ref_read(args->x, args->dtype, index) -
				       ref_zero(args, place)) *
			       (double)args->scale[place];
	}
}

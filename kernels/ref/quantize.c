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

void ref_quantize_dynamic(const struct quantize_dynamic_args *args, int64_t *ret_y,
			  float *ret_scale, int64_t *ret_zero)
{
	double low = 0, high = 0;
	uint8_t zero;
	float scale;

	for (int64_t index = 0; index < args->count; index++) {
		low = fmin(low, (double)args->x[index]);
		high = fmax(high, (double)args->x[index]);
	}
	scale = (float)((double)(float)(high - low) / 255);
	if (scale == 0)
		scale = 1;
	*ret_scale = scale;
	zero = isinf(scale) ? 0 : (uint8_t)fmin(nearbyint((float)(-low / scale)), 255);
	*ret_zero = zero;
	ref_quantize(&(struct quantize_args){.x = args->x, .scale = &scale, .zero = &zero,
					     .outer = 1, .axis = 1, .inner = args->count,
					     .dtype = DTYPE_U8}, ret_y);
}

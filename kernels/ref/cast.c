/* SPDX-License-Identifier: MIT */
/* kernels/ref/cast.c - one element at a time */
#include "kernels/ref/ref.h"

#include <math.h>

static int64_t ref_integer(const struct cast_args *args, int64_t index)
{
	return args->from == DTYPE_I32 ? ((const int32_t *)args->x)[index] :
					 ((const int64_t *)args->x)[index];
}

void ref_cast_f32(const struct cast_args *args, double *ret_y)
{
	for (int64_t index = 0; index < args->count; index++)
		ret_y[index] = args->from == DTYPE_F32 ? ((const float *)args->x)[index] :
							 (float)ref_integer(args, index);
}

static int64_t ref_truncate(double x, enum dtype to)
{
	if (isnan(x))
		return 0;
	if (to == DTYPE_I32)
		return x >= 0x1p31 ? INT32_MAX : x <= -0x1p31 ? INT32_MIN : (int64_t)x;
	return x >= 0x1p63 ? INT64_MAX : x <= -0x1p63 ? INT64_MIN : (int64_t)x;
}

void ref_cast_integer(const struct cast_args *args, int64_t *ret_y)
{
	for (int64_t index = 0; index < args->count; index++) {
		if (args->from == DTYPE_F32)
			ret_y[index] = ref_truncate(((const float *)args->x)[index], args->to);
		else if (args->to == DTYPE_I32)
			ret_y[index] = (int32_t)ref_integer(args, index);
		else
			ret_y[index] = ref_integer(args, index);
	}
}

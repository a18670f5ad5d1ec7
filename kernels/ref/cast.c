/* SPDX-License-Identifier: MIT */
/* kernels/ref/cast.c - one element at a time */
#include "kernels/ref/ref.h"

#include <math.h>

/* sign, exponent of `bias`, mantissa of `mantissa` bits: by the definition */
static double ref_decode(uint32_t bits, int exponent_bits, int mantissa)
{
	int exponent = (int)(bits >> mantissa) & ((1 << exponent_bits) - 1);
	uint32_t digits = bits & ((1U << mantissa) - 1);
	double sign = bits >> (exponent_bits + mantissa) ? -1 : 1;
	int bias = (1 << (exponent_bits - 1)) - 1;

	if (exponent == (1 << exponent_bits) - 1)
		return digits ? NAN : sign * INFINITY;
	if (exponent == 0)
		return sign * ldexp(digits, 1 - bias - mantissa);
	return sign * ldexp(digits + ldexp(1, mantissa), exponent - bias - mantissa);
}

double ref_read(const void *x, enum dtype dtype, int64_t index)
{
	switch (dtype) {
	case DTYPE_F32:
		return ((const float *)x)[index];
	case DTYPE_F16:
		return ref_decode(((const uint16_t *)x)[index], 5, 10);
	case DTYPE_BF16:
		return ref_decode(((const uint16_t *)x)[index], 8, 7);
	default:
		return (double)ref_read_integer(x, dtype, index);
	}
}

int64_t ref_read_integer(const void *x, enum dtype dtype, int64_t index)
{
	switch (dtype) {
	case DTYPE_I64:
		return ((const int64_t *)x)[index];
	case DTYPE_I32:
		return ((const int32_t *)x)[index];
	case DTYPE_I8:
		return ((const int8_t *)x)[index];
	default:
		return ((const uint8_t *)x)[index];
	}
}

double ref_round(double x, enum dtype to)
{
	int digits = to == DTYPE_F16 ? 11 : to == DTYPE_BF16 ? 8 : 24;
	int lowest = to == DTYPE_F16 ? -24 : to == DTYPE_BF16 ? -133 : -149;
	double largest = to == DTYPE_F16 ? 65504.0 : to == DTYPE_BF16 ? 0x1.fep127 : 0x1.fffffep127;
	double rounded;
	int exponent;

	if (x == 0 || isnan(x) || isinf(x))
		return x;
	(void)frexp(x, &exponent);
	exponent = exponent - digits > lowest ? exponent - digits : lowest;
	rounded = ldexp(nearbyint(ldexp(x, -exponent)), exponent);
	return fabs(rounded) > largest ? copysign(INFINITY, x) : rounded;
}

static int is_integer(enum dtype dtype)
{
	return !dtype_is_float(dtype);
}

void ref_cast_f32(const struct cast_args *args, double *ret_y)
{
	for (int64_t index = 0; index < args->count; index++) {
		double x = is_integer(args->from) ?
				   (float)ref_read_integer(args->x, args->from, index) :
				   ref_read(args->x, args->from, index);

		ret_y[index] = ref_round(x, args->to);
	}
}

static int64_t ref_truncate(double x, enum dtype to)
{
	double low = to == DTYPE_I64 ? -0x1p63 : to == DTYPE_I32 ? -0x1p31 :
		     to == DTYPE_I8  ? -128 : 0;
	double high = to == DTYPE_I64 ? 0x1p63 : to == DTYPE_I32 ? 0x1p31 - 1 :
		      to == DTYPE_I8  ? 127 : 255;

	if (to == DTYPE_BOOL)
		return x != 0;
	if (isnan(x))
		return 0;
	if (x >= high)
		return to == DTYPE_I64 ? INT64_MAX : (int64_t)high;
	return x <= low ? (to == DTYPE_I64 ? INT64_MIN : (int64_t)low) : (int64_t)x;
}

void ref_cast_integer(const struct cast_args *args, int64_t *ret_y)
{
	for (int64_t index = 0; index < args->count; index++) {
		int64_t x;

		if (!is_integer(args->from)) {
			ret_y[index] = ref_truncate(ref_read(args->x, args->from, index), args->to);
			continue;
		}
		x = ref_read_integer(args->x, args->from, index);
		ret_y[index] = args->to == DTYPE_I32  ? (int32_t)x :
			       args->to == DTYPE_I8   ? (int8_t)x :
			       args->to == DTYPE_U8   ? (uint8_t)x :
			       args->to == DTYPE_BOOL ? x != 0 :
							x;
	}
}

/* SPDX-License-Identifier: MIT */
/* kernels/ref/binary.c - one element at a time; an index becomes an offset by division */
#include "kernels/ref/ref.h"

#include <math.h>

static int64_t ref_count(const struct binary_args *args)
{
	int64_t count = 1;

	for (uint32_t dim = 0; dim < args->rank; dim++)
		count *= args->dims[dim];
	return count;
}

static int64_t ref_offset(const struct binary_args *args, const int64_t *strides, int64_t index)
{
	int64_t offset = 0;

	for (uint32_t dim = args->rank; dim-- > 0;) {
		offset += index % args->dims[dim] * strides[dim];
		index /= args->dims[dim];
	}
	return offset;
}

static int64_t ref_integer(const void *x, enum dtype dtype, int64_t offset)
{
	return dtype == DTYPE_I32 ? ((const int32_t *)x)[offset] : ((const int64_t *)x)[offset];
}

static double ref_number(const void *x, enum dtype dtype, int64_t offset)
{
	return dtype == DTYPE_F32 ? ((const float *)x)[offset] :
				    (float)ref_integer(x, dtype, offset);
}

static double ref_f32(enum binary op, double a, double b)
{
	switch (op) {
	case BINARY_ADD:
		return a + b;
	case BINARY_SUB:
		return a - b;
	case BINARY_MUL:
		return a * b;
	case BINARY_DIV:
		return a / b;
	case BINARY_MAX:
		return isnan(a) || isnan(b) ? NAN : fmax(a, b);
	case BINARY_MIN:
		return isnan(a) || isnan(b) ? NAN : fmin(a, b);
	case BINARY_POW:
		return pow(a, b);
	case BINARY_MOD:
	case BINARY_FMOD:
		return fmod(a, b);
	case BINARY_PRELU:
		return a < 0 ? a * b : a;
	case BINARY_COUNT:
		break;
	}
	return NAN;
}

static int64_t ref_power(int64_t base, int64_t exponent)
{
	uint64_t product = 1;

	if (exponent < 0 && base != 1 && base != -1)
		return 0;
	for (int64_t step = 0; step != exponent; step += exponent < 0 ? -1 : 1)
		product *= (uint64_t)base;
	return (int64_t)product;
}

static int64_t ref_integers(enum binary op, int64_t a, int64_t b)
{
	switch (op) {
	case BINARY_ADD:
		return (int64_t)((uint64_t)a + (uint64_t)b);
	case BINARY_SUB:
		return (int64_t)((uint64_t)a - (uint64_t)b);
	case BINARY_MUL:
		return (int64_t)((uint64_t)a * (uint64_t)b);
	case BINARY_DIV:
		if (b == 0)
			return 0;
		return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
	case BINARY_MAX:
		return a > b ? a : b;
	case BINARY_MIN:
		return a < b ? a : b;
	case BINARY_POW:
		return ref_power(a, b);
	case BINARY_MOD:
		if (b == 0 || b == -1)
			return 0;
		return a % b != 0 && (a % b < 0) != (b < 0) ? a % b + b : a % b;
	case BINARY_FMOD:
		return b == 0 || b == -1 ? 0 : a % b;
	case BINARY_PRELU:
	case BINARY_COUNT:
		break;
	}
	return 0;
}

void ref_binary_f32(const struct binary_args *args, double *ret_y)
{
	for (int64_t index = 0; index < ref_count(args); index++)
		ret_y[index] = ref_f32(
			args->op,
			ref_number(args->a, args->dtype, ref_offset(args, args->a_strides, index)),
			ref_number(args->b, args->op == BINARY_POW ? args->b_dtype : args->dtype,
				   ref_offset(args, args->b_strides, index)));
}

void ref_binary_integer(const struct binary_args *args, int64_t *ret_y)
{
	enum dtype b_dtype = args->op == BINARY_POW ? args->b_dtype : args->dtype;

	for (int64_t index = 0; index < ref_count(args); index++) {
		int64_t a_offset = ref_offset(args, args->a_strides, index);
		int64_t b_offset = ref_offset(args, args->b_strides, index);
		int64_t a = ref_integer(args->a, args->dtype, a_offset);
		int64_t y;

		if (b_dtype == DTYPE_F32)
			y = (int64_t)pow((double)a, ((const float *)args->b)[b_offset]);
		else
			y = ref_integers(args->op, a, ref_integer(args->b, b_dtype, b_offset));
		ret_y[index] = args->dtype == DTYPE_I32 ? (int32_t)y : y;
	}
}

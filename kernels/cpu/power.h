/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/power.h - one power
 *
 * The shortcuts look at the exponent's value alone, so an element's bits do not
 * depend on how the exponent is broadcast.
 */
#ifndef HEARTH_KERNELS_CPU_POWER_H
#define HEARTH_KERNELS_CPU_POWER_H

#include <math.h>

#include "kernels/cpu/convert.h"
#include "kernels/cpu/isa.h"

ALWAYS_INLINE float power_f32(float base, float exponent)
{
	if (exponent == 2.0f)
		return base * base;
	if (exponent == 1.0f)
		return base;
	/* pow(-inf, 0.5) is inf and pow(-0, 0.5) is 0; sqrt says NaN and -0. */
	if (exponent == 0.5f && base > 0.0f)
		return sqrtf(base);
	return powf(base, exponent);
}

/* Wraps. 1 / x^n truncates: 0, except for 1 and -1; 0 to a negative power is 0. */
ALWAYS_INLINE int64_t power_i64(int64_t base, int64_t exponent)
{
	uint64_t factor = (uint64_t)base;
	uint64_t result = 1;

	if (exponent < 0) {
		if (base != 1 && base != -1)
			return 0;
		exponent = -(exponent % 2);
	}
	for (; exponent > 0; exponent >>= 1) {
		if (exponent & 1)
			result *= factor;
		factor *= factor;
	}
	return (int64_t)result;
}

ALWAYS_INLINE int64_t power_read_i64(const void *x, enum dtype dtype)
{
	return dtype == DTYPE_I32 ? *(const int32_t *)x : *(const int64_t *)x;
}

ALWAYS_INLINE float power_read_f32(const void *x, enum dtype dtype)
{
	return dtype == DTYPE_F32 ? *(const float *)x : (float)power_read_i64(x, dtype);
}

/* y has the type of the base a. */
static inline void power_mixed(const void *a, enum dtype a_dtype, const void *b, enum dtype b_dtype,
			       void *y)
{
	if (a_dtype == DTYPE_F32 || b_dtype == DTYPE_F32) {
		float power = power_f32(power_read_f32(a, a_dtype), power_read_f32(b, b_dtype));

		if (a_dtype == DTYPE_F32)
			*(float *)y = power;
		else if (a_dtype == DTYPE_I32)
			*(int32_t *)y = convert_f32_i32(power);
		else
			*(int64_t *)y = convert_f32_i64(power);
	} else {
		int64_t power = power_i64(power_read_i64(a, a_dtype), power_read_i64(b, b_dtype));

		if (a_dtype == DTYPE_I32)
			*(int32_t *)y = (int32_t)power;
		else
			*(int64_t *)y = power;
	}
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/exponential.h - exp, log, sigmoid, tanh, erf and softplus of vectors
 *
 * Source: exp(x) = 2^n * exp(r), r = x - n * ln 2 in two parts (Cody & Waite
 *         1980); exp(r) = 1 + r + r^2 * q(r), q of degree 4 interpolates at the
 *         Chebyshev points of |r| <= ln 2 / 2, relative error 1.0e-8 before
 *         rounding. tanh(x) = x + x^3 * p(x^2) below 0.625, p likewise, relative
 *         error 1.7e-8; 1 - 2 / (exp(2 x) + 1) above. erf(x) = x + x * p(x^2)
 *         below 0.875, minimax (Remez 1934) of degree 5, relative error 8.6e-9;
 *         1 - exp(-g(x)) up to 4, where g is the minimax of degree 6 of
 *         -log(erfc(x)), weighted by erfc: absolute error 1.8e-9.
 *         log(x) = n * ln 2 + 2 * atanh(f / (2 + f)), 1 + f in [sqrt(1/2), sqrt(2)),
 *         the series of atanh up to the 9th power, relative error 2e-9
 * Error:  exp 1.5e-7 relative where the result is normal; sigmoid 3e-7 relative;
 *         tanh 3e-7 relative; erf 2e-7 relative; log, softplus 3e-7 relative
 *
 * Infinities give the limits, NaN gives NaN.
 */
#ifndef HEARTH_KERNELS_CPU_EXPONENTIAL_H
#define HEARTH_KERNELS_CPU_EXPONENTIAL_H

#include "kernels/cpu/vector.h"

#define TANH_POLYNOMIAL_MAX 0.625f
#define ERF_POLYNOMIAL_MAX 0.875f

/* exp(x + low), where |low| is at most half a unit in the last place of x. */
ALWAYS_INLINE vec vec_exp_of_sum(vec x, vec low)
{
	/* Adding 1.5 * 2^23 leaves the nearest integer in the low bits. */
	const vec shifter = vec_splat(0x1.8p23f);
	vec rounded, count, r, q, y;
	vec_i32 power, half;

	x = vec_min(vec_splat(89.0f), vec_max(vec_splat(-104.0f), x));
	rounded = vec_fma(x, vec_splat(0x1.715476p+0f), shifter);
	count = rounded - shifter;
	r = vec_fma(count, vec_splat(-0x1.63p-1f), x); /* exact: 355/512 has 9 bits */
	r = vec_fma(count, vec_splat(0x1.bd0106p-13f), r) + low;

	q = vec_splat(0x1.6d11fep-10f);
	q = vec_fma(q, r, vec_splat(0x1.120c62p-7f));
	q = vec_fma(q, r, vec_splat(0x1.555518p-5f));
	q = vec_fma(q, r, vec_splat(0x1.5554dcp-3f));
	q = vec_fma(q, r, vec_splat(0.5f));
	y = vec_fma(q, r * r, r) + 1.0f;

	/* 2^n in two factors: n reaches 128 and -150, a float's exponent does not. */
	power = (vec_i32)((vec_u32)rounded - (vec_u32)shifter);
	half = power >> 1;
	y *= (vec)((vec_u32)(half + 127) << 23);
	y *= (vec)((vec_u32)(power - half + 127) << 23);
	return y;
}

ALWAYS_INLINE vec vec_exp(vec x)
{
	return vec_exp_of_sum(x, vec_splat(0.0f));
}

/* exp(x - top) where x <= top: the rounding error of the difference is carried
 * along, since at x - top = -60 it alone would be worth 2e-6 of the result. */
ALWAYS_INLINE vec vec_exp_below(vec x, vec top)
{
	vec difference = x - top;
	vec swallowed = difference - x;
	vec low = (x - (difference - swallowed)) - (top + swallowed);

	/* Infinite operands have no low part, and neither has a result of 0. */
	low = (vec)((vec_i32)low & (difference > vec_splat(-104.0f)));
	return vec_exp_of_sum(difference, low);
}

ALWAYS_INLINE vec vec_sigmoid(vec x)
{
	vec decay = vec_exp(-vec_abs(x));
	vec one = vec_splat(1.0f);

	return vec_choose(x < 0.0f, decay, one) / (one + decay);
}

ALWAYS_INLINE vec vec_tanh(vec x)
{
	const vec_i32 sign = vec_splat_i32(INT32_MIN);
	vec magnitude = vec_abs(x);
	vec square = x * x;
	vec far, near;

	far = 1.0f - 2.0f / (vec_exp(magnitude + magnitude) + 1.0f);
	near = vec_splat(-0x1.8f8de4p-8f);
	near = vec_fma(near, square, vec_splat(0x1.58048ep-6f));
	near = vec_fma(near, square, vec_splat(-0x1.b9258ap-5f));
	near = vec_fma(near, square, vec_splat(0x1.110e1cp-3f));
	near = vec_fma(near, square, vec_splat(-0x1.555552p-2f));
	near = vec_fma(near * square, magnitude, magnitude);
	near = vec_choose(magnitude < TANH_POLYNOMIAL_MAX, near, far);
	return (vec)(((vec_i32)near & ~sign) | ((vec_i32)x & sign));
}

ALWAYS_INLINE vec vec_erf(vec x)
{
	const vec_i32 sign = vec_splat_i32(INT32_MIN);
	vec magnitude = vec_min(vec_splat(4.0f), vec_abs(x)); /* erf(4) rounds to 1 */
	vec square = magnitude * magnitude;
	vec far, near;

	far = vec_splat(-0x1.a338fcp-13f);
	far = vec_fma(far, magnitude, vec_splat(0x1.93f67ap-9f));
	far = vec_fma(far, magnitude, vec_splat(-0x1.6eb0c6p-6f));
	far = vec_fma(far, magnitude, vec_splat(0x1.ab023ap-4f));
	far = vec_fma(far, magnitude, vec_splat(0x1.460d5cp-1f));
	far = vec_fma(far, magnitude, vec_splat(0x1.20bd5cp+0f));
	far = vec_fma(far, magnitude, vec_splat(0x1.2e710ep-13f));
	far = 1.0f - vec_exp(-far);
	near = vec_splat(-0x1.453abp-11f);
	near = vec_fma(near, square, vec_splat(0x1.49c9fep-8f));
	near = vec_fma(near, square, vec_splat(-0x1.b6f38ap-6f));
	near = vec_fma(near, square, vec_splat(0x1.ce211ep-4f));
	near = vec_fma(near, square, vec_splat(-0x1.81270cp-2f));
	near = vec_fma(near, square, vec_splat(0x1.06eba6p-3f));
	near = vec_fma(near, magnitude, magnitude);
	near = vec_choose(magnitude < ERF_POLYNOMIAL_MAX, near, far);
	return (vec)(((vec_i32)near & ~sign) | ((vec_i32)x & sign));
}

/* Below 0 NaN, at 0 -infinity. */
ALWAYS_INLINE vec vec_log(vec x)
{
	const vec tiny = vec_splat(0x1p-126f);
	vec_i32 is_tiny = x < tiny;
	vec scaled = vec_choose(is_tiny, x * 0x1p+23f, x);
	vec_i32 bits = (vec_i32)scaled;
	/* 0x3f3504f3 is sqrt(1/2): what is above it counts to the next power. */
	vec_i32 above = (vec_i32)((vec_u32)bits - (vec_u32)vec_splat_i32(0x3f3504f3));
	vec_i32 power = (above >> 23) - (is_tiny & 23);
	vec f = (vec)((above & vec_splat_i32(0x007fffff)) + vec_splat_i32(0x3f3504f3)) - 1.0f;
	vec count = __builtin_convertvector(power, vec);
	vec s = f / (f + 2.0f);
	vec square = s * s;
	vec q, y;

	q = vec_splat(0x1.c71c72p-3f);
	q = vec_fma(q, square, vec_splat(0x1.24924ap-2f));
	q = vec_fma(q, square, vec_splat(0x1.99999ap-2f));
	q = vec_fma(q, square, vec_splat(0x1.555556p-1f));
	/* 2s = f - s * f keeps the digits of f */
	y = f - s * (f - square * q);
	y = vec_fma(count, vec_splat(-0x1.bd0106p-13f), y);
	y = vec_fma(count, vec_splat(0x1.63p-1f), y);
	y = vec_choose(x == 0.0f, vec_splat(-__builtin_inff()), y);
	y = vec_choose(x == __builtin_inff(), x, y);
	return vec_choose((x < 0.0f) | (x != x), vec_splat(__builtin_nanf("")), y);
}

/* log(1 + x) of 0 <= x <= 1: what 1 + x rounds away is added to first order. */
ALWAYS_INLINE vec vec_log_above_one(vec x)
{
	vec sum = 1.0f + x;

	return vec_log(sum) + (x - (sum - 1.0f)) / sum;
}

ALWAYS_INLINE vec vec_softplus(vec x)
{
	return vec_max(vec_splat(0.0f), x) + vec_log_above_one(vec_exp(-vec_abs(x)));
}

/* y may be x. */
static inline void sigmoid_run(const float *x, float *y, int64_t count)
{
	int64_t index = 0;

	for (; index + VEC_LANES <= count; index += VEC_LANES)
		vec_store(y + index, vec_sigmoid(vec_load(x + index)));
	if (index < count)
		vec_store_part(y + index, vec_sigmoid(vec_load_part(x + index, count - index)),
			       count - index);
}

static inline void tanh_run(const float *x, float *y, int64_t count)
{
	int64_t index = 0;

	for (; index + VEC_LANES <= count; index += VEC_LANES)
		vec_store(y + index, vec_tanh(vec_load(x + index)));
	if (index < count)
		vec_store_part(y + index, vec_tanh(vec_load_part(x + index, count - index)),
			       count - index);
}

#endif

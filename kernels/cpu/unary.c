/* SPDX-License-Identifier: MIT */
/* kernels/cpu/unary.c - one operand, contiguous */
#include "kernels/unary.h"

#include <math.h>

#include "kernels/cpu/activation.h"
#include "kernels/cpu/isa.h"

/* NaN stays NaN: both comparisons are false. */
static void clip_f32(const float *x, float *y, int64_t count, float low, float high)
{
	INDEPENDENT
	for (int64_t index = 0; index < count; index++) {
		float raised = low > x[index] ? low : x[index];

		y[index] = high < raised ? high : raised;
	}
}

static void clip_i32(const int32_t *x, int32_t *y, int64_t count, int64_t low, int64_t high)
{
	INDEPENDENT
	for (int64_t index = 0; index < count; index++) {
		int64_t raised = low > x[index] ? low : x[index];

		y[index] = (int32_t)(high < raised ? high : raised);
	}
}

static void clip_i64(const int64_t *x, int64_t *y, int64_t count, int64_t low, int64_t high)
{
	INDEPENDENT
	for (int64_t index = 0; index < count; index++) {
		int64_t raised = low > x[index] ? low : x[index];

		y[index] = high < raised ? high : raised;
	}
}

/* Vectors at a time, with the functions of exponential.h. */
#define UNARY_VECTORS(name, expression)                                                        \
	static void name(const float *from, float *y, int64_t count, float low, float high)    \
	{                                                                                      \
		(void)low;                                                                     \
		(void)high;                                                                    \
		for (int64_t index = 0; index < count; index += VEC_LANES) {                   \
			const int64_t left = count - index;                                    \
			vec x = left >= VEC_LANES ? vec_load(from + index)                     \
						  : vec_load_part(from + index, left);         \
                                                                                               \
			if (left >= VEC_LANES)                                                 \
				vec_store(y + index, expression);                              \
			else                                                                   \
				vec_store_part(y + index, expression, left);                   \
		}                                                                              \
	}

/* An element at a time, with what the compiler knows of it. */
#define UNARY_ELEMENTS(name, type, expression)                                                 \
	static void name(const type *from, type *y, int64_t count)                             \
	{                                                                                      \
		INDEPENDENT                                                                    \
		for (int64_t index = 0; index < count; index++) {                              \
			const type x = from[index];                                            \
                                                                                               \
			y[index] = (type)(expression);                                         \
		}                                                                              \
	}

UNARY_VECTORS(elu_f32, vec_activate(ACTIVATION_ELU, low, 0.0f, x))
UNARY_VECTORS(erf_f32, vec_erf(x))
UNARY_VECTORS(exp_f32, vec_exp(x))
UNARY_VECTORS(gelu_f32, vec_gelu(x))
UNARY_VECTORS(gelu_tanh_f32, vec_gelu_tanh(x))
UNARY_VECTORS(hard_sigmoid_f32, vec_max(vec_splat(0.0f), vec_min(vec_splat(1.0f), low * x + high)))
UNARY_VECTORS(leaky_relu_f32, vec_activate(ACTIVATION_LEAKY_RELU, low, 0.0f, x))
UNARY_VECTORS(log_f32, vec_log(x))
UNARY_VECTORS(silu_f32, vec_activate(ACTIVATION_SILU, 0.0f, 0.0f, x))
UNARY_VECTORS(softplus_f32, vec_softplus(x))

UNARY_ELEMENTS(abs_f32, float, fabsf(x))
UNARY_ELEMENTS(ceil_f32, float, ceilf(x))
UNARY_ELEMENTS(cos_f32, float, cosf(x))
UNARY_ELEMENTS(floor_f32, float, floorf(x))
UNARY_ELEMENTS(neg_f32, float, -x)
UNARY_ELEMENTS(reciprocal_f32, float, 1.0f / x)
UNARY_ELEMENTS(round_f32, float, rintf(x))
UNARY_ELEMENTS(sign_f32, float, x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x)
UNARY_ELEMENTS(sin_f32, float, sinf(x))
UNARY_ELEMENTS(sqrt_f32, float, sqrtf(x))
UNARY_ELEMENTS(neg_i32, int32_t, 0u - (uint32_t)x)
UNARY_ELEMENTS(neg_i64, int64_t, 0u - (uint64_t)x)
UNARY_ELEMENTS(abs_i32, int32_t, x < 0 ? 0u - (uint32_t)x : (uint32_t)x)
UNARY_ELEMENTS(abs_i64, int64_t, x < 0 ? 0u - (uint64_t)x : (uint64_t)x)
UNARY_ELEMENTS(sign_i32, int32_t, (x > 0) - (x < 0))
UNARY_ELEMENTS(sign_i64, int64_t, (x > 0) - (x < 0))
UNARY_ELEMENTS(not_bool, uint8_t, x == 0)

static void unary_curve(const struct unary_args *args, const float *x, float *y)
{
	switch (args->op) {
	case UNARY_SIGMOID:
		sigmoid_run(x, y, args->count);
		break;
	case UNARY_TANH:
		tanh_run(x, y, args->count);
		break;
#define CURVE_CASE(which, name)                                         \
	case which:                                                     \
		name(x, y, args->count, args->low, args->high);         \
		break
	CURVE_CASE(UNARY_ELU, elu_f32);
	CURVE_CASE(UNARY_ERF, erf_f32);
	CURVE_CASE(UNARY_EXP, exp_f32);
	CURVE_CASE(UNARY_GELU, gelu_f32);
	CURVE_CASE(UNARY_GELU_TANH, gelu_tanh_f32);
	CURVE_CASE(UNARY_HARD_SIGMOID, hard_sigmoid_f32);
	CURVE_CASE(UNARY_LEAKY_RELU, leaky_relu_f32);
	CURVE_CASE(UNARY_LOG, log_f32);
	CURVE_CASE(UNARY_SILU, silu_f32);
	CURVE_CASE(UNARY_SOFTPLUS, softplus_f32);
#undef CURVE_CASE
	default:
		break;
	}
}

static void unary_f32(const struct unary_args *args)
{
	const float *x = args->x;
	float *y = args->y;

	switch (args->op) {
	case UNARY_RELU:
		clip_f32(x, y, args->count, 0.0f, INFINITY);
		break;
	case UNARY_CLIP:
		clip_f32(x, y, args->count, args->low, args->high);
		break;
#define ELEMENT_CASE(which, name)               \
	case which:                             \
		name(x, y, args->count);        \
		break
	ELEMENT_CASE(UNARY_SQRT, sqrt_f32);
	ELEMENT_CASE(UNARY_ABS, abs_f32);
	ELEMENT_CASE(UNARY_CEIL, ceil_f32);
	ELEMENT_CASE(UNARY_COS, cos_f32);
	ELEMENT_CASE(UNARY_FLOOR, floor_f32);
	ELEMENT_CASE(UNARY_NEG, neg_f32);
	ELEMENT_CASE(UNARY_RECIPROCAL, reciprocal_f32);
	ELEMENT_CASE(UNARY_ROUND, round_f32);
	ELEMENT_CASE(UNARY_SIGN, sign_f32);
	ELEMENT_CASE(UNARY_SIN, sin_f32);
#undef ELEMENT_CASE
	default:
		unary_curve(args, x, y);
		break;
	}
}

static void unary_i32(const struct unary_args *args)
{
	if (args->op == UNARY_NEG)
		neg_i32(args->x, args->y, args->count);
	else if (args->op == UNARY_ABS)
		abs_i32(args->x, args->y, args->count);
	else if (args->op == UNARY_SIGN)
		sign_i32(args->x, args->y, args->count);
	else if (args->op == UNARY_RELU)
		clip_i32(args->x, args->y, args->count, 0, INT32_MAX);
	else
		clip_i32(args->x, args->y, args->count, args->low_i64, args->high_i64);
}

static void unary_i64(const struct unary_args *args)
{
	if (args->op == UNARY_NEG)
		neg_i64(args->x, args->y, args->count);
	else if (args->op == UNARY_ABS)
		abs_i64(args->x, args->y, args->count);
	else if (args->op == UNARY_SIGN)
		sign_i64(args->x, args->y, args->count);
	else if (args->op == UNARY_RELU)
		clip_i64(args->x, args->y, args->count, 0, INT64_MAX);
	else
		clip_i64(args->x, args->y, args->count, args->low_i64, args->high_i64);
}

void CPU(unary)(const void *erased)
{
	const struct unary_args *args = erased;

	if (args->dtype == DTYPE_F32)
		unary_f32(args);
	else if (args->dtype == DTYPE_I32)
		unary_i32(args);
	else if (args->dtype == DTYPE_I64)
		unary_i64(args);
	else
		not_bool(args->x, args->y, args->count);
}

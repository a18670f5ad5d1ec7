/* SPDX-License-Identifier: MIT */
/* kernels/cpu/unary.c - one operand, contiguous */
#include "kernels/unary.h"

#include <math.h>

#include "kernels/cpu/activation.h"
#include "kernels/cpu/exponential.h"
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

static void sqrt_f32(const float *x, float *y, int64_t count)
{
	INDEPENDENT
	for (int64_t index = 0; index < count; index++)
		y[index] = sqrtf(x[index]);
}

ALWAYS_INLINE void activate(enum activation activation, const float *x, float *y, int64_t count)
{
	int64_t index = 0;

	for (; index + VEC_LANES <= count; index += VEC_LANES)
		vec_store(y + index, vec_activate(activation, 0.0f, 0.0f, vec_load(x + index)));
	if (index < count)
		vec_store_part(y + index,
			       vec_activate(activation, 0.0f, 0.0f,
					    vec_load_part(x + index, count - index)),
			       count - index);
}

static void unary_f32(const struct unary_args *args)
{
	const float *x = args->x;
	float *y = args->y;

	switch (args->op) {
	case UNARY_RELU:
		clip_f32(x, y, args->count, 0.0f, INFINITY);
		break;
	case UNARY_SIGMOID:
		sigmoid_run(x, y, args->count);
		break;
	case UNARY_TANH:
		tanh_run(x, y, args->count);
		break;
	case UNARY_SQRT:
		sqrt_f32(x, y, args->count);
		break;
	case UNARY_CLIP:
		clip_f32(x, y, args->count, args->low, args->high);
		break;
	case UNARY_SILU:
		activate(ACTIVATION_SILU, x, y, args->count);
		break;
	case UNARY_GELU:
		activate(ACTIVATION_GELU, x, y, args->count);
		break;
	case UNARY_GELU_TANH:
		activate(ACTIVATION_GELU_TANH, x, y, args->count);
		break;
	}
}

void CPU(unary)(const void *erased)
{
	const struct unary_args *args = erased;
	int64_t low = args->op == UNARY_RELU ? 0 : args->low_i64;
	int64_t high = args->op == UNARY_RELU ? INT64_MAX : args->high_i64;

	if (args->dtype == DTYPE_F32)
		unary_f32(args);
	else if (args->dtype == DTYPE_I32)
		clip_i32(args->x, args->y, args->count, low, high);
	else
		clip_i64(args->x, args->y, args->count, low, high);
}

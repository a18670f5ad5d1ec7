/* SPDX-License-Identifier: MIT */
/* kernels/ref/unary.c - one element at a time */
#include "kernels/ref/ref.h"

#include <math.h>

static double ref_op(const struct unary_args *args, double x)
{
	switch (args->op) {
	case UNARY_RELU:
		return ref_activation(ACTIVATION_RELU, 0, 0, x);
	case UNARY_SIGMOID:
		return ref_activation(ACTIVATION_SIGMOID, 0, 0, x);
	case UNARY_TANH:
		return ref_activation(ACTIVATION_TANH, 0, 0, x);
	case UNARY_SQRT:
		return sqrt(x);
	case UNARY_CLIP:
		return ref_activation(ACTIVATION_CLIP, args->low, args->high, x);
	case UNARY_SILU:
		return ref_activation(ACTIVATION_SILU, 0, 0, x);
	case UNARY_ABS:
		return fabs(x);
	case UNARY_CEIL:
		return ceil(x);
	case UNARY_COS:
		return cos(x);
	case UNARY_ELU:
		return ref_activation(ACTIVATION_ELU, args->low, 0, x);
	case UNARY_ERF:
		return erf(x);
	case UNARY_EXP:
		return exp(x);
	case UNARY_FLOOR:
		return floor(x);
	case UNARY_GELU:
		return ref_activation(ACTIVATION_GELU, 0, 0, x);
	case UNARY_GELU_TANH:
		return ref_activation(ACTIVATION_GELU_TANH, 0, 0, x);
	case UNARY_HARD_SIGMOID:
		return ref_activation(ACTIVATION_CLIP, 0, 1, args->low * x + args->high);
	case UNARY_LEAKY_RELU:
		return ref_activation(ACTIVATION_LEAKY_RELU, args->low, 0, x);
	case UNARY_LOG:
		return log(x);
	case UNARY_NEG:
		return -x;
	case UNARY_RECIPROCAL:
		return 1 / x;
	case UNARY_ROUND:
		return nearbyint(x);
	case UNARY_SIGN:
		return x > 0 ? 1 : x < 0 ? -1 : x;
	case UNARY_SIN:
		return sin(x);
	case UNARY_SOFTPLUS:
		return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
	case UNARY_NOT:
	case UNARY_COUNT:
		break;
	}
	return NAN;
}

void ref_unary_f32(const struct unary_args *args, double *ret_y)
{
	for (int64_t index = 0; index < args->count; index++)
		ret_y[index] = ref_op(args, ((const float *)args->x)[index]);
}

void ref_unary_integer(const struct unary_args *args, int64_t *ret_y)
{
	for (int64_t index = 0; index < args->count; index++) {
		int64_t x = args->dtype == DTYPE_I32 ? ((const int32_t *)args->x)[index] :
						       ((const int64_t *)args->x)[index];

		if (args->op == UNARY_RELU) {
			ret_y[index] = x < 0 ? 0 : x;
		} else if (args->op == UNARY_SIGN) {
			ret_y[index] = x > 0 ? 1 : x < 0 ? -1 : 0;
		} else if (args->op == UNARY_NEG || args->op == UNARY_ABS) {
			x = args->op == UNARY_NEG || x < 0 ? (int64_t)(0 - (uint64_t)x) : x;
			ret_y[index] = args->dtype == DTYPE_I32 ? (int32_t)x : x;
		} else {
			x = x < args->low_i64 ? args->low_i64 : x;
			ret_y[index] = x > args->high_i64 ? args->high_i64 : x;
		}
	}
}

/* SPDX-License-Identifier: MIT */
/* kernels/ref/gemm.c - one dot product at a time */
#include "kernels/ref/ref.h"

#include <math.h>
#include <stddef.h>

double ref_activation(enum activation activation, double low, double high, double x)
{
	switch (activation) {
	case ACTIVATION_NONE:
		return x;
	case ACTIVATION_RELU:
		return x < 0 ? 0 : x;
	case ACTIVATION_SIGMOID:
		return 1 / (1 + exp(-x));
	case ACTIVATION_TANH:
		return tanh(x);
	case ACTIVATION_CLIP:
		x = x < low ? low : x;
		return x > high ? high : x;
	case ACTIVATION_LEAKY_RELU:
		return x < 0 ? low * x : x;
	case ACTIVATION_ELU:
		return x < 0 ? low * expm1(x) : x;
	case ACTIVATION_SILU:
		return x / (1 + exp(-x));
	case ACTIVATION_GELU:
		return x * (1 + erf(x * M_SQRT1_2)) * 0.5;
	case ACTIVATION_GELU_TANH:
		return 0.5 * x * (1 + tanh(M_2_SQRTPI * M_SQRT1_2 * (x + 0.044715 * x * x * x)));
	case ACTIVATION_COUNT:
		break;
	}
	return NAN;
}

void ref_gemm(const struct gemm_args *args, const float *w, double *ret_y, double *ret_magnitude)
{
	for (int64_t row = 0; row < args->rows; row++)
		for (int64_t column = 0; column < args->n; column++) {
			double bias = args->bias != NULL ? args->bias[column] : 0;
			double sum = bias, magnitude = fabs(bias);

			for (int64_t k = 0; k < args->k; k++) {
				double product = (double)args->x[row * args->x_stride + k] *
						 w[k * args->n + column];

				sum += product;
				magnitude += fabs(product);
			}
			sum = ref_activation(args->activation, args->low, args->high, sum);
			if (args->multiplier != NULL)
				sum *= args->multiplier[row * args->multiplier_stride + column];
			if (args->residual != NULL)
				sum += args->residual[row * args->residual_stride + column];
			ret_y[row * args->n + column] = ref_activation(
				args->post_activation, args->post_low, args->post_high, sum);
			ret_magnitude[row * args->n + column] = magnitude;
		}
}

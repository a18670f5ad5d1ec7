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
			ret_y[row * args->n + column] =
				ref_activation(args->activation, args->low, args->high, sum);
			ret_magnitude[row * args->n + column] = magnitude;
		}
}

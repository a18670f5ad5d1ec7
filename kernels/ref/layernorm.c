/* SPDX-License-Identifier: MIT */
/* kernels/ref/layernorm.c - one row at a time */
#include "kernels/ref/ref.h"

#include <math.h>
#include <stddef.h>

void ref_layernorm(const struct layernorm_args *args, double *ret_y, double *ret_mean,
		   double *ret_inv_std)
{
	for (int64_t row = 0; row < args->rows; row++) {
		const float *x = args->x + row * args->cols;
		double mean = 0, variance = 0;

		for (int64_t col = 0; col < args->cols; col++)
			mean += x[col] / (double)args->cols;
		for (int64_t col = 0; col < args->cols; col++)
			variance += (x[col] - mean) * (x[col] - mean) / (double)args->cols;
		ret_mean[row] = mean;
		ret_inv_std[row] = 1 / sqrt(variance + args->epsilon);
		for (int64_t col = 0; col < args->cols; col++)
			ret_y[row * args->cols + col] = ref_activation(
				args->activation, args->low, args->high,
				(x[col] - mean) * ret_inv_std[row] * args->scale[col] +
					(args->bias != NULL ? args->bias[col] : 0));
	}
}

/* SPDX-License-Identifier: MIT */
/* kernels/ref/matmul.c - one dot product at a time */
#include "kernels/ref/ref.h"

#include <math.h>

static void ref_matrix(const struct matmul_args *args, const float *a, const float *b,
		       double *ret_y, double *ret_magnitude)
{
	for (int64_t row = 0; row < args->m; row++)
		for (int64_t column = 0; column < args->n; column++) {
			double sum = 0, magnitude = 0;

			for (int64_t k = 0; k < args->k; k++) {
				double product = (double)a[row * args->a_row + k * args->a_column] *
						 b[k * args->b_row + column * args->b_column];

				sum += product;
				magnitude += fabs(product);
			}
			ret_y[row * args->n + column] = sum;
			ret_magnitude[row * args->n + column] = magnitude;
		}
}

void ref_matmul(const struct matmul_args *args, double *ret_y, double *ret_magnitude)
{
	int64_t matrix = 0;

	for (int64_t outer = 0; outer < args->batch[0]; outer++)
		for (int64_t middle = 0; middle < args->batch[1]; middle++)
			for (int64_t inner = 0; inner < args->batch[2]; inner++, matrix++) {
				int64_t a = outer * args->a_batch[0] + middle * args->a_batch[1] +
					    inner * args->a_batch[2];
				int64_t b = outer * args->b_batch[0] + middle * args->b_batch[1] +
					    inner * args->b_batch[2];

				ref_matrix(args, args->a + a, args->b + b,
					   ret_y + matrix * args->m * args->n,
					   ret_magnitude + matrix * args->m * args->n);
			}
}

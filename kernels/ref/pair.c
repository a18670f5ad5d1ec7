/* SPDX-License-Identifier: MIT */
/* kernels/ref/pair.c - one key at a time */
#include "kernels/ref/ref.h"

#include <math.h>

void ref_pair(const struct pair_args *args, const float *weight, const float *product,
	      double *ret_y, double *ret_magnitude)
{
	for (int64_t row = 0; row < args->rows; row++)
		for (int64_t key = 0; key < args->count; key++)
			for (int64_t column = 0; column < args->n; column++) {
				const int64_t vector = row * args->count + key;
				const float *x = args->keys + vector * args->keys_stride;
				const float *query = args->query + row * args->query_stride;
				double sum = args->offset[row * args->n + column];
				double magnitude = fabs(sum);

				for (int64_t k = 0; k < args->k; k++) {
					double plain = weight[k * args->n + column];
					double both = (double)query[k] * product[k * args->n + column];

					sum += x[k] * (plain + both);
					magnitude += fabs(x[k]) * (fabs(plain) + fabs(both));
				}
				ret_y[vector * args->n + column] = ref_activation(
					args->activation, args->low, args->high, sum);
				ret_magnitude[vector * args->n + column] = magnitude;
			}
}

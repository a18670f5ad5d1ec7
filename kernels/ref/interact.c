/* SPDX-License-Identifier: MIT */
/* kernels/ref/interact.c - one dot product at a time */
#include "kernels/ref/ref.h"

#include <math.h>

void ref_interact(const struct interact_args *args, double *ret_y, double *ret_magnitude)
{
	for (int64_t row = 0; row < args->rows; row++)
		for (int64_t run = 0; run < args->run_count; run++)
			for (int32_t index = 0; index < args->runs[run].count; index++) {
				const float *x = args->x + row * args->x_stride;
				const float *left = x + args->runs[run].left * args->depth;
				const float *right =
					x + (args->runs[run].right + index) * args->depth;
				int64_t at = row * args->y_stride + args->runs[run].at + index;
				double sum = 0, magnitude = 0;

				for (int64_t k = 0; k < args->depth; k++) {
					sum += (double)left[k] * right[k];
					magnitude += fabs((double)left[k] * right[k]);
				}
				ret_y[at] = sum;
				ret_magnitude[at] = magnitude;
			}
}

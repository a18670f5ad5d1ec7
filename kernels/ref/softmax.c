/* SPDX-License-Identifier: MIT */
/* kernels/ref/softmax.c - one element at a time */
#include "kernels/ref/ref.h"

#include <math.h>

void ref_softmax(const struct softmax_args *args, double *ret_y)
{
	for (int64_t outer = 0; outer < args->outer; outer++)
		for (int64_t inner = 0; inner < args->inner; inner++) {
			int64_t start = outer * args->axis * args->inner + inner;
			double top = -INFINITY, sum = 0;

			for (int64_t axis = 0; axis < args->axis; axis++)
				top = fmax(top, args->x[start + axis * args->inner]);
			for (int64_t axis = 0; axis < args->axis; axis++)
				sum += exp(args->x[start + axis * args->inner] - top);
			for (int64_t axis = 0; axis < args->axis; axis++)
				ret_y[start + axis * args->inner] =
					args->logarithm ?
						args->x[start + axis * args->inner] - top - log(sum) :
						exp(args->x[start + axis * args->inner] - top) / sum;
		}
}

/* SPDX-License-Identifier: MIT */
/* kernels/cpu/layernorm.c - mean, then variance about it, each in 16 partial sums */
#include "kernels/layernorm.h"

#include <math.h>
#include <stddef.h>

#include "kernels/cpu/activation.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/vector.h"

static float row_mean(const float *x, int64_t cols)
{
	struct wide sum = wide_splat(0.0f);

	for (int64_t col = 0; col < cols; col += WIDE_LANES)
		sum = wide_add(sum, wide_load(x + col, cols - col, 0.0f));
	return wide_sum(sum) / (float)cols;
}

static float row_variance(const float *x, float mean, int64_t cols)
{
	struct wide sum = wide_splat(0.0f);

	for (int64_t col = 0; col < cols; col += WIDE_LANES) {
		struct wide value = wide_load(x + col, cols - col, mean);

		for (int part = 0; part < WIDE_VECS; part++) {
			vec distance = value.part[part] - mean;

			sum.part[part] = vec_fma(distance, distance, sum.part[part]);
		}
	}
	return wide_sum(sum) / (float)cols;
}

static void row_normalize(const struct layernorm_args *args, const float *x, float mean,
			  float inv_std, float *y)
{
	const int64_t cols = args->cols;

	for (int64_t col = 0; col < cols; col += WIDE_LANES) {
		struct wide value = wide_load(x + col, cols - col, 0.0f);
		struct wide scale = wide_load(args->scale + col, cols - col, 0.0f);
		struct wide bias = wide_splat(0.0f);

		if (args->bias != NULL)
			bias = wide_load(args->bias + col, cols - col, 0.0f);
		for (int part = 0; part < WIDE_VECS; part++)
			value.part[part] = vec_fma((value.part[part] - mean) * inv_std,
						   scale.part[part], bias.part[part]);
		wide_store(y + col, value, cols - col);
	}
}

void CPU(layernorm)(const void *erased)
{
	const struct layernorm_args *args = erased;

	for (int64_t row = 0; row < args->rows; row++) {
		const float *x = args->x + row * args->cols;
		float mean = row_mean(x, args->cols);
		float variance = row_variance(x, mean, args->cols);
		float inv_std = 1.0f / sqrtf(variance + args->epsilon);

		row_normalize(args, x, mean, inv_std, args->y + row * args->cols);
		activation_run(args->activation, args->low, args->high,
			       args->y + row * args->cols, args->cols);
		if (args->mean != NULL)
			args->mean[row] = mean;
		if (args->inv_std != NULL)
			args->inv_std[row] = inv_std;
	}
}

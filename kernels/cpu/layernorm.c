/* SPDX-License-Identifier: MIT */
/* kernels/cpu/layernorm.c - mean, then variance about it, each in 16 partial sums */
#include "kernels/layernorm.h"

#include <math.h>
#include <stddef.h>

#include "kernels/cpu/activation.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/vector.h"

#define ROWS_AT_ONCE 4 /* sums of one row do not wait for those of another */

struct moments {
	float mean[ROWS_AT_ONCE];
	float inv_std[ROWS_AT_ONCE];
};

/* Of `rows` rows; the bits of each are those that it has alone. */
ALWAYS_INLINE void rows_measure(const struct layernorm_args *args, const float *x, const int rows,
				struct moments *ret_moments)
{
	const int64_t cols = args->cols;
	struct wide sums[ROWS_AT_ONCE], squares[ROWS_AT_ONCE];

	UNROLL
	for (int row = 0; row < rows; row++)
		sums[row] = squares[row] = wide_splat(0.0f);
	for (int64_t col = 0; col < cols; col += WIDE_LANES) {
		UNROLL
		for (int row = 0; row < rows; row++)
			sums[row] = wide_add(sums[row], wide_load(x + row * cols + col, cols - col,
								  0.0f));
	}
	UNROLL
	for (int row = 0; row < rows; row++)
		ret_moments->mean[row] = wide_sum(sums[row]) / (float)cols;
	for (int64_t col = 0; col < cols; col += WIDE_LANES) {
		UNROLL
		for (int row = 0; row < rows; row++) {
			const float mean = ret_moments->mean[row];
			struct wide value = wide_load(x + row * cols + col, cols - col, mean);

			for (int part = 0; part < WIDE_VECS; part++) {
				vec distance = value.part[part] - mean;

				squares[row].part[part] =
					vec_fma(distance, distance, squares[row].part[part]);
			}
		}
	}
	UNROLL
	for (int row = 0; row < rows; row++)
		ret_moments->inv_std[row] =
			1.0f / sqrtf(wide_sum(squares[row]) / (float)cols + args->epsilon);
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

ALWAYS_INLINE void rows_run(const struct layernorm_args *args, int64_t first, const int rows)
{
	struct moments moments;

	rows_measure(args, args->x + first * args->cols, rows, &moments);
	for (int row = 0; row < rows; row++) {
		const int64_t at = first + row;
		float *y = args->y + at * args->cols;

		row_normalize(args, args->x + at * args->cols, moments.mean[row],
			      moments.inv_std[row], y);
		activation_run(args->activation, args->low, args->high, y, args->cols);
		if (args->mean != NULL)
			args->mean[at] = moments.mean[row];
		if (args->inv_std != NULL)
			args->inv_std[at] = moments.inv_std[row];
	}
}

void CPU(layernorm)(const void *erased)
{
	const struct layernorm_args *args = erased;
	int64_t row = 0;

	for (; row + ROWS_AT_ONCE <= args->rows; row += ROWS_AT_ONCE)
		rows_run(args, row, ROWS_AT_ONCE);
	for (; row < args->rows; row++)
		rows_run(args, row, 1);
}

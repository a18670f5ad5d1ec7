/* SPDX-License-Identifier: MIT */
/*
 * kernels/gemm_pack.c - weights in panels of GEMM_PANEL_COLUMNS columns, zeros after column n,
 *                       and calls on a part of a matrix
 *
 * Every instruction set reads this one layout, so packed weights can be kept in
 * a file or shared between processes.
 */
#include "kernels/gemm.h"

static int64_t panel_count(int64_t n)
{
	return (n + GEMM_PANEL_COLUMNS - 1) / GEMM_PANEL_COLUMNS;
}

size_t gemm_packed_bytes(int64_t k, int64_t n)
{
	return (size_t)panel_count(n) * (size_t)k * GEMM_PANEL_COLUMNS * sizeof(float);
}

void gemm_pack(float *packed, const float *w, int64_t k, int64_t n, int64_t row_stride,
	       int64_t column_stride)
{
	for (int64_t panel = 0; panel < panel_count(n); panel++) {
		int64_t first = panel * GEMM_PANEL_COLUMNS;
		int64_t columns = n - first < GEMM_PANEL_COLUMNS ? n - first : GEMM_PANEL_COLUMNS;

		for (int64_t row = 0; row < k; row++) {
			const float *from = w + row * row_stride + first * column_stride;
			int64_t column;

			for (column = 0; column < columns; column++)
				packed[column] = from[column * column_stride];
			for (; column < GEMM_PANEL_COLUMNS; column++)
				packed[column] = 0.0f;
			packed += GEMM_PANEL_COLUMNS;
		}
	}
}

static const float *moved(const float *matrix, int64_t elements)
{
	return matrix != NULL ? matrix + elements : NULL;
}

struct gemm_args gemm_columns(const struct gemm_args *args, int64_t first, int64_t columns)
{
	struct gemm_args part = *args;

	part.weight += first * args->k;
	part.bias = moved(args->bias, first);
	part.multiplier = moved(args->multiplier, first);
	part.residual = moved(args->residual, first);
	part.y += first;
	part.n = columns;
	return part;
}

struct gemm_args gemm_rows(const struct gemm_args *args, int64_t first, int64_t rows)
{
	struct gemm_args part = *args;

	part.x += first * args->x_stride;
	part.multiplier = moved(args->multiplier, first * args->multiplier_stride);
	part.residual = moved(args->residual, first * args->residual_stride);
	part.y += first * args->y_stride;
	part.rows = rows;
	return part;
}

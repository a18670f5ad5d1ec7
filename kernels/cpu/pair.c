/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/pair.c - for each row its own matrix, then a gemm over its keys
 *
 * The matrix is made in the layout of packed weights, so that the gemm is the one of every other
 * layer; both matrices and the one that is made stay in the second cache from row to row.
 */
#include "kernels/pair.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/vector.h"
#include "kernels/gemm.h"

static void matrix_make(const struct pair_args *args, const float *query)
{
	const int64_t panels = (args->n + GEMM_PANEL_COLUMNS - 1) / GEMM_PANEL_COLUMNS;
	const float *weight = args->weight;
	const float *product = args->product;
	float *matrix = args->scratch;

	for (int64_t panel = 0; panel < panels; panel++) {
		for (int64_t k = 0; k < args->k; k++) {
			const vec factor = vec_splat(query[k]);

			UNROLL
			for (int64_t at = 0; at < GEMM_PANEL_COLUMNS; at += VEC_LANES)
				vec_store(matrix + at, vec_fma(factor, vec_load(product + at),
							       vec_load(weight + at)));
			weight += GEMM_PANEL_COLUMNS;
			product += GEMM_PANEL_COLUMNS;
			matrix += GEMM_PANEL_COLUMNS;
		}
	}
}

void CPU(pair)(const void *erased)
{
	const struct pair_args *args = erased;
	struct gemm_args gemm = {
		.weight = args->scratch,
		.rows = args->count,
		.k = args->k,
		.n = args->n,
		.x_stride = args->keys_stride,
		.y_stride = args->y_stride,
		.activation = args->activation,
		.low = args->low,
		.high = args->high,
	};

	if (args->count <= 0)
		return;
	for (int64_t row = 0; row < args->rows; row++) {
		matrix_make(args, args->query + row * args->query_stride);
		gemm.x = args->keys + row * args->count * args->keys_stride;
		gemm.y = args->y + row * args->count * args->y_stride;
		gemm.bias = args->offset + row * args->n;
		CPU(gemm)(&gemm);
	}
}

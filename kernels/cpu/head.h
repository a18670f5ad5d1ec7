/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/head.h - the inner loop of gemm for a few columns, such as a model's score
 *
 * A panel would be mostly zeros. Here a lane is a row: blocks of x are transposed
 * in registers and each sum takes its products in ascending k, as in a tile, so
 * it has the bits that a tile gives.
 */
#ifndef HEARTH_KERNELS_CPU_HEAD_H
#define HEARTH_KERNELS_CPU_HEAD_H

#include "kernels/cpu/transpose.h"
#include "kernels/cpu/vector.h"
#include "kernels/gemm.h"

#define HEAD_COLUMNS_MAX 4
#define HEAD_GROUPS 2 /* squares at once: sums of one do not wait for those of the other */
#define HEAD_ROWS (HEAD_GROUPS * VEC_LANES)

struct head {
	const float *w;    /* one panel: row k at k * GEMM_PANEL_COLUMNS */
	const float *bias; /* [columns] or NULL */
	int64_t k;
	int64_t columns; /* 1 to HEAD_COLUMNS_MAX */
	int64_t x_row;
	int64_t y_row;
	float low, high; /* clips the result; -inf and inf change nothing */
};

/* Adds the products of VEC_LANES values of k, of which `ks` exist, to the sums. */
ALWAYS_INLINE void head_step(const struct head *head, const float *const *x, int64_t k,
			     const int64_t ks, const int columns, vec *sums)
{
	vec square[VEC_LANES];

	UNROLL
	for (int row = 0; row < VEC_LANES; row++)
		square[row] = ks == VEC_LANES ? vec_load(x[row] + k) :
						vec_load_part(x[row] + k, ks);
	square_transpose(square);
	UNROLL
	for (int step = 0; step < VEC_LANES; step++) {
		const float *w = head->w + (k + step) * GEMM_PANEL_COLUMNS;

		if (step >= ks)
			break;
		UNROLL
		for (int column = 0; column < columns; column++)
			sums[column] = vec_fma(square[step], vec_splat(w[column]), sums[column]);
	}
}

/* `rows` of them exist; the others are the last one again, and are not written. */
ALWAYS_INLINE void head_run(const struct head *head, const float *x, float *y, int64_t rows,
			    const int columns, const int groups)
{
	const float *places[HEAD_ROWS];
	vec sums[HEAD_GROUPS * HEAD_COLUMNS_MAX];
	int64_t k = 0;

	for (int64_t row = 0; row < groups * VEC_LANES; row++)
		places[row] = x + (row < rows ? row : rows - 1) * head->x_row;
	UNROLL
	for (int sum = 0; sum < groups * columns; sum++)
		sums[sum] = vec_splat(0.0f);
	for (; k + VEC_LANES <= head->k; k += VEC_LANES) {
		UNROLL
		for (int group = 0; group < groups; group++)
			head_step(head, places + group * VEC_LANES, k, VEC_LANES, columns,
				  sums + group * columns);
	}
	if (k < head->k) {
		UNROLL
		for (int group = 0; group < groups; group++)
			head_step(head, places + group * VEC_LANES, k, head->k - k, columns,
				  sums + group * columns);
	}
	UNROLL
	for (int sum = 0; sum < groups * columns; sum++) {
		const int column = sum % columns;
		const int64_t first = sum / columns * VEC_LANES;
		const int64_t left = rows - first;

		if (head->bias != NULL)
			sums[sum] += vec_splat(head->bias[column]);
		sums[sum] = vec_min(vec_splat(head->high),
				    vec_max(vec_splat(head->low), sums[sum]));
		if (head->y_row == 1)
			vec_store_part(y + first, sums[sum], left < VEC_LANES ? left : VEC_LANES);
		else
			for (int lane = 0; lane < VEC_LANES && lane < left; lane++)
				y[(first + lane) * head->y_row + column] = sums[sum][lane];
	}
}

ALWAYS_INLINE void head_columns(const struct head *head, const float *x, float *y, int64_t rows,
				const int columns)
{
	if (rows > VEC_LANES)
		head_run(head, x, y, rows, columns, HEAD_GROUPS);
	else
		head_run(head, x, y, rows, columns, 1);
}

/* At most HEAD_ROWS rows. */
static inline void head_compute(const struct head *head, const float *x, float *y, int64_t rows)
{
	switch (head->columns) {
	case 1:
		head_columns(head, x, y, rows, 1);
		break;
	case 2:
		head_columns(head, x, y, rows, 2);
		break;
	case 3:
		head_columns(head, x, y, rows, 3);
		break;
	default:
		head_columns(head, x, y, rows, HEAD_COLUMNS_MAX);
		break;
	}
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/transpose.h - a square in registers; panels of a matrix whose columns are
 *                           contiguous, as tile.h wants them
 */
#ifndef HEARTH_KERNELS_CPU_TRANSPOSE_H
#define HEARTH_KERNELS_CPU_TRANSPOSE_H

#include "kernels/cpu/vector.h"
#include "kernels/gemm.h"

/* Each perfect shuffle of the vectors brings one bit of the vector's number into the lane's;
 * after all of them the two have changed places. */
ALWAYS_INLINE void square_transpose(vec square[VEC_LANES])
{
	vec next[VEC_LANES];

	UNROLL
	for (int stage = 1; stage < VEC_LANES; stage *= 2) {
		UNROLL
		for (int pair = 0; pair < VEC_LANES / 2; pair++) {
			vec a = square[pair];
			vec b = square[pair + VEC_LANES / 2];

			next[2 * pair] = vec_interleave_low(a, b);
			next[2 * pair + 1] = vec_interleave_high(a, b);
		}
		UNROLL
		for (int index = 0; index < VEC_LANES; index++)
			square[index] = next[index];
	}
}

/* packed[row, column] = b[column * b_column + row], a square as wide as a vector, of which
 * `rows` and `columns` exist. */
ALWAYS_INLINE void pack_square(float *packed, const float *b, int64_t rows, int64_t columns,
			       int64_t b_column)
{
	vec square[VEC_LANES];

	UNROLL
	for (int column = 0; column < VEC_LANES; column++) {
		square[column] = vec_splat(0.0f);
		if (column < columns)
			square[column] = vec_load_part(b + column * b_column, rows);
	}
	square_transpose(square);
	UNROLL
	for (int row = 0; row < VEC_LANES; row++)
		if (row < rows)
			vec_store(packed + row * GEMM_PANEL_COLUMNS, square[row]);
}

/* One panel of a b whose columns are contiguous. */
static inline void pack_transposed(float *packed, const float *b, int64_t k, int64_t columns,
			    int64_t b_column)
{
	for (int64_t row = 0; row < k; row += VEC_LANES) {
		int64_t rows = k - row < VEC_LANES ? k - row : VEC_LANES;

		for (int64_t column = 0; column < GEMM_PANEL_COLUMNS; column += VEC_LANES)
			pack_square(packed + row * GEMM_PANEL_COLUMNS + column,
				    b + column * b_column + row, rows, columns - column, b_column);
	}
}

#endif

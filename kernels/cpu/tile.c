/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/tile.c - one function for each shape of tile, all from one body
 *
 * rows and panels are constants wherever tile_run is inlined: the loops over
 * them unroll and the sums live in registers.
 */
#include "kernels/cpu/tile.h"

#include <stddef.h>

/* The lanes of vector `v` of a row that exist. */
ALWAYS_INLINE int64_t tile_lanes(const struct tile *tile, int v)
{
	int64_t lanes = tile->columns - v * VEC_LANES;

	return lanes < 0 ? 0 : lanes > VEC_LANES ? VEC_LANES : lanes;
}

ALWAYS_INLINE void tile_run(const struct tile *tile, const int rows, const int panels)
{
	const int vecs = panels * WIDE_VECS;
	const int64_t x_row = tile->x_row;
	const int64_t x_step = tile->x_step;
	const int64_t w_panel = tile->w_panel;
	const float *x = tile->x;
	const float *w = tile->w;
	const bool whole = tile->columns == panels * GEMM_PANEL_COLUMNS;
	vec sums[TILE_SUMS];
	vec weights[TILE_PANELS_MAX * WIDE_VECS];

	UNROLL
	for (int sum = 0; sum < rows * vecs; sum++)
		sums[sum] = vec_splat(0.0f);
	if (tile->resume) {
		UNROLL
		for (int sum = 0; sum < rows * vecs; sum++)
			sums[sum] = vec_load_part(tile->y + sum / vecs * tile->y_row +
							  sum % vecs * VEC_LANES,
						  tile_lanes(tile, sum % vecs));
	}

	for (int64_t k = 0; k < tile->k; k++) {
		UNROLL
		for (int v = 0; v < vecs; v++)
			weights[v] = vec_load(w + v / WIDE_VECS * w_panel +
					      v % WIDE_VECS * VEC_LANES);
		UNROLL
		for (int row = 0; row < rows; row++) {
			vec value = vec_splat(x[row * x_row]);

			UNROLL
			for (int v = 0; v < vecs; v++)
				sums[row * vecs + v] =
					vec_fma(value, weights[v], sums[row * vecs + v]);
		}
		x += x_step;
		w += GEMM_PANEL_COLUMNS;
	}

	if (tile->bias != NULL) {
		UNROLL
		for (int sum = 0; sum < rows * vecs; sum++)
			sums[sum] += vec_load(tile->bias + sum % vecs * VEC_LANES);
	}
	UNROLL
	for (int sum = 0; sum < rows * vecs; sum++)
		sums[sum] = vec_min(vec_splat(tile->high),
				    vec_max(vec_splat(tile->low), sums[sum]));
	if (whole) {
		UNROLL
		for (int sum = 0; sum < rows * vecs; sum++)
			vec_store(tile->y + sum / vecs * tile->y_row + sum % vecs * VEC_LANES,
				  sums[sum]);
	} else {
		UNROLL
		for (int sum = 0; sum < rows * vecs; sum++)
			vec_store_part(tile->y + sum / vecs * tile->y_row + sum % vecs * VEC_LANES,
				       sums[sum], tile_lanes(tile, sum % vecs));
	}
}

#define TILE(rows, panels)                                                \
	static void tile_##rows##_##panels(const struct tile *tile)       \
	{                                                                 \
		tile_run(tile, rows, panels);                             \
	}

TILE(1, 1)
TILE(2, 1)
TILE(1, 2)
#if TILE_SUMS >= 12
TILE(3, 1)
TILE(4, 1)
TILE(5, 1)
TILE(6, 1)
TILE(2, 2)
TILE(3, 2)
TILE(1, 4)
#endif
#if TILE_SUMS >= 24
TILE(7, 1)
TILE(8, 1)
TILE(9, 1)
TILE(10, 1)
TILE(11, 1)
TILE(12, 1)
TILE(4, 2)
TILE(5, 2)
TILE(6, 2)
TILE(7, 2)
TILE(8, 2)
TILE(9, 2)
TILE(10, 2)
TILE(11, 2)
TILE(12, 2)
TILE(2, 4)
TILE(3, 4)
TILE(4, 4)
TILE(5, 4)
TILE(6, 4)
#endif

const tile_function CPU(tiles)[TILE_ROWS_MAX][3] = {
#if TILE_SUMS == 8
	{ tile_1_1, tile_1_2, NULL },
	{ tile_2_1, NULL, NULL },
#elif TILE_SUMS == 12
	{ tile_1_1, tile_1_2, tile_1_4 },
	{ tile_2_1, tile_2_2, NULL },
	{ tile_3_1, tile_3_2, NULL },
	{ tile_4_1, NULL, NULL },
	{ tile_5_1, NULL, NULL },
	{ tile_6_1, NULL, NULL },
#else
	{ tile_1_1, tile_1_2, tile_1_4 },
	{ tile_2_1, tile_2_2, tile_2_4 },
	{ tile_3_1, tile_3_2, tile_3_4 },
	{ tile_4_1, tile_4_2, tile_4_4 },
	{ tile_5_1, tile_5_2, tile_5_4 },
	{ tile_6_1, tile_6_2, tile_6_4 },
	{ tile_7_1, tile_7_2, NULL },
	{ tile_8_1, tile_8_2, NULL },
	{ tile_9_1, tile_9_2, NULL },
	{ tile_10_1, tile_10_2, NULL },
	{ tile_11_1, tile_11_2, NULL },
	{ tile_12_1, tile_12_2, NULL },
#endif
};

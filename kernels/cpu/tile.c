/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/tile.c - one function for each shape of tile, all from one body
 *
 * rows and panels are constants wherever tile_run is inlined: the loops over
 * them unroll and the sums live in registers.
 *
 * Rows of x and panels of w are reached from a pointer for every three of them,
 * at once, twice or no times a stride, which an address can contain: twelve rows
 * take four registers, and no address is computed or reloaded within the loop.
 */
#include "kernels/cpu/tile.h"

#include <math.h>
#include <stddef.h>

#define THIRDS(count) (((count) + 2) / 3)

struct cursor {
	const float *at[THIRDS(TILE_ROWS_MAX > TILE_PANELS_MAX ? TILE_ROWS_MAX : TILE_PANELS_MAX)];
};

ALWAYS_INLINE struct cursor cursor_at(const float *start, int64_t stride, const int count)
{
	struct cursor cursor = { 0 };

	UNROLL
	for (int third = 0; third < THIRDS(count); third++)
		cursor.at[third] = start + 3 * third * stride;
	return cursor;
}

ALWAYS_INLINE void cursor_move(struct cursor *cursor, int64_t step, const int count)
{
	UNROLL
	for (int third = 0; third < THIRDS(count); third++) {
		cursor->at[third] += step;
		__asm__("" : "+r"(cursor->at[third])); /* each a register of its own */
	}
}

ALWAYS_INLINE const float *cursor_place(const struct cursor *cursor, int64_t stride, int index)
{
	return cursor->at[index / 3] + index % 3 * stride;
}

/* The lanes of vector `v` of a row that exist. */
ALWAYS_INLINE int64_t tile_lanes(const struct tile *tile, int v)
{
	int64_t lanes = tile->columns - v * VEC_LANES;

	return lanes < 0 ? 0 : lanes > VEC_LANES ? VEC_LANES : lanes;
}

/* All k. What there is less of, values of a row of x or vectors of weights, waits in registers
 * for the other. */
ALWAYS_INLINE void tile_sum(const struct tile *tile, vec *sums, const int rows, const int panels)
{
	const int vecs = panels * WIDE_VECS;
	const int64_t x_row = tile->x_row;
	const int64_t x_step = tile->x_step;
	const int64_t w_panel = tile->w_panel;
	struct cursor x = cursor_at(tile->x, x_row, rows);
	struct cursor w = cursor_at(tile->w, w_panel, panels);
	vec waiting[TILE_SUMS];

	for (int64_t k = tile->k; k > 0; k--) {
		if (rows < vecs) {
			UNROLL
			for (int row = 0; row < rows; row++)
				waiting[row] = vec_splat(*cursor_place(&x, x_row, row));
			UNROLL
			for (int v = 0; v < vecs; v++) {
				vec weights = vec_load(cursor_place(&w, w_panel, v / WIDE_VECS) +
						       v % WIDE_VECS * VEC_LANES);

				if (rows > 1)
					weights = vec_keep(weights);
				UNROLL
				for (int row = 0; row < rows; row++)
					sums[row * vecs + v] = vec_fma(waiting[row], weights,
								       sums[row * vecs + v]);
			}
		} else {
			UNROLL
			for (int v = 0; v < vecs; v++)
				waiting[v] = vec_load(cursor_place(&w, w_panel, v / WIDE_VECS) +
						      v % WIDE_VECS * VEC_LANES);
			UNROLL
			for (int row = 0; row < rows; row++) {
				vec value = vec_splat(*cursor_place(&x, x_row, row));

				UNROLL
				for (int v = 0; v < vecs; v++)
					sums[row * vecs + v] = vec_fma(value, waiting[v],
								       sums[row * vecs + v]);
			}
		}
		cursor_move(&x, x_step, rows);
		cursor_move(&w, GEMM_PANEL_COLUMNS, panels);
	}
}

ALWAYS_INLINE void tile_run(const struct tile *tile, const int rows, const int panels)
{
	const int vecs = panels * WIDE_VECS;
	const bool whole = tile->columns == panels * GEMM_PANEL_COLUMNS;
	vec sums[TILE_SUMS];

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
	tile_sum(tile, sums, rows, panels);
	if (tile->bias != NULL) {
		UNROLL
		for (int sum = 0; sum < rows * vecs; sum++)
			sums[sum] += vec_load(tile->bias + sum % vecs * VEC_LANES);
	}
	if (tile->low > -INFINITY) {
		UNROLL
		for (int sum = 0; sum < rows * vecs; sum++)
			sums[sum] = vec_max(vec_splat(tile->low), sums[sum]);
	}
	if (tile->high < INFINITY) {
		UNROLL
		for (int sum = 0; sum < rows * vecs; sum++)
			sums[sum] = vec_min(vec_splat(tile->high), sums[sum]);
	}
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

#define TILE_FITS(rows, panels) ((rows) * (panels) * WIDE_VECS <= TILE_SUMS)

#define TILE(rows, panels)                                          \
	static void tile_##rows##_##panels(const struct tile *tile) \
	{                                                           \
		if (TILE_FITS(rows, panels))                        \
			tile_run(tile, rows, panels);               \
	}

#define TILES(rows)                                                                     \
	TILE(rows, 1) TILE(rows, 2) TILE(rows, 3)                                       \
	TILE(rows, 4) TILE(rows, 5) TILE(rows, 6)

#define ENTRY(rows, panels) (TILE_FITS(rows, panels) ? tile_##rows##_##panels : NULL)

#define ENTRIES(rows)                                                                   \
	{ ENTRY(rows, 1), ENTRY(rows, 2), ENTRY(rows, 3),                               \
	  ENTRY(rows, 4), ENTRY(rows, 5), ENTRY(rows, 6) }

TILES(1)
TILES(2)
#if TILE_ROWS_MAX > 2
TILES(3)
TILES(4)
TILES(5)
TILES(6)
#endif
#if TILE_ROWS_MAX > 6
TILES(7)
TILES(8)
TILES(9)
TILES(10)
TILES(11)
TILES(12)
#endif

const tile_function CPU(tiles)[TILE_ROWS_MAX][TILE_PANELS_MAX] = {
	ENTRIES(1),
	ENTRIES(2),
#if TILE_ROWS_MAX > 2
	ENTRIES(3),
	ENTRIES(4),
	ENTRIES(5),
	ENTRIES(6),
#endif
#if TILE_ROWS_MAX > 6
	ENTRIES(7),
	ENTRIES(8),
	ENTRIES(9),
	ENTRIES(10),
	ENTRIES(11),
	ENTRIES(12),
#endif
};

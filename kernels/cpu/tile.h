/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/tile.h - the inner loop of gemm and matmul: a few rows times a few panels
 *
 * A tile keeps rows x panels x 16 sums in registers and walks k once. Each sum
 * starts at zero (or at the y of the previous block of k) and takes one product
 * at a time in ascending k, so its bits do not depend on the tile's shape.
 *
 * Weights and bias are whole panels; of y, only `columns` are read or written.
 */
#ifndef HEARTH_KERNELS_CPU_TILE_H
#define HEARTH_KERNELS_CPU_TILE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/cpu/vector.h"
#include "kernels/gemm.h"

_Static_assert(GEMM_PANEL_COLUMNS == WIDE_LANES, "a panel's row is one wide");

/* Registers that hold sums: what the weights and x leave. */
#if VEC_LANES == 16
#define TILE_SUMS 24
#define TILE_ROWS_MAX 12
#elif VEC_LANES == 8
#define TILE_SUMS 12
#define TILE_ROWS_MAX 6
#elif VEC_FUSED
#define TILE_SUMS 24
#define TILE_ROWS_MAX 6
#else
#define TILE_SUMS 8
#define TILE_ROWS_MAX 2
#endif

/* Up to three rows take six panels at once, or their sums would wait for each other: a multiply-add
 * takes four cycles, and two begin in each. More streams of weights cost more than they give. */
#define TILE_PANELS_MAX 6
#define TILE_PANELS_SOME 4
#define TILE_COLUMNS_MAX (TILE_PANELS_MAX * GEMM_PANEL_COLUMNS)

struct tile {
	const float *x;    /* element (row, k) at row * x_row + k * x_step */
	const float *w;    /* panel p, row k at p * w_panel + k * GEMM_PANEL_COLUMNS */
	const float *bias; /* whole panels, or NULL */
	float *y;          /* row at row * y_row */
	int64_t k;
	int64_t columns;
	int64_t x_row;
	int64_t x_step;
	int64_t w_panel;
	int64_t y_row;
	float low, high; /* clips the result; -inf and inf change nothing */
	bool resume;     /* y holds the sums so far */
};

typedef void (*tile_function)(const struct tile *tile);

/* [rows - 1][panels - 1]; NULL where the registers do not suffice */
extern const tile_function CPU(tiles)[TILE_ROWS_MAX][TILE_PANELS_MAX];

/* The most panels that a tile of so many rows takes. */
ALWAYS_INLINE int64_t tile_panels_max(int64_t rows)
{
	int64_t panels = TILE_SUMS / (rows * WIDE_VECS);
	int64_t most = rows <= 3 ? TILE_PANELS_MAX : TILE_PANELS_SOME;

	return panels < most ? panels : most;
}

/* Panels of the next tile: all groups of a matrix are equally wide, within one. */
ALWAYS_INLINE int64_t tile_panels(int64_t rows, int64_t panels_left)
{
	int64_t most = tile_panels_max(rows);
	int64_t groups = (panels_left + most - 1) / most;

	return (panels_left + groups - 1) / groups;
}

/* Rows of the next tile, likewise. */
ALWAYS_INLINE int64_t tile_rows(int64_t rows_left)
{
	int64_t tiles = (rows_left + TILE_ROWS_MAX - 1) / TILE_ROWS_MAX;

	return (rows_left + tiles - 1) / tiles;
}

/* The same for all tiles at once, since a division a tile is much for a small one: `higher` tiles
 * of rows + 1, then those of rows, `count` together. */
struct tile_cut {
	int64_t count;
	int64_t rows;
	int64_t higher;
};

ALWAYS_INLINE struct tile_cut tile_cut(int64_t rows)
{
	int64_t count = (rows + TILE_ROWS_MAX - 1) / TILE_ROWS_MAX;

	return (struct tile_cut){ .count = count, .rows = rows / count, .higher = rows % count };
}

ALWAYS_INLINE int64_t tile_cut_rows(const struct tile_cut *cut, int64_t index)
{
	return cut->rows + (index < cut->higher);
}

ALWAYS_INLINE void tile_compute(const struct tile *tile, int64_t rows, int64_t panels)
{
	CPU(tiles)[rows - 1][panels - 1](tile);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/interact.c - a row's vectors times themselves, by the tiles of gemm
 *
 * The vectors are transposed into panels on the stack, block by block; tiles give the products of
 * a block, of all rows that any run wants there, and the runs are copied from it. Half of the
 * square is never computed where the runs are a triangle.
 */
#include "kernels/interact.h"

#include <math.h>

#include "kernels/cpu/bytes.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/tile.h"
#include "kernels/cpu/transpose.h"

#define BLOCK_PANELS 2
#define BLOCK_COLUMNS (BLOCK_PANELS * GEMM_PANEL_COLUMNS)
#define BLOCK_K 128
#define PANELS_MAX (INTERACT_VECTORS_MAX / GEMM_PANEL_COLUMNS)

_Static_assert(PANELS_MAX % BLOCK_PANELS == 0, "the last block has all its panels");

/* Left vectors, from first up to end, that have a product in a panel; none: end is 0. */
struct lefts {
	int64_t first, end;
};

struct room {
	float packed[BLOCK_K * BLOCK_COLUMNS] __attribute__((aligned(64)));
	float products[INTERACT_VECTORS_MAX * BLOCK_COLUMNS] __attribute__((aligned(64)));
};

static void lefts_find(const struct interact_args *args, struct lefts lefts[PANELS_MAX])
{
	for (int64_t panel = 0; panel < PANELS_MAX; panel++)
		lefts[panel] = (struct lefts){ INTERACT_VECTORS_MAX, 0 };
	for (int64_t index = 0; index < args->run_count; index++) {
		const struct interact_run *run = &args->runs[index];
		int64_t last = (run->right + run->count - 1) / GEMM_PANEL_COLUMNS;

		for (int64_t panel = run->right / GEMM_PANEL_COLUMNS; panel <= last; panel++) {
			if (run->left < lefts[panel].first)
				lefts[panel].first = run->left;
			if (run->left >= lefts[panel].end)
				lefts[panel].end = run->left + 1;
		}
	}
}

/* Products of the vectors [first, end) with one or both panels of the block. */
static void block_tiles(const struct interact_args *args, const float *x, struct tile *tile,
			struct room *room, int64_t panel, int64_t panels, struct lefts lefts)
{
	int64_t height;

	tile->w = room->packed + panel * tile->w_panel;
	tile->columns = panels * GEMM_PANEL_COLUMNS;
	for (int64_t left = lefts.first; left < lefts.end; left += height) {
		int64_t width;

		height = tile_rows(lefts.end - left);
		tile->x = x + left * args->depth;
		for (int64_t done = 0; done < panels; done += width) {
			struct tile part = *tile;

			width = tile_panels(height, panels - done);
			part.w += done * tile->w_panel;
			part.columns = width * GEMM_PANEL_COLUMNS;
			part.y = room->products + left * BLOCK_COLUMNS +
				 (panel + done) * GEMM_PANEL_COLUMNS;
			tile_compute(&part, height, width);
		}
	}
}

ALWAYS_INLINE int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

ALWAYS_INLINE int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Between each two of the four places where a panel's lefts begin or end, the same panels are
 * wanted: both, one or none. */
static void block_multiply(const struct interact_args *args, const float *x, struct tile *tile,
			   struct room *room, const struct lefts lefts[BLOCK_PANELS])
{
	const struct lefts a = lefts[0], b = lefts[1];
	const struct lefts both = { larger(a.first, b.first), smaller(a.end, b.end) };

	if (both.first >= both.end) {
		block_tiles(args, x, tile, room, 0, 1, a);
		block_tiles(args, x, tile, room, 1, 1, b);
		return;
	}
	block_tiles(args, x, tile, room, a.first < b.first ? 0 : 1, 1,
		    (struct lefts){ smaller(a.first, b.first), both.first });
	block_tiles(args, x, tile, room, 0, BLOCK_PANELS, both);
	block_tiles(args, x, tile, room, a.end > b.end ? 0 : 1, 1,
		    (struct lefts){ both.end, larger(a.end, b.end) });
}

/* The products of all vectors with the block's: at least one turn, sums over no k are 0. */
static void block_compute(const struct interact_args *args, const float *x, struct room *room,
			  int64_t column, const struct lefts lefts[BLOCK_PANELS])
{
	struct tile tile = {
		.x_row = args->depth,
		.x_step = 1,
		.y_row = BLOCK_COLUMNS,
		.low = -INFINITY,
		.high = INFINITY,
	};

	for (int64_t k = 0; k == 0 || k < args->depth; k += BLOCK_K) {
		tile.k = smaller(args->depth - k, BLOCK_K);
		tile.w_panel = tile.k * GEMM_PANEL_COLUMNS;
		tile.resume = k > 0;
		for (int64_t panel = 0; panel < BLOCK_PANELS; panel++) {
			int64_t first = column + panel * GEMM_PANEL_COLUMNS;

			if (lefts[panel].end > 0)
				pack_transposed(room->packed + panel * tile.w_panel,
						x + first * args->depth + k, tile.k,
						smaller(args->vectors - first, GEMM_PANEL_COLUMNS),
						args->depth);
		}
		block_multiply(args, x + k, &tile, room, lefts);
	}
}

static void block_copy(const struct interact_args *args, const struct room *room, int64_t column,
		       float *y)
{
	for (int64_t index = 0; index < args->run_count; index++) {
		const struct interact_run *run = &args->runs[index];
		int64_t first = larger(run->right, column);
		int64_t end = smaller(run->right + run->count, column + BLOCK_COLUMNS);
		const float *from = room->products + run->left * BLOCK_COLUMNS + first - column;
		float *to = y + run->at + first - run->right;

		for (; first < end; first += VEC_LANES, from += VEC_LANES, to += VEC_LANES) {
			if (end - first >= VEC_LANES)
				vec_store(to, vec_load(from));
			else
				vec_store_part(to, vec_load_part(from, end - first), end - first);
		}
	}
}

void CPU(interact)(const void *erased)
{
	const struct interact_args *args = erased;
	struct lefts lefts[PANELS_MAX];
	struct room room;

	lefts_find(args, lefts);
	for (int64_t row = 0; row < args->rows; row++) {
		const float *x = args->x + row * args->x_stride;

		if (args->head_count > 0)
			bytes_copy((char *)(args->head + row * args->y_stride),
				   (const char *)(x + args->head_from),
				   (size_t)args->head_count * sizeof(float));
		for (int64_t column = 0; column < args->vectors; column += BLOCK_COLUMNS) {
			const struct lefts *wanted = &lefts[column / GEMM_PANEL_COLUMNS];

			if (wanted[0].end == 0 && wanted[1].end == 0)
				continue;
			block_compute(args, x, &room, column, wanted);
			block_copy(args, &room, column, args->y + row * args->y_stride);
		}
	}
}

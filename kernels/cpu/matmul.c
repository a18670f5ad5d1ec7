/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/matmul.c - b is packed block by block on the stack, then as gemm
 *
 * A block is MATMUL_BLOCK_K x TILE_COLUMNS_MAX; sums wait in y between blocks of k,
 * which costs no bits. Batches that share b are rows of one matrix. A single row, as
 * an attention that weighs the rows of b, takes b as it lies.
 */
#include "kernels/matmul.h"

#include <math.h>
#include <stddef.h>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/tile.h"
#include "kernels/cpu/transpose.h"

#define MATMUL_BLOCK_K 256

/* Columns of one panel of b, of which `columns` exist, for k rows. */
static void pack_panel(float *packed, const float *b, int64_t k, int64_t columns, int64_t b_row,
		       int64_t b_column)
{
	if (b_row == 1 && b_column != 1) {
		pack_transposed(packed, b, k, columns, b_column);
	} else if (b_column == 1) {
		for (int64_t row = 0; row < k; row++)
			wide_store(packed + row * GEMM_PANEL_COLUMNS,
				   wide_load(b + row * b_row, columns, 0.0f), WIDE_LANES);
	} else {
		for (int64_t row = 0; row < k; row++)
			for (int64_t column = 0; column < GEMM_PANEL_COLUMNS; column++)
				packed[row * GEMM_PANEL_COLUMNS + column] =
					column < columns ? b[row * b_row + column * b_column] :
							   0.0f;
	}
}

static void matmul_matrix(const struct matmul_args *args, const float *a, const float *b, float *y)
{
	float packed[MATMUL_BLOCK_K * TILE_COLUMNS_MAX] __attribute__((aligned(64)));
	const struct tile_cut cut = tile_cut(args->m);
	struct tile tile = {
		.w = packed,
		.x_row = args->a_row,
		.x_step = args->a_column,
		.y_row = args->n,
		.low = -INFINITY,
		.high = INFINITY,
	};
	int64_t panels, columns;

	for (int64_t column = 0; column < args->n; column += columns) {
		int64_t left = args->n - column;

		panels = tile_panels(tile_cut_rows(&cut, 0),
				     (left + GEMM_PANEL_COLUMNS - 1) / GEMM_PANEL_COLUMNS);
		columns = panels * GEMM_PANEL_COLUMNS < left ? panels * GEMM_PANEL_COLUMNS : left;
		tile.columns = columns;
		/* At least one block: a sum over no k is 0, and has to be written. */
		for (int64_t k = 0; k == 0 || k < args->k; k += MATMUL_BLOCK_K) {
			int64_t row = 0;

			tile.k = args->k - k < MATMUL_BLOCK_K ? args->k - k : MATMUL_BLOCK_K;
			tile.w_panel = tile.k * GEMM_PANEL_COLUMNS;
			tile.resume = k > 0;
			for (int64_t panel = 0; panel < panels; panel++) {
				int64_t first = panel * GEMM_PANEL_COLUMNS;

				pack_panel(packed + panel * tile.w_panel,
					   b + k * args->b_row + (column + first) * args->b_column,
					   tile.k, columns - first, args->b_row, args->b_column);
			}
			for (int64_t index = 0; index < cut.count; index++) {
				int64_t rows = tile_cut_rows(&cut, index);

				tile.x = a + row * args->a_row + k * args->a_column;
				tile.y = y + row * args->n + column;
				tile_compute(&tile, rows, panels);
				row += rows;
			}
		}
	}
}

/* Up to `panels` panels of columns, of which the last may be a part: each product once, in ascending
 * k, as a tile does. */
ALWAYS_INLINE void row_panels(const struct matmul_args *args, const float *a, const float *b,
			      float *y, int64_t columns, int panels)
{
	struct wide sums[TILE_PANELS_MAX];
	const int64_t last = columns - (panels - 1) * WIDE_LANES;

	UNROLL
	for (int panel = 0; panel < panels; panel++)
		sums[panel] = wide_splat(0.0f);
	for (int64_t k = 0; k < args->k; k++) {
		const vec x = vec_splat(a[k * args->a_column]);
		const float *row = b + k * args->b_row;

		UNROLL
		for (int panel = 0; panel < panels; panel++) {
			struct wide value = wide_load(row + panel * WIDE_LANES,
						      panel + 1 < panels ? WIDE_LANES : last, 0.0f);

			for (int part = 0; part < WIDE_VECS; part++)
				sums[panel].part[part] =
					vec_fma(x, value.part[part], sums[panel].part[part]);
		}
	}
	UNROLL
	for (int panel = 0; panel < panels; panel++)
		wide_store(y + panel * WIDE_LANES, sums[panel],
			   panel + 1 < panels ? WIDE_LANES : last);
}

static void matmul_row(const struct matmul_args *args, const float *a, const float *b, float *y)
{
	int64_t column = 0;

	for (; column + TILE_COLUMNS_MAX <= args->n; column += TILE_COLUMNS_MAX)
		row_panels(args, a, b + column, y + column, TILE_COLUMNS_MAX, TILE_PANELS_MAX);
	for (; column + WIDE_LANES <= args->n; column += WIDE_LANES)
		row_panels(args, a, b + column, y + column, WIDE_LANES, 1);
	if (column < args->n)
		row_panels(args, a, b + column, y + column, args->n - column, 1);
}

/* The same results from fewer or fuller tiles. */
static void matmul_simplify(struct matmul_args *args)
{
	int rank = MATMUL_BATCH_RANK - 1;

	/* Batches that share b and whose rows of a follow each other are more rows. */
	for (; rank >= 0; rank--) {
		if (args->batch[rank] == 1)
			continue;
		if (args->b_batch[rank] != 0 ||
		    (args->m > 1 && args->a_batch[rank] != args->m * args->a_row))
			break;
		if (args->m == 1)
			args->a_row = args->a_batch[rank];
		args->m *= args->batch[rank];
		args->batch[rank] = 1;
	}

	/* A matrix times a column is a row times the transposed matrix: the same
	 * products in the same order, sixteen rows a vector. */
	if (args->n == 1 && args->m > 1) {
		const struct matmul_args column = *args;

		args->a = column.b;
		args->b = column.a;
		for (rank = 0; rank < MATMUL_BATCH_RANK; rank++) {
			args->a_batch[rank] = column.b_batch[rank];
			args->b_batch[rank] = column.a_batch[rank];
		}
		args->m = 1;
		args->n = column.m;
		args->a_row = 0;
		args->a_column = column.b_row;
		args->b_row = column.a_column;
		args->b_column = column.a_row;
	}
}

void CPU(matmul)(const void *erased)
{
	struct matmul_args args = *(const struct matmul_args *)erased;
	float *y = args.y;
	bool is_row;

	matmul_simplify(&args);
	if (args.m <= 0 || args.n <= 0)
		return;
	is_row = args.m == 1 && args.b_column == 1;
	for (int64_t outer = 0; outer < args.batch[0]; outer++)
		for (int64_t middle = 0; middle < args.batch[1]; middle++)
			for (int64_t inner = 0; inner < args.batch[2]; inner++) {
				const float *a = args.a + outer * args.a_batch[0] +
						 middle * args.a_batch[1] + inner * args.a_batch[2];
				const float *b = args.b + outer * args.b_batch[0] +
						 middle * args.b_batch[1] + inner * args.b_batch[2];

				if (is_row)
					matmul_row(&args, a, b, y);
				else
					matmul_matrix(&args, a, b, y);
				y += args.m * args.n;
			}
}

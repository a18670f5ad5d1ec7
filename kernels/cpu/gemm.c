/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/gemm.c - packed weights stream by, tiles of rows stay in registers
 *
 * A part of x that fits the second cache is one block. Within it panels are the
 * outer loop: a group of panels stays in the cache while all rows pass by it,
 * and the weights are read once a block.
 */
#include "kernels/gemm.h"

#include <math.h>
#include <string.h>

#include "kernels/cpu/activation.h"
#include "kernels/cpu/head.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/tile.h"

/* x is walked once for each group of panels, so a part of it that stays in the second cache is
 * taken at a time. Long rows are cut along k only where x would otherwise come from beyond the
 * last cache, since the sums then wait in y. */
#define GEMM_X_FLOATS (64 << 10)
#define GEMM_X_FLOATS_WHOLE (1 << 20)
#define GEMM_ROWS_MIN 48

struct gemm_clip {
	float low;
	float high;
};

/* Activations that a tile applies itself; the others take a second pass. */
static struct gemm_clip gemm_clip(const struct gemm_args *args)
{
	switch (args->activation) {
	case ACTIVATION_RELU:
		return (struct gemm_clip){ 0.0f, INFINITY };
	case ACTIVATION_CLIP:
		return (struct gemm_clip){ args->low, args->high };
	default:
		return (struct gemm_clip){ -INFINITY, INFINITY };
	}
}

static bool gemm_has_second_pass(const struct gemm_args *args)
{
	return (args->activation != ACTIVATION_NONE && args->activation != ACTIVATION_RELU &&
		args->activation != ACTIVATION_CLIP) ||
	       args->multiplier != NULL || args->residual != NULL ||
	       args->post_activation != ACTIVATION_NONE;
}

static void multiply_run(float *y, const float *multiplier, int64_t count)
{
	INDEPENDENT
	for (int64_t index = 0; index < count; index++)
		y[index] *= multiplier[index];
}

static void add_run(float *y, const float *residual, int64_t count)
{
	INDEPENDENT
	for (int64_t index = 0; index < count; index++)
		y[index] += residual[index];
}

/* What the tile, which lies in the nearest cache, did not apply. */
static void gemm_finish(const struct gemm_args *args, int64_t row, int64_t column, int64_t rows,
			int64_t columns)
{
	const struct gemm_args part = gemm_rows(args, row, rows);
	float *y = part.y + column;

	/* One run where rows follow each other: the bits of an element do not depend on it. */
	if (args->y_stride == columns &&
	    (args->multiplier == NULL || args->multiplier_stride == columns) &&
	    (args->residual == NULL || args->residual_stride == columns)) {
		columns *= rows;
		rows = 1;
	}
	for (row = 0; row < rows; row++, y += args->y_stride) {
		if (args->activation != ACTIVATION_RELU && args->activation != ACTIVATION_CLIP)
			activation_run(args->activation, args->low, args->high, y, columns);
		if (args->multiplier != NULL)
			multiply_run(y, part.multiplier + row * args->multiplier_stride + column,
				     columns);
		if (args->residual != NULL)
			add_run(y, part.residual + row * args->residual_stride + column, columns);
		activation_run(args->post_activation, args->post_low, args->post_high, y, columns);
	}
}

/* A few columns: sums of as many rows as a vector has lanes. */
static void gemm_head(const struct gemm_args *args)
{
	const struct gemm_clip clip = gemm_clip(args);
	const struct head head = {
		.w = args->weight,
		.bias = args->bias,
		.k = args->k,
		.columns = args->n,
		.x_row = args->x_stride,
		.y_row = args->y_stride,
		.low = clip.low,
		.high = clip.high,
	};
	int64_t rows;

	for (int64_t row = 0; row < args->rows; row += rows) {
		rows = args->rows - row < HEAD_ROWS ? args->rows - row : HEAD_ROWS;
		head_compute(&head, args->x + row * args->x_stride, args->y + row * args->y_stride,
			     rows);
	}
	if (gemm_has_second_pass(args))
		gemm_finish(args, 0, 0, args->rows, args->n);
}

/* A part of x that stays in the cache while all panels pass by it. */
struct gemm_block {
	int64_t row, rows;
	int64_t k, ks;
};

static void gemm_block(const struct gemm_args *args, const struct gemm_block *block)
{
	const struct gemm_clip clip = gemm_clip(args);
	const bool is_last = block->k + block->ks == args->k;
	const bool has_second_pass = is_last && gemm_has_second_pass(args);
	const struct tile_cut cut = tile_cut(block->rows);
	float bias[TILE_COLUMNS_MAX] __attribute__((aligned(64))) = { 0 };
	struct tile tile = {
		.k = block->ks,
		.x_row = args->x_stride,
		.x_step = 1,
		.w_panel = args->k * GEMM_PANEL_COLUMNS,
		.y_row = args->y_stride,
		.low = is_last ? clip.low : -INFINITY,
		.high = is_last ? clip.high : INFINITY,
		.resume = block->k > 0,
	};
	int64_t panels, columns;

	for (int64_t column = 0; column < args->n; column += columns) {
		int64_t left = args->n - column;
		int64_t row = block->row;

		panels = tile_panels(tile_cut_rows(&cut, 0),
				     (left + GEMM_PANEL_COLUMNS - 1) / GEMM_PANEL_COLUMNS);
		columns = panels * GEMM_PANEL_COLUMNS < left ? panels * GEMM_PANEL_COLUMNS : left;
		tile.w = args->weight + column * args->k + block->k * GEMM_PANEL_COLUMNS;
		tile.columns = columns;
		if (is_last && args->bias != NULL) {
			tile.bias = args->bias + column;
			if (columns < panels * GEMM_PANEL_COLUMNS)
				tile.bias = memcpy(bias, args->bias + column,
						   (size_t)columns * sizeof(float));
		}
		for (int64_t index = 0; index < cut.count; index++) {
			int64_t rows = tile_cut_rows(&cut, index);

			tile.x = args->x + row * args->x_stride + block->k;
			tile.y = args->y + row * args->y_stride + column;
			tile_compute(&tile, rows, panels);
			if (has_second_pass)
				gemm_finish(args, row, column, rows, columns);
			row += rows;
		}
	}
}

/* The size of equal parts of at most `most`. */
static int64_t part_of(int64_t total, int64_t most)
{
	int64_t parts = (total + most - 1) / most;

	return (total + parts - 1) / parts;
}

void CPU(gemm)(const void *erased)
{
	const struct gemm_args *args = erased;
	int64_t rows = args->rows, k = args->k;
	struct gemm_block block;

	if (rows <= 0)
		return;
	if (args->n <= HEAD_COLUMNS_MAX && rows >= VEC_LANES) {
		gemm_head(args);
		return;
	}
	if (rows * k > GEMM_X_FLOATS_WHOLE)
		k = part_of(k, GEMM_X_FLOATS / GEMM_ROWS_MIN);
	if (rows * k > GEMM_X_FLOATS && k <= GEMM_X_FLOATS / GEMM_ROWS_MIN)
		rows = GEMM_X_FLOATS / k / TILE_ROWS_MAX * TILE_ROWS_MAX;
	for (block.row = 0; block.row < args->rows; block.row += rows) {
		block.rows = args->rows - block.row < rows ? args->rows - block.row : rows;
		for (block.k = 0; block.k < args->k; block.k += k) {
			block.ks = args->k - block.k < k ? args->k - block.k : k;
			gemm_block(args, &block);
		}
	}
}

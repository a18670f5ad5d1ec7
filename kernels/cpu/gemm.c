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
 * last cache, since the sums then wait in y. A second pass goes over whole rows of y, which its
 * factors like best, and wants those in the second cache. */
#define GEMM_BLOCK_FLOATS (64 << 10)
#define GEMM_WHOLE_FLOATS (3 << 20)
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

/* y = y * multiplier + residual, two roundings. */
ALWAYS_INLINE void factors_run(float *y, const float *multiplier, const float *residual,
			       int64_t count)
{
	int64_t index = 0;

	for (; index + VEC_LANES <= count; index += VEC_LANES) {
		vec value = vec_load(y + index);

		if (multiplier != NULL)
			value *= vec_load(multiplier + index);
		if (residual != NULL)
			value += vec_load(residual + index);
		vec_store(y + index, value);
	}
	for (; index < count; index++) {
		float value = y[index];

		if (multiplier != NULL)
			value *= multiplier[index];
		if (residual != NULL)
			value += residual[index];
		y[index] = value;
	}
}

/* What the tiles did not apply. */
static void gemm_finish(const struct gemm_args *args, int64_t row, int64_t rows)
{
	const struct gemm_args part = gemm_rows(args, row, rows);
	const float *multiplier = part.multiplier, *residual = part.residual;
	int64_t columns = args->n;
	float *y = part.y;

	/* One run where rows follow each other: the bits of an element do not depend on it. */
	if (args->y_stride == columns &&
	    (multiplier == NULL || args->multiplier_stride == columns) &&
	    (residual == NULL || args->residual_stride == columns)) {
		columns *= rows;
		rows = 1;
	}
	for (row = 0; row < rows; row++, y += args->y_stride) {
		if (args->activation != ACTIVATION_RELU && args->activation != ACTIVATION_CLIP)
			activation_run(args->activation, args->low, args->high, y, columns);
		if (multiplier != NULL && residual != NULL)
			factors_run(y, multiplier, residual, columns);
		else if (multiplier != NULL)
			factors_run(y, multiplier, NULL, columns);
		else if (residual != NULL)
			factors_run(y, NULL, residual, columns);
		activation_run(args->post_activation, args->post_low, args->post_high, y, columns);
		if (multiplier != NULL)
			multiplier += args->multiplier_stride;
		if (residual != NULL)
			residual += args->residual_stride;
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
		gemm_finish(args, 0, args->rows);
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
			row += rows;
		}
	}
	if (is_last && gemm_has_second_pass(args))
		gemm_finish(args, block->row, block->rows);
}

/* The size of equal parts of at most `most`. */
static int64_t part_of(int64_t total, int64_t most)
{
	int64_t parts = (total + most - 1) / most;

	return (total + parts - 1) / parts;
}

/* Rows of a block whose rows have so many columns: whole tiles, in blocks that are about equal,
 * or the last one would walk all weights for a few rows. */
static int64_t rows_in_block(int64_t rows, int64_t columns)
{
	int64_t most = GEMM_BLOCK_FLOATS / columns;
	int64_t blocks, tiles;

	if (most < GEMM_ROWS_MIN)
		most = GEMM_ROWS_MIN;
	if (rows <= most + most / 2)
		return rows;
	blocks = (rows + most / 2) / most;
	tiles = (rows + TILE_ROWS_MAX * blocks - 1) / (TILE_ROWS_MAX * blocks);
	return tiles * TILE_ROWS_MAX;
}

static void gemm_block_size(const struct gemm_args *args, int64_t *ret_rows, int64_t *ret_k)
{
	const int64_t k_max = GEMM_BLOCK_FLOATS / GEMM_ROWS_MIN;
	int64_t rows = args->rows, k = args->k;

	if (rows * k > GEMM_WHOLE_FLOATS)
		k = part_of(k, k_max);
	if (k <= k_max)
		rows = rows_in_block(rows, k);
	if (gemm_has_second_pass(args))
		rows = rows_in_block(rows, args->n);
	*ret_rows = rows;
	*ret_k = k;
}

void CPU(gemm)(const void *erased)
{
	const struct gemm_args *args = erased;
	struct gemm_block block;
	int64_t rows, k;

	if (args->rows <= 0)
		return;
	if (args->n <= HEAD_COLUMNS_MAX && args->rows >= VEC_LANES) {
		gemm_head(args);
		return;
	}
	gemm_block_size(args, &rows, &k);
	for (block.row = 0; block.row < args->rows; block.row += rows) {
		block.rows = args->rows - block.row < rows ? args->rows - block.row : rows;
		for (block.k = 0; block.k < args->k; block.k += k) {
			block.ks = args->k - block.k < k ? args->k - block.k : k;
			gemm_block(args, &block);
		}
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/gemm.c - packed weights stream once, tiles of rows stay in registers
 *
 * Panels are the outer loop: a group of panels stays in the cache while all
 * rows pass by it, and the weights are read from memory once a call.
 */
#include "kernels/gemm.h"

#include <math.h>
#include <string.h>

#include "kernels/cpu/activation.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/tile.h"

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

void CPU(gemm)(const void *erased)
{
	const struct gemm_args *args = erased;
	const struct gemm_clip clip = gemm_clip(args);
	const bool has_second_pass = gemm_has_second_pass(args);
	float bias[TILE_COLUMNS_MAX] __attribute__((aligned(64))) = { 0 };
	struct tile tile = {
		.k = args->k,
		.x_row = args->x_stride,
		.x_step = 1,
		.w_panel = args->k * GEMM_PANEL_COLUMNS,
		.y_row = args->y_stride,
		.low = clip.low,
		.high = clip.high,
	};
	int64_t panels, columns;

	if (args->rows <= 0)
		return;
	for (int64_t column = 0; column < args->n; column += columns) {
		int64_t left = args->n - column;
		int64_t rows;

		panels = tile_panels(tile_rows(args->rows),
				     (left + GEMM_PANEL_COLUMNS - 1) / GEMM_PANEL_COLUMNS);
		columns = panels * GEMM_PANEL_COLUMNS < left ? panels * GEMM_PANEL_COLUMNS : left;
		tile.w = args->weight + column * args->k;
		tile.columns = columns;
		if (args->bias != NULL) {
			tile.bias = args->bias + column;
			if (columns < panels * GEMM_PANEL_COLUMNS)
				tile.bias = memcpy(bias, args->bias + column,
						   (size_t)columns * sizeof(float));
		}
		for (int64_t row = 0; row < args->rows; row += rows) {
			rows = tile_rows(args->rows - row);
			tile.x = args->x + row * args->x_stride;
			tile.y = args->y + row * args->y_stride + column;
			tile_compute(&tile, rows, panels);
			if (has_second_pass)
				gemm_finish(args, row, column, rows, columns);
		}
	}
}

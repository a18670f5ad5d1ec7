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

#include "kernels/cpu/exponential.h"
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

static void gemm_activate(const struct gemm_args *args, float *y, int64_t rows, int64_t columns)
{
	if (args->y_stride == columns) { /* one run: the bits of an element do not depend on it */
		columns *= rows;
		rows = 1;
	}
	for (int64_t row = 0; row < rows; row++, y += args->y_stride) {
		if (args->activation == ACTIVATION_SIGMOID)
			sigmoid_run(y, y, columns);
		else
			tanh_run(y, y, columns);
	}
}

void CPU(gemm)(const void *erased)
{
	const struct gemm_args *args = erased;
	const struct gemm_clip clip = gemm_clip(args);
	const bool curved = args->activation == ACTIVATION_SIGMOID ||
			    args->activation == ACTIVATION_TANH;
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
			if (curved)
				gemm_activate(args, tile.y, rows, columns);
		}
	}
}

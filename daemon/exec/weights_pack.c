/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/weights_pack.c - weights in the layout that a kernel reads
 *
 * A matrix is packed some panels at a time: whoever reads files meanwhile has to look after them.
 */
#include "weights_parts.h"

#include <errno.h>
#include <stdlib.h>

#define SLICE_BYTES (INT64_C(1) << 20) /* packed between two pauses */

struct pause {
	int (*call)(void *context);
	void *context;
};

/* Columns of which whole panels of `panel_columns`, `panel_bytes` each, are packed at once. */
static int64_t slice_columns(int64_t panel_columns, size_t panel_bytes)
{
	int64_t panels = panel_bytes > 0 ? SLICE_BYTES / (int64_t)panel_bytes : 1;

	return panel_columns * (panels > 0 ? panels : 1);
}

static int64_t at_most(int64_t columns, int64_t left)
{
	return columns < left ? columns : left;
}

static int gemm_pack_slices(const struct weight *weight, const float *source, float *place,
			    struct pause pause)
{
	int64_t columns = slice_columns(GEMM_PANEL_COLUMNS,
					gemm_packed_bytes(weight->k, GEMM_PANEL_COLUMNS));
	int r;

	for (int64_t first = 0; first < weight->n; first += columns) {
		r = first > 0 ? pause.call(pause.context) : 0;
		if (r < 0)
			return err_trace(r);
		gemm_pack(place + first * weight->k, source + first * weight->column_stride,
			  weight->k, at_most(columns, weight->n - first), weight->row_stride,
			  weight->column_stride);
	}
	return 0;
}

static int gemm_take(const struct weight *weight, const float *source, float *place,
		     struct pause pause)
{
	int64_t elements = weight->k * weight->n;
	float *scaled;
	int r;

	if (weight->scale == 1.0f) {
		r = gemm_pack_slices(weight, source, place, pause);
		return r < 0 ? err_trace(r) : 0;
	}
	scaled = malloc((size_t)elements * sizeof(*scaled));
	if (!scaled)
		return err_raise(-ENOMEM, "no memory to scale a matrix of %lld elements",
				 (long long)elements);
	for (int64_t element = 0; element < elements; element++)
		scaled[element] = source[element] * weight->scale;
	r = gemm_pack_slices(weight, scaled, place, pause);
	free(scaled);
	return r < 0 ? err_trace(r) : 0;
}

static int integer_take(const struct weight *weight, bool is_signed, const uint8_t *source,
			uint8_t *place, struct pause pause)
{
	size_t panel_bytes = matmul_integer_packed_bytes(weight->k, MATMUL_INTEGER_COLUMNS);
	int64_t columns = slice_columns(MATMUL_INTEGER_COLUMNS, panel_bytes);
	int r;

	for (int64_t first = 0; first < weight->n; first += columns) {
		r = first > 0 ? pause.call(pause.context) : 0;
		if (r < 0)
			return err_trace(r);
		matmul_integer_pack(place, source + first, weight->k,
				    at_most(columns, weight->n - first), weight->row_stride,
				    weight->is_against_signed, is_signed);
		place += panel_bytes * (size_t)(columns / MATMUL_INTEGER_COLUMNS);
	}
	return 0;
}

static void bias_take(const struct weight *weight, const float *source, bool repeats, float *place)
{
	for (int64_t column = 0; column < weight->n; column++)
		place[column] = source[repeats ? 0 : column] * weight->scale;
}

int weight_pack(const struct lowering *lowering, const struct weight *weight, const void *source,
		void *place, int (*pause)(void *context), void *context)
{
	const struct value *value = graph_value(lowering->graph, weight->value);
	const struct pause pauses = { pause, context };
	int r = 0;

	if (weight->layout == WEIGHT_INTEGER)
		r = integer_take(weight, value->dtype == DTYPE_I8, source, place, pauses);
	else if (weight->layout == WEIGHT_GEMM)
		r = gemm_take(weight, source, place, pauses);
	else
		bias_take(weight, source, constant_elements(value) == 1, place);
	return r < 0 ? err_trace(r) : 0;
}

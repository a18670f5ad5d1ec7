/* SPDX-License-Identifier: MIT */
/* daemon/exec/weights.c - constants in their final place and layout */
#include "exec/weights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64
#define COPIES_MAX 4
#define PAGES_FROM_BYTES (64U << 10) /* smaller tensors are not worth pages of their own */

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
	return (bytes + unit - 1) & ~(unit - 1);
}

/* The file's tensor, when the weight is its bytes as they are. */
static const struct onnx_tensor *direct_tensor(const struct lowering *lowering,
					       const struct weight *weight)
{
	const struct value *value;

	if (weight->layout != WEIGHT_RAW && weight->layout != WEIGHT_TABLE)
		return NULL;
	value = graph_value(lowering->graph, weight->value);
	return value->data ? NULL : value->tensor;
}

/* A constant is there once for each layout that a step wants, and each node may want its own: the
 * further ones are bounded by the first ones, or a small file would fill the memory. */
static int copies_check(const struct lowering *lowering)
{
	uint64_t first_bytes = 0, further_bytes = 0;

	for (uint32_t index = 0; index < lowering->weight_count; index++) {
		const struct weight *weight = &lowering->weights[index];

		if (weight->next == GRAPH_NONE || weight->layout == WEIGHT_SLOTS)
			first_bytes += weight->bytes;
		else
			further_bytes += weight->bytes;
	}
	if (further_bytes <= GRAPH_LOADED_BYTES_MAX || further_bytes / COPIES_MAX <= first_bytes)
		return 0;
	return err_raise(-EOPNOTSUPP,
			 "%s: constants of %llu bytes are wanted in further layouts of %llu bytes; "
			 "at most %d times as many are made",
			 lowering->graph->name, (unsigned long long)first_bytes,
			 (unsigned long long)further_bytes, COPIES_MAX);
}

/* Does a place that its file's pages can be read into directly begin a cache line, too? Otherwise
 * it is read there and moved: a row that straddles lines would cost one more at every gather. */
static bool lies_well(const struct onnx_tensor *tensor)
{
	return onnx_skew(tensor) % ALIGNMENT == 0;
}

int weights_place(struct lowering *lowering, uint64_t *ret_bytes)
{
	uint64_t bytes = 0;
	int r;

	r = copies_check(lowering);
	if (r < 0)
		return err_trace(r);
	for (uint32_t index = 0; index < lowering->weight_count; index++) {
		struct weight *weight = &lowering->weights[index];
		const struct onnx_tensor *tensor = direct_tensor(lowering, weight);
		bool pages = (tensor || weight->layout == WEIGHT_SLOTS) &&
			     weight->bytes >= PAGES_FROM_BYTES;

		bytes = round_up(bytes, pages ? ONNX_PAGE_BYTES : ALIGNMENT);
		weight->offset = bytes;
		if (pages && tensor) {
			weight->offset += lies_well(tensor) ? onnx_skew(tensor) : 0;
			bytes += onnx_skew(tensor);
		}
		if (__builtin_add_overflow(bytes, weight->bytes, &bytes) || bytes > UINT64_MAX / 2)
			return err_raise(-ENOMEM, "%s: the constants do not fit in memory",
					 lowering->graph->name);
		if (pages)
			bytes = round_up(bytes, ONNX_PAGE_BYTES);
	}
	*ret_bytes = bytes > 0 ? round_up(bytes, ALIGNMENT) : ALIGNMENT;
	return 0;
}

/* The constant in memory; *ret_owned is to be freed. */
static int source_read(const struct lowering *lowering, const struct value *value,
		       const void **ret_data, void **ret_owned)
{
	void *owned;
	int r;

	*ret_owned = NULL;
	if (value->data) {
		*ret_data = value->data;
		return 0;
	}
	owned = malloc(value->tensor->bytes + 1);
	if (!owned)
		return err_raise(-ENOMEM, "%s: no memory to read '%s'", lowering->graph->name,
				 value->name);
	r = onnx_read(lowering->graph->model, value->tensor, owned);
	if (r < 0) {
		free(owned);
		return err_trace(r);
	}
	*ret_data = owned;
	*ret_owned = owned;
	return 0;
}

static int load_gemm(const struct weight *weight, const float *source, float *place)
{
	int64_t elements = weight->k * weight->n;
	float *scaled;

	if (weight->scale == 1.0f) {
		gemm_pack(place, source, weight->k, weight->n, weight->row_stride,
			  weight->column_stride);
		return 0;
	}
	scaled = malloc((size_t)elements * sizeof(*scaled));
	if (!scaled)
		return err_raise(-ENOMEM, "no memory to scale a matrix of %lld elements",
				 (long long)elements);
	for (int64_t element = 0; element < elements; element++)
		scaled[element] = source[element] * weight->scale;
	gemm_pack(place, scaled, weight->k, weight->n, weight->row_stride, weight->column_stride);
	free(scaled);
	return 0;
}

static void load_bias(const struct weight *weight, const float *source, bool repeats, float *place)
{
	for (int64_t column = 0; column < weight->n; column++)
		place[column] = source[repeats ? 0 : column] * weight->scale;
}

static int weight_load(struct lowering *lowering, const struct weight *weight, char *place)
{
	const struct value *value = graph_value(lowering->graph, weight->value);
	const void *source = NULL;
	void *owned = NULL;
	int r;

	if (direct_tensor(lowering, weight)) {
		bool moves = weight->bytes >= PAGES_FROM_BYTES && !lies_well(value->tensor);
		char *landing = place + (moves ? onnx_skew(value->tensor) : 0);

		r = onnx_read(lowering->graph->model, value->tensor, landing);
		if (r < 0)
			return err_trace(r);
		if (moves)
			memmove(place, landing, weight->bytes);
		return 0;
	}
	if (weight->layout == WEIGHT_RAW || weight->layout == WEIGHT_TABLE) {
		memcpy(place, value->data, weight->bytes);
		return 0;
	}
	r = source_read(lowering, value, &source, &owned);
	if (r < 0)
		return err_trace(r);
	if (weight->layout == WEIGHT_INTEGER)
		matmul_integer_pack(place, source, weight->k, weight->n, weight->row_stride,
				    weight->is_against_signed, value->dtype == DTYPE_I8);
	else if (weight->layout == WEIGHT_GEMM)
		r = load_gemm(weight, source, (float *)(void *)place);
	else
		load_bias(weight, source, constant_elements(value) == 1, (float *)(void *)place);
	free(owned);
	if (r < 0)
		return err_trace(r);
	return 0;
}

int weights_load(struct lowering *lowering, void *memory)
{
	for (uint32_t index = 0; index < lowering->weight_count; index++) {
		const struct weight *weight = &lowering->weights[index];
		int r;

		/* What is cold is not read now, and its slots are empty. */
		if (weight->layout == WEIGHT_SLOTS || weight->layout == WEIGHT_COLD)
			continue;
		r = weight_load(lowering, weight, (char *)memory + weight->offset);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

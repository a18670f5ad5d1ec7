/* SPDX-License-Identifier: MIT */
/* daemon/exec/weights_place.c - where each weight will lie */
#include "weights_parts.h"

#include <errno.h>

#define ALIGNMENT 64
#define COPIES_MAX 4

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
 * it is moved to one: a row that straddles lines would cost one more at every gather. */
static bool lies_well(const struct onnx_tensor *tensor)
{
	return onnx_skew(tensor) % ALIGNMENT == 0;
}

/* Rows that ids choose, in memory or brought there. */
static bool is_table(const struct weight *weight)
{
	return weight->layout == WEIGHT_TABLE || is_cold(weight);
}

/* Behind `*bytes`, which grow by it. */
static int weight_place(struct lowering *lowering, struct weight *weight, uint64_t *bytes)
{
	const struct onnx_tensor *tensor = direct_tensor(lowering, weight);
	bool pages = (tensor || weight->layout == WEIGHT_SLOTS) && weight->bytes >= PAGES_FROM_BYTES;

	*bytes = round_up(*bytes, pages ? ONNX_PAGE_BYTES : ALIGNMENT);
	weight->offset = *bytes;
	if (pages && tensor) {
		weight->offset += lies_well(tensor) ? onnx_skew(tensor) : 0;
		*bytes += onnx_skew(tensor);
	}
	if (__builtin_add_overflow(*bytes, weight->bytes, bytes) || *bytes > UINT64_MAX / 2)
		return err_raise(-ENOMEM, "%s: the constants do not fit in memory",
				 lowering->graph->name);
	if (pages)
		*bytes = round_up(*bytes, ONNX_PAGE_BYTES);
	return 0;
}

enum kind {
	KIND_WEIGHT,
	KIND_TABLE,
	KIND_SHEET, /* a large table */
};

static enum kind kind_of(const struct weight *weight, bool sheets)
{
	if (!is_table(weight))
		return KIND_WEIGHT;
	return sheets && weight->layout == WEIGHT_TABLE && weight->bytes >= WEIGHTS_SHEET_BYTES_MIN
		       ? KIND_SHEET
		       : KIND_TABLE;
}

static int sheet_place(struct lowering *lowering, struct weight *weight,
		       struct weights_extent *extent)
{
	uint64_t begin = round_up(extent->bytes, SPAN_PART_BYTES);
	uint64_t whole_bytes;
	int r;

	if (extent->sheet_count == 1)
		extent->sheet_bytes[0] = begin;
	extent->bytes = begin;
	r = weight_place(lowering, weight, &extent->bytes);
	if (r < 0)
		return err_trace(r);
	extent->bytes = round_up(extent->bytes, SPAN_PART_BYTES);
	whole_bytes = (extent->bytes - begin) / SPAN_GIANT_BYTES * SPAN_GIANT_BYTES;
	/* Whole GiB may lie in pages of that size (memory/span_kept.h), what is left may not. */
	if (whole_bytes > 0 && extent->sheet_count + 2 <= WEIGHTS_SHEETS_MAX) {
		extent->sheet_bytes[extent->sheet_count++] = whole_bytes;
		begin += whole_bytes;
	}
	if (begin == extent->bytes)
		return 0;
	/* The last one has all tables that are left. */
	extent->sheet_count += extent->sheet_count < WEIGHTS_SHEETS_MAX;
	extent->sheet_bytes[extent->sheet_count - 1] += extent->bytes - begin;
	return 0;
}

static int kind_place(struct lowering *lowering, enum kind kind, bool sheets,
		      struct weights_extent *extent)
{
	int r;

	for (uint32_t index = 0; index < lowering->weight_count; index++) {
		struct weight *weight = &lowering->weights[index];

		if (kind_of(weight, sheets) != kind)
			continue;
		r = kind == KIND_SHEET ? sheet_place(lowering, weight, extent)
				       : weight_place(lowering, weight, &extent->bytes);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

int weights_place(struct lowering *lowering, bool apart, bool sheets,
		  struct weights_extent *ret_extent)
{
	struct weights_extent extent = { .sheet_count = 1 };
	int r;

	r = copies_check(lowering);
	if (r == 0)
		r = kind_place(lowering, KIND_WEIGHT, sheets, &extent);
	if (r < 0)
		return err_trace(r);
	extent.bytes = round_up(extent.bytes, apart ? SPAN_PART_BYTES : ALIGNMENT);
	extent.tables_offset = extent.bytes;
	r = kind_place(lowering, KIND_TABLE, sheets, &extent);
	if (r < 0)
		return err_trace(r);
	extent.bytes = extent.bytes > 0 ? round_up(extent.bytes, ALIGNMENT) : ALIGNMENT;
	extent.sheet_bytes[0] = extent.bytes;
	r = kind_place(lowering, KIND_SHEET, sheets, &extent);
	if (r < 0)
		return err_trace(r);
	*ret_extent = extent;
	return 0;
}

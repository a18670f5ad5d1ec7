/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/gather.c - ids are resolved a block at a time, then rows are copied
 *
 * Each id is read once, whatever `outer` is: the ids may lie in memory that a
 * client writes while we look. Resolved rows are known ahead of the copy, so
 * they can be prefetched without a second look at the ids.
 */
#include "kernels/gather.h"

#include <stdbool.h>
#include <string.h>

#include "kernels/cpu/bytes.h"
#include "kernels/cpu/ids.h"
#include "kernels/cpu/isa.h"

#define GATHER_BLOCK 128
#define GATHER_LINE_BYTES 64
/* How far ahead of the copy rows are asked for, and how much of each: beyond a
 * few lines the hardware's own prefetcher has understood. */
#define GATHER_AHEAD_LINES 24
#define GATHER_ROW_LINES_MAX 8

/* The batch row that owns an id, when somebody is told. */
static struct row_status *gather_status(const struct gather_args *args, int64_t position)
{
	return args->status == NULL ? NULL : &args->status[position / args->ids_per_row];
}

static int64_t gather_resolve(const struct gather_args *args, const struct id_rule *rule,
			      int64_t position)
{
	int64_t id = id_read(args->ids, args->ids_dtype, position * args->ids_stride);

	if (__builtin_expect((uint64_t)id < (uint64_t)args->axis, 1))
		return id_mask(id, args->axis);
	return id_resolve(id, rule, gather_status(args, position));
}

ALWAYS_INLINE void gather_prefetch(const char *data, int64_t row, size_t row_bytes)
{
	const char *line = data + row * (int64_t)row_bytes;
	size_t most = GATHER_ROW_LINES_MAX * GATHER_LINE_BYTES;

	if (row == ID_ZEROS)
		return;
	for (size_t offset = 0; offset < row_bytes && offset < most; offset += GATHER_LINE_BYTES)
		__builtin_prefetch(line + offset, 0, 3);
}

ALWAYS_INLINE void gather_copy(const char *data, const int64_t *rows, char *y, int64_t count,
			       const size_t row_bytes)
{
	const size_t row_lines = row_bytes / GATHER_LINE_BYTES + 1;
	const int64_t ahead = row_lines >= GATHER_AHEAD_LINES / 2 ?
				      2 :
				      (int64_t)(GATHER_AHEAD_LINES / row_lines);

	for (int64_t position = 0; position < count && position < ahead; position++)
		gather_prefetch(data, rows[position], row_bytes);
	for (int64_t position = 0; position < count; position++, y += row_bytes) {
		if (position + ahead < count)
			gather_prefetch(data, rows[position + ahead], row_bytes);
		if (rows[position] == ID_ZEROS)
			memset(y, 0, row_bytes);
		else
			bytes_copy(y, data + rows[position] * (int64_t)row_bytes, row_bytes);
	}
}

/* Single elements, chosen again from every `outer`: what lies beside them is in
 * the cache, and the choice is too short to wait for. */
static void gather_picks(const uint32_t *data, const int64_t *rows, uint32_t *y, int64_t count)
{
	for (int64_t position = 0; position < count; position++)
		y[position] = data[rows[position]];
}

/* The widths of most tables have their size known to the compiler. */
static void gather_rows(const char *data, const int64_t *rows, char *y, int64_t count,
			size_t row_bytes)
{
	switch (row_bytes) {
	case 4:
		gather_copy(data, rows, y, count, 4);
		break;
	case 32:
		gather_copy(data, rows, y, count, 32);
		break;
	case 64:
		gather_copy(data, rows, y, count, 64);
		break;
	case 128:
		gather_copy(data, rows, y, count, 128);
		break;
	default:
		gather_copy(data, rows, y, count, row_bytes);
	}
}

void CPU(gather)(const void *erased)
{
	const struct gather_args *args = erased;
	const size_t row_bytes = (size_t)args->inner * args->element_bytes;
	const bool picks = row_bytes == sizeof(uint32_t) && args->outer > 1 &&
			   args->missing != MISSING_ZERO;
	const struct id_rule rule = {args->axis, args->missing_row, args->missing, args->site};
	int64_t rows[GATHER_BLOCK];

	for (int64_t first = 0; first < args->count; first += GATHER_BLOCK) {
		int64_t left = args->count - first;
		int64_t count = left < GATHER_BLOCK ? left : GATHER_BLOCK;

		for (int64_t position = 0; position < count; position++)
			rows[position] = gather_resolve(args, &rule, first + position);
		for (int64_t outer = 0; picks && outer < args->outer; outer++)
			gather_picks((const uint32_t *)args->data + outer * args->axis, rows,
				     (uint32_t *)args->y + outer * args->count + first, count);
		for (int64_t outer = 0; !picks && outer < args->outer; outer++)
			gather_rows((const char *)args->data +
					    outer * args->axis * (int64_t)row_bytes,
				    rows,
				    (char *)args->y +
					    (outer * args->count + first) * (int64_t)row_bytes,
				    count, row_bytes);
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/embed.h - what both walks over bags need: from an id to a row, and the row asked for
 */
#ifndef HEARTH_KERNELS_CPU_EMBED_H
#define HEARTH_KERNELS_CPU_EMBED_H

#include <stdbool.h>
#include <string.h>

#include "kernels/cpu/bytes.h"
#include "kernels/cpu/ids.h"
#include "kernels/cpu/vector.h"
#include "kernels/embed.h"

#define LINE_BYTES 64
#define ROW_LINES_MAX 16 /* asked for of each row; the processor's own prefetcher sees the rest */
#define AHEAD_LINES 96 /* in flight; measured by tests/kernels/bench_embed.c */

/* All tables at once, where each copies a row or sums rows, without weights or padding, of a width
 * that the compiler knows; false, and nothing is done, where one does not. */
bool CPU(embed_stream)(const struct embed_args *args);

static inline struct row_status *row_status(const struct embed_args *args, int64_t row)
{
	return args->status == NULL ? NULL : &args->status[row * args->status_stride];
}

/* Asks for the lines of a row and returns how many they are. Rows of whole lines begin one
 * (exec/weights.c). */
ALWAYS_INLINE uint32_t row_ask(const float *row, int64_t dim)
{
	const int64_t lines = (dim * (int64_t)sizeof(float) + LINE_BYTES - 1) / LINE_BYTES;

	__builtin_prefetch(row, 0, 3);
	for (int64_t line = 1; line < lines && line < ROW_LINES_MAX; line++)
		__builtin_prefetch((const char *)row + line * LINE_BYTES, 0, 3);
	return (uint32_t)lines;
}

/* The row of an id that is not simply within the table; NULL: zeros. */
static __attribute__((noinline, unused)) const float *row_unusual(const struct embed_args *args,
								  const struct embed_table *table,
								  int64_t row, int64_t id)
{
	const struct id_rule rule = {table->axis, table->missing_row, table->missing, table->site};

	if (table->has_unread != 0 && id == EMBED_UNREAD) {
		id_blame(row_status(args, row), ROW_UNREAD - 1);
		return table->data;
	}
	id = id_resolve(id, &rule, row_status(args, row));
	return id == ID_ZEROS ? NULL : table->data + id * table->dim;
}

ALWAYS_INLINE const float *row_find(const struct embed_args *args, const struct embed_table *table,
				    int64_t row, int64_t id)
{
	if (__builtin_expect((uint64_t)id < (uint64_t)table->axis, 1))
		return table->data + id_mask(id, table->axis) * table->dim;
	return row_unusual(args, table, row, id);
}

/* The ids of a bag; each offset is read once and is inside [0, ids_count] afterwards. */
static inline void bag_find(const struct embed_args *args, const struct embed_table *table,
			    int64_t row, int64_t *ret_begin, int64_t *ret_end)
{
	const bool has_end = row + 1 < table->offsets_count;
	int64_t begin = id_read(table->offsets, table->offsets_dtype, row);
	int64_t end = has_end ? id_read(table->offsets, table->offsets_dtype, row + 1) :
				table->ids_count;

	*ret_begin = 0;
	*ret_end = 0;
	if (begin < 0 || begin > end || end > table->ids_count ||
	    (table->offsets_whole != 0 && row + 1 == args->rows && end != table->ids_count)) {
		id_blame(row_status(args, row), table->offsets_site);
		return;
	}
	*ret_begin = id_mask(begin, table->ids_count + 1);
	*ret_end = id_mask(end, table->ids_count + 1);
}

ALWAYS_INLINE vec pool_load(const float *x, int64_t lanes)
{
	return lanes == VEC_LANES ? vec_load(x) : vec_load_part(x, lanes);
}

ALWAYS_INLINE void row_copy(float *y, const float *row, int64_t dim)
{
	if (__builtin_expect(row == NULL, 0))
		memset(y, 0, (size_t)dim * sizeof(float));
	else if (dim % VEC_LANES == 0 && dim <= 8 * VEC_LANES)
		for (int64_t column = 0; column < dim; column += VEC_LANES)
			vec_store(y + column, vec_load(row + column));
	else
		bytes_copy((char *)y, (const char *)row, (size_t)dim * sizeof(float));
}

#endif

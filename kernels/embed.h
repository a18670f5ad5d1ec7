/* SPDX-License-Identifier: MIT */
/*
 * kernels/embed.h - bags of rows, all tables in one pass: y[t][r, :] = pool_i data[t][ids[t][r, i], :]
 *
 * Shapes:   table t has data [axis, dim] row-major and `hot` ids a row, id i of row r at
 *           ids + r * ids_row_stride + i * ids_stride; or, with offsets, the ids of row r at
 *           ids + i * ids_stride with i from offsets[r] up to offsets[r + 1], or up to ids_count
 *           where there are no more than r + 1 offsets; weights by strides as ids, and
 *           with offsets by weights_stride alone; y row r at y + r * y_row_stride
 * Types:    f32; ids and offsets i32 or i64; strides in elements
 * Modes:    EMBED_COPY   y [rows, hot, dim], the rows as they are; no offsets, no weights
 *           EMBED_SUM    from 0 over ascending i, one accumulator an element, each row times
 *                        its weight (rounded) first
 *           EMBED_MEAN   the sum divided by the number of ids
 *           EMBED_MAX    the first row, then over ascending i the larger one
 *           A bag of nothing is 0, whatever the mode.
 * Aliasing: y may overlap nothing, except that tables may write beside each other
 * Limits:   rows >= 0; axis >= 1; dim >= 1; hot >= 0
 * Traffic:  4 * dim bytes an id and a row of y, ids, offsets and weights; random rows
 * Error:    |y - ref| <= (count + 2) * 2^-24 * sum |weight * x|; COPY and MAX exact
 *
 * Ids are treated as kernels/gather.h says; with policy MISSING_ZERO an id outside the table
 * counts in a mean. An id that is padding_idx, once it is inside the table, does not count at all.
 * EMBED_UNREAD stands for a row that could not be read: the error of its row is ROW_UNREAD.
 * An offset that is negative, less than the one before it or more than ids_count is an error of
 * its row at offsets_site; that row's bag is empty. With offsets_whole so is a last offset, of
 * rows + 1, that is not ids_count.
 *
 * A sum over ids has the bits of a ReduceSum or ReduceMean over what KERNEL_GATHER gives, except
 * where dim is 1 and hot 16 or more: kernels/reduce.h sums those in another order.
 */
#ifndef HEARTH_KERNELS_EMBED_H
#define HEARTH_KERNELS_EMBED_H

#include <stddef.h>

#include "kernels/types.h"

#define EMBED_UNREAD (INT32_MIN + 1)

enum embed {
	EMBED_COPY,
	EMBED_SUM,
	EMBED_MEAN,
	EMBED_MAX,
};

struct embed_table {
	const float *data;
	const void *ids;
	const void *offsets;  /* NULL: `hot` ids a row */
	const float *weights; /* NULL: 1 */
	float *y;
	int64_t axis;
	int64_t dim;
	int64_t hot;
	int64_t ids_count;      /* with offsets: how many ids there are */
	int64_t offsets_count;  /* rows; or more, and the last bag ends where the next begins */
	int64_t ids_row_stride; /* without offsets */
	int64_t ids_stride;
	int64_t weights_row_stride; /* without offsets */
	int64_t weights_stride;
	int64_t y_row_stride;
	int64_t padding_idx; /* -1: none */
	int64_t missing_row; /* MISSING_ROW */
	uint32_t site;
	uint32_t offsets_site;
	enum embed mode;
	enum missing missing;
	enum dtype ids_dtype;
	enum dtype offsets_dtype;
	uint32_t has_unread;    /* 1: EMBED_UNREAD is no id */
	uint32_t offsets_whole; /* 1: the last of rows + 1 offsets must be ids_count */
	uint32_t alike;         /* embed_settle */
};

struct embed_args {
	struct row_status *status; /* of row r: status[r * status_stride]; NULL: nobody is told */
	int64_t status_stride;     /* 1, or 0 when all rows have one status */
	int64_t first_row;         /* a caller that splits rows moves these two and nothing else; */
	int64_t end_row;           /* rows [first_row, end_row) of `rows` are computed */
	int64_t rows;
	int64_t table_count;
	struct embed_table tables[];
};

static inline size_t embed_args_bytes(int64_t table_count)
{
	return sizeof(struct embed_args) + (size_t)table_count * sizeof(struct embed_table);
}

/* Says in `alike` how many tables from each one on copy one id a row, have its dim and its type of
 * ids, so that the kernel can take them together. To be called when the tables are complete but
 * for pointers, strides and counts of ids; 0 everywhere is right, and slow. */
static inline void embed_settle(struct embed_args *args)
{
	for (int64_t index = args->table_count; index-- > 0;) {
		struct embed_table *table = &args->tables[index];

		table->alike = table->mode == EMBED_COPY && table->hot == 1;
		if (table->alike && index + 1 < args->table_count && table[1].alike &&
		    table[1].dim == table->dim && table[1].ids_dtype == table->ids_dtype)
			table->alike += table[1].alike;
	}
}

#endif

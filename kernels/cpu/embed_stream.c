/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/embed_stream.c - plain sums and copies: one loop finds a row and pools another
 *
 * Each turn reads an id, checks it, asks memory for its row and puts the address into a ring, in
 * the place of the row that was found a ring's length ago, which it pools. Requests leave evenly,
 * at the pace at which lines arrive, over the ends of bags and of tables. Sums stay in registers.
 *
 * Tables that copy one row each are taken together, batch row by batch row; tables that sum are
 * walked one after the other. Offsets are read once, some bags at a time, and how many ids each has
 * is kept until it is pooled.
 */
#include <assert.h>

#include "kernels/cpu/embed.h"

/* --- tables that are alike and copy one row each --------------------------------------------- */

/* Rows in flight: as many as have AHEAD_LINES lines, and at least one. */
ALWAYS_INLINE int64_t copies_most(int64_t dim)
{
	const int64_t lines = (dim * (int64_t)sizeof(float) + LINE_BYTES - 1) / LINE_BYTES;

	return lines < AHEAD_LINES ? AHEAD_LINES / lines : 1;
}

/* Each turn finds a row and copies the one that is `deep` batch rows before it. */
ALWAYS_INLINE void copies_run(const struct embed_args *args, const struct embed_table *tables,
			      const uint32_t table_count, const int64_t dim,
			      const enum dtype ids_dtype)
{
	const int64_t deep = table_count < copies_most(dim) ? copies_most(dim) / table_count : 1;
	const uint32_t ring_count = (uint32_t)deep * table_count;
	const float *ring[AHEAD_LINES];
	uint32_t at = 0;

	for (int64_t row = args->first_row - deep; row < args->end_row; row++) {
		const int64_t next = row + deep < args->end_row ? row + deep : -1;

		for (uint32_t index = 0; index < table_count; index++) {
			const struct embed_table *table = &tables[index];
			const float *from = row >= args->first_row ? ring[at] : NULL;

			if (next >= 0) {
				ring[at] = row_find(args, table, next,
						    id_read(table->ids, ids_dtype,
							    next * table->ids_row_stride));
				row_ask(ring[at], dim);
			}
			if (row >= args->first_row)
				row_copy(table->y + row * table->y_row_stride, from, dim);
			at++;
		}
		at = at == ring_count ? 0 : at;
	}
}

/* The widths of most tables are known to the compiler. */
ALWAYS_INLINE void copies_widths(const struct embed_args *args, const struct embed_table *tables,
				 uint32_t table_count, const enum dtype ids_dtype)
{
	switch (tables->dim) {
	case 1:
		copies_run(args, tables, table_count, 1, ids_dtype);
		break;
	case 8:
		copies_run(args, tables, table_count, 8, ids_dtype);
		break;
	case 16:
		copies_run(args, tables, table_count, 16, ids_dtype);
		break;
	case 32:
		copies_run(args, tables, table_count, 32, ids_dtype);
		break;
	case 64:
		copies_run(args, tables, table_count, 64, ids_dtype);
		break;
	case 128:
		copies_run(args, tables, table_count, 128, ids_dtype);
		break;
	default:
		copies_run(args, tables, table_count, tables->dim, ids_dtype);
	}
}

static __attribute__((noinline)) void copies_i64(const struct embed_args *args,
						 const struct embed_table *tables,
						 uint32_t table_count)
{
	copies_widths(args, tables, table_count, DTYPE_I64);
}

static __attribute__((noinline)) void copies_i32(const struct embed_args *args,
						 const struct embed_table *tables,
						 uint32_t table_count)
{
	copies_widths(args, tables, table_count, DTYPE_I32);
}

/* --- tables that sum rows ------------------------------------------------------------------------ */

#define RING_LINES 128
#define BAG_VECS_MAX 8 /* registers of sums */
#define SPAN_BAGS 64   /* of offsets, that are found at once */
#define COUNTS 256     /* of bags whose rows are found and not all pooled */

/* Each bag has a row in the ring, if it is one of zeros. */
static_assert(COUNTS >= RING_LINES + SPAN_BAGS, "no bag is found over one that is not pooled");

/* Stands in for a row of zeros: a sum that begins at +0 is not changed by it. */
static const float no_row[BAG_VECS_MAX * VEC_LANES] __attribute__((aligned(64)));

/* What an empty bag has for an id, in a table of one row that is no_row. */
static const int64_t no_id;

/* Ids that no loop has found a row for yet: `left` of them `step` bytes apart, then those of
 * further batch rows and tables. */
struct finder {
	const struct embed_args *args;
	const struct embed_table *table;
	const struct embed_table *tables_end;
	const float *data;
	int64_t axis;
	const char *ids;
	int64_t step;
	int64_t left;
	int64_t span; /* ids that were `left` at first */
	int64_t row;  /* of the first of them */
	int64_t next_row;
	int64_t counts[COUNTS]; /* of the ids of bags with offsets, as they were read */
	uint32_t count_first;   /* of this span; these three count on */
	uint32_t count_head;
	uint32_t count_tail;
};

static void finder_take(struct finder *finder, const struct embed_table *table, int64_t first_id,
			int64_t count)
{
	const int64_t id_bytes = dtype_bytes(table->ids_dtype);

	finder->data = table->data;
	finder->axis = table->axis;
	finder->ids = (const char *)table->ids + first_id * id_bytes;
	finder->step = table->ids_stride * id_bytes;
	finder->span = finder->left = count;
}

static void finder_take_none(struct finder *finder)
{
	finder->data = no_row;
	finder->axis = 1;
	finder->ids = (const char *)&no_id;
	finder->span = finder->left = 1;
}

/* The bag of the next row and those behind it that begin where another one ends; an empty one is
 * by itself. */
static void finder_bags(struct finder *finder, const struct embed_table *table)
{
	const struct embed_args *args = finder->args;
	int64_t first, last, begin, end;

	finder->count_first = finder->count_tail;
	bag_find(args, table, finder->next_row, &first, &last);
	begin = first;
	end = last;
	do {
		finder->counts[finder->count_tail++ % COUNTS] = end - begin;
		last = end;
		if (++finder->next_row == args->end_row || first == last)
			break;
		bag_find(args, table, finder->next_row, &begin, &end);
	} while (begin == last && end > begin &&
		 finder->count_tail - finder->count_first < SPAN_BAGS);
	if (first == last)
		finder_take_none(finder);
	else
		finder_take(finder, table, first * table->ids_stride, last - first);
}

/* The next ids that are evenly apart: of a bag, or of several. False: there are no more. */
static __attribute__((noinline)) bool finder_span(struct finder *finder)
{
	const struct embed_args *args = finder->args;
	const struct embed_table *table;
	int64_t rows = 1;

	if (finder->next_row == args->end_row) {
		finder->table++;
		finder->next_row = args->first_row;
	}
	if (finder->table == finder->tables_end)
		return false;
	table = finder->table;
	finder->row = finder->next_row;
	if (table->offsets != NULL) {
		finder_bags(finder, table);
		return true;
	}
	if (table->ids_row_stride == table->hot * table->ids_stride)
		rows = args->end_row - finder->next_row;
	finder->next_row += rows;
	finder_take(finder, table, finder->row * table->ids_row_stride, rows * table->hot);
	return true;
}

/* The batch row of the id that is `place` behind the span's first one. */
static int64_t finder_row(const struct finder *finder, int64_t place)
{
	int64_t row = finder->row;

	if (finder->table->offsets == NULL)
		return row + place / finder->table->hot;
	for (uint32_t at = finder->count_first; place >= finder->counts[at % COUNTS]; at++) {
		place -= finder->counts[at % COUNTS];
		row++;
	}
	return row;
}

/* The row of an id that is not simply within the table. */
static __attribute__((noinline)) const float *finder_unusual(const struct finder *finder,
							      int64_t id, int64_t left)
{
	const int64_t row = finder_row(finder, finder->span - left);
	const float *from = row_unusual(finder->args, finder->table, row, id);

	return from == NULL ? no_row : from;
}

/* Finds `count` rows, at most `left`, and adds up as many that were found before. */
ALWAYS_INLINE void rows_run(struct finder *finder, const float **ring, const uint32_t ring_mask,
			    uint32_t *at, int64_t count, vec *sums, const int64_t dim,
			    const enum dtype ids_dtype, const bool pools)
{
	const float *data = finder->data;
	const int64_t axis = finder->axis;
	const int64_t step = finder->step;
	const char *ids = finder->ids;
	const int64_t left_end = finder->left - count;

	for (int64_t left = finder->left; left > left_end; left--) {
		const int64_t id = id_read(ids, ids_dtype, 0);
		const float **place = &ring[(*at)++ & ring_mask];
		const float *row = *place;
		const float *from = data + id_mask(id, axis) * dim;

		if (__builtin_expect((uint64_t)id >= (uint64_t)axis, 0))
			from = finder_unusual(finder, id, left);
		*place = from;
		row_ask(from, dim);
		ids += step;
		if (!pools)
			continue;
		UNROLL
		for (int64_t column = 0; column < dim; column += VEC_LANES)
			sums[column / VEC_LANES] +=
				pool_load(row + column, dim < VEC_LANES ? dim : VEC_LANES);
	}
	finder->ids = ids;
	finder->left = left_end;
}

/* The bag of a row; where no id is left to be found, the rest of it without. */
ALWAYS_INLINE void bag_run(struct finder *finder, const float **ring, const uint32_t ring_mask,
			   uint32_t *at, const struct embed_table *table, int64_t row,
			   const int64_t dim, const enum dtype ids_dtype)
{
	float *y = table->y + row * table->y_row_stride;
	const int64_t ids = table->offsets == NULL ?
				    table->hot :
				    finder->counts[finder->count_head++ % COUNTS];
	vec sums[BAG_VECS_MAX];
	int64_t left = ids > 0 ? ids : 1;

	UNROLL
	for (int64_t column = 0; column < dim; column += VEC_LANES)
		sums[column / VEC_LANES] = vec_splat(0.0f);
	while (left > 0 && (finder->left > 0 || finder_span(finder))) {
		int64_t count = left < finder->left ? left : finder->left;

		rows_run(finder, ring, ring_mask, at, count, sums, dim, ids_dtype, true);
		left -= count;
	}
	for (; left > 0; left--) {
		const float *from = ring[(*at)++ & ring_mask];

		UNROLL
		for (int64_t column = 0; column < dim; column += VEC_LANES)
			sums[column / VEC_LANES] +=
				pool_load(from + column, dim < VEC_LANES ? dim : VEC_LANES);
	}
	UNROLL
	for (int64_t column = 0; column < dim; column += VEC_LANES) {
		vec sum = sums[column / VEC_LANES];

		if (table->mode == EMBED_MEAN && ids > 0)
			sum /= vec_splat((float)ids);
		if (dim < VEC_LANES)
			vec_store_part(y + column, sum, dim);
		else
			vec_store(y + column, sum);
	}
}

ALWAYS_INLINE void bags_run(const struct embed_args *args, const struct embed_table *tables,
			    int64_t table_count, const int64_t dim, const enum dtype ids_dtype)
{
	const int64_t lines = dim * (int64_t)sizeof(float) / LINE_BYTES;
	const uint32_t ring_count = (uint32_t)(RING_LINES / (lines > 1 ? lines : 1));
	const float *ring[RING_LINES];
	struct finder finder = {
		.args = args,
		.table = tables,
		.tables_end = tables + table_count,
		.next_row = args->first_row,
	};
	uint32_t at = 0;

	if (args->first_row == args->end_row)
		return;
	while (at < ring_count && (finder.left > 0 || finder_span(&finder))) {
		int64_t count = ring_count - at < finder.left ? ring_count - at : finder.left;

		rows_run(&finder, ring, ring_count - 1, &at, count, NULL, dim, ids_dtype, false);
	}
	at = 0;
	for (int64_t table = 0; table < table_count; table++)
		for (int64_t row = args->first_row; row < args->end_row; row++)
			bag_run(&finder, ring, ring_count - 1, &at, &tables[table], row, dim,
				ids_dtype);
}

ALWAYS_INLINE void bags_widths(const struct embed_args *args, const struct embed_table *tables,
			       int64_t table_count, const enum dtype ids_dtype)
{
	switch (tables->dim) {
	case 4:
		bags_run(args, tables, table_count, 4, ids_dtype);
		break;
	case 8:
		bags_run(args, tables, table_count, 8, ids_dtype);
		break;
	case 16:
		bags_run(args, tables, table_count, 16, ids_dtype);
		break;
	case 32:
		bags_run(args, tables, table_count, 32, ids_dtype);
		break;
	case 64:
		bags_run(args, tables, table_count, VEC_LANES * BAG_VECS_MAX < 64 ? 16 : 64,
			 ids_dtype);
		break;
	default:
		bags_run(args, tables, table_count, VEC_LANES * BAG_VECS_MAX < 128 ? 16 : 128,
			 ids_dtype);
	}
}

static __attribute__((noinline)) void bags_i64(const struct embed_args *args,
					       const struct embed_table *tables,
					       int64_t table_count)
{
	bags_widths(args, tables, table_count, DTYPE_I64);
}

static __attribute__((noinline)) void bags_i32(const struct embed_args *args,
					       const struct embed_table *tables,
					       int64_t table_count)
{
	bags_widths(args, tables, table_count, DTYPE_I32);
}

/* A sum or mean whose width is one of the above and fits the registers. */
static bool is_bag(const struct embed_table *table)
{
	const int64_t dim = table->dim;

	return (table->mode == EMBED_SUM || table->mode == EMBED_MEAN) &&
	       (table->offsets != NULL || table->hot > 0) && table->weights == NULL &&
	       table->padding_idx < 0 &&
	       dim >= 4 && dim <= 128 && (dim & (dim - 1)) == 0 && dim <= BAG_VECS_MAX * VEC_LANES;
}

/* --- both --------------------------------------------------------------------------------------- */

/* Tables that one loop takes from this one on; 0: none takes it. */
static int64_t run_length(const struct embed_args *args, int64_t first)
{
	const struct embed_table *tables = &args->tables[first];
	int64_t count = 0;

	if (tables->alike > 0)
		return tables->alike < copies_most(tables->dim) ? tables->alike :
								  copies_most(tables->dim);
	while (first + count < args->table_count && is_bag(&tables[count]) &&
	       tables[count].dim == tables->dim && tables[count].ids_dtype == tables->ids_dtype)
		count++;
	return count;
}

bool CPU(embed_stream)(const struct embed_args *args)
{
	int64_t count;

	for (int64_t index = 0; index < args->table_count; index += count) {
		count = run_length(args, index);
		if (count == 0)
			return false;
	}
	for (int64_t index = 0; index < args->table_count; index += count) {
		const struct embed_table *tables = &args->tables[index];
		const bool is_i64 = tables->ids_dtype == DTYPE_I64;

		count = run_length(args, index);
		if (tables->alike > 0 && is_i64)
			copies_i64(args, tables, (uint32_t)count);
		else if (tables->alike > 0)
			copies_i32(args, tables, (uint32_t)count);
		else if (is_i64)
			bags_i64(args, tables, count);
		else
			bags_i32(args, tables, count);
	}
	return true;
}

/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/embed.c - two cursors walk the same bags: one finds rows, one adds them up far behind
 *
 * The first cursor reads ids, checks them, asks memory for their rows and puts the addresses in a
 * ring; the second one, a number of cache lines behind, pools the rows in registers. So the lines
 * in flight are as many whether a table has one id a row or a hundred. Bags are walked a block of
 * batch rows at a time and in it table by table. A bag too large for a unit of work goes in pieces,
 * which take over from y what the pieces before have summed.
 *
 * Where rows are copied or simply summed, kernels/cpu/embed_stream.c does the same in one loop.
 */
#include "kernels/embed.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/cpu/embed.h"

#define BLOCK_ROWS 16
#define UNIT_IDS 32
#define UNIT_LINES 64
#define UNITS 128
#define RING 256   /* rows that were found and not pooled yet */
#define VECS_MAX 8 /* registers of sums */

/* Each id counts for a line at least, and each unit: what is found and not pooled is bounded. */
static_assert(UNITS > AHEAD_LINES, "no unit is found over one that is not pooled");
static_assert(RING >= AHEAD_LINES + 2 * UNIT_IDS, "no row is found over one that is not pooled");

struct bag {
	uint16_t count;  /* rows in the ring, without those that change nothing: zeros, padding */
	uint16_t pooled; /* ids that count in a mean */
	bool has_zeros;
};

/* Some bags of one table, a piece of one bag, or rows of some tables that are copied. */
struct unit {
	const struct embed_table *table;
	int64_t row;      /* of the first bag */
	int64_t position; /* of the first id, of a piece */
	int64_t pooled;   /* in the pieces before */
	uint32_t first;   /* in the ring */
	uint32_t lines;
	uint32_t table_count;
	uint32_t row_count;
	bool is_last; /* the bag ends here */
	struct bag bags[BLOCK_ROWS]; /* when it is one table */
};

struct queue {
	const float *rows[RING]; /* NULL: zeros, of EMBED_COPY */
	float weights[RING];
	struct unit units[UNITS];
	uint32_t row_tail; /* these three count on */
	uint32_t unit_head;
	uint32_t unit_tail;
	uint32_t lines; /* asked for and not pooled yet */
};

/* Where the first cursor is. */
struct cursor {
	int64_t block; /* its first row */
	int64_t block_end;
	int64_t table;
	int64_t row;
	bool is_inside;   /* of the bag of `row`: a piece of it is done, and these are left */
	int64_t position;
	int64_t end;
	int64_t pooled;
};

/* --- finding rows ---------------------------------------------------------------------------- */

/* One id a row, of tables that are alike: batch rows as many as go in a unit. */
ALWAYS_INLINE void copies_find(const struct embed_args *args, struct cursor *cursor,
			       const enum dtype ids_dtype, struct queue *queue, struct unit *unit)
{
	const struct embed_table *tables = unit->table;
	const int64_t dim = tables->dim;
	uint32_t tail = queue->row_tail;
	int64_t row = cursor->row;

	do {
		for (uint32_t index = 0; index < unit->table_count; index++) {
			const struct embed_table *table = &tables[index];
			int64_t id = id_read(table->ids, ids_dtype, row * table->ids_row_stride);
			const float *from = row_find(args, table, row, id);

			queue->rows[tail++ % RING] = from;
			unit->lines += row_ask(from, dim);
		}
		row++;
	} while (row < cursor->block_end && unit->lines < UNIT_LINES / 2 &&
		 tail - unit->first + unit->table_count <= UNIT_IDS);
	unit->row_count = (uint32_t)(row - cursor->row);
	queue->row_tail = tail;
	cursor->row = row;
}

/* Ids [begin, end) of the bag of `row`. */
ALWAYS_INLINE void bag_rows_find(const struct embed_args *args, const struct embed_table *table,
				 int64_t row, int64_t begin, int64_t end,
				 const enum dtype ids_dtype, struct queue *queue,
				 struct unit *unit, struct bag *bag)
{
	const int64_t ids = table->offsets == NULL ? row * table->ids_row_stride : 0;
	const int64_t weights = table->offsets == NULL ? row * table->weights_row_stride : 0;
	const float *padding = table->data + table->padding_idx * table->dim;
	const bool is_copy = table->mode == EMBED_COPY;
	const uint32_t first = queue->row_tail;
	uint32_t tail = first;
	uint32_t lines = 0;
	uint32_t padded = 0;
	bool has_zeros = false;

	for (int64_t index = begin; index < end; index++) {
		int64_t id = id_read(table->ids, ids_dtype, ids + index * table->ids_stride);
		const float *from = row_find(args, table, row, id);

		if (__builtin_expect(from == padding, 0) && !is_copy && table->padding_idx >= 0) {
			padded++;
			continue;
		}
		if (__builtin_expect(from == NULL, 0) && !is_copy) {
			has_zeros = true;
			continue;
		}
		if (table->weights != NULL)
			queue->weights[tail % RING] =
				table->weights[weights + index * table->weights_stride];
		queue->rows[tail++ % RING] = from;
		lines += row_ask(from, table->dim);
	}
	queue->row_tail = tail;
	unit->lines += lines;
	bag->count = (uint16_t)(tail - first);
	bag->pooled = (uint16_t)(end - begin - padded);
	bag->has_zeros = has_zeros;
}

/* Bags from the cursor on, as many as go in a unit, or the next piece of one. */
ALWAYS_INLINE void bags_find(const struct embed_args *args, struct cursor *cursor,
			     const enum dtype ids_dtype, struct queue *queue, struct unit *unit)
{
	const struct embed_table *table = unit->table;
	const int64_t row_lines = table->dim * (int64_t)sizeof(float) / LINE_BYTES + 1;
	int64_t room = row_lines < UNIT_LINES / UNIT_IDS ? UNIT_IDS : UNIT_LINES / row_lines;

	room = room < 1 ? 1 : room > UNIT_IDS ? UNIT_IDS : room;
	while (cursor->row < cursor->block_end) {
		int64_t begin = 0;
		int64_t end = table->hot;

		if (cursor->is_inside) {
			begin = cursor->position;
			end = cursor->end;
		} else if (table->offsets != NULL) {
			bag_find(args, table, cursor->row, &begin, &end);
		}
		if (end - begin > room) {
			cursor->is_inside = true;
			cursor->position = begin;
			cursor->end = end;
			if (unit->row_count > 0)
				return;
			unit->position = begin;
			end = begin + room;
			cursor->position = end;
			unit->is_last = false;
		}
		bag_rows_find(args, table, cursor->row, begin, end, ids_dtype, queue, unit,
			      &unit->bags[unit->row_count++]);
		room -= end - begin;
		if (!unit->is_last) {
			cursor->pooled += unit->bags[0].pooled;
			return;
		}
		cursor->is_inside = false;
		cursor->pooled = 0;
		cursor->row++;
		if (unit->pooled > 0 || unit->position > 0)
			return;
	}
}

static void block_begin(const struct embed_args *args, struct cursor *cursor, int64_t row)
{
	cursor->block = row;
	cursor->block_end = row + BLOCK_ROWS < args->end_row ? row + BLOCK_ROWS : args->end_row;
	cursor->row = row;
	cursor->table = 0;
}

/* The next unit, into the queue; the cursor is behind it afterwards. */
static __attribute__((noinline)) void unit_find(const struct embed_args *args,
						struct cursor *cursor, struct queue *queue)
{
	const struct embed_table *table = &args->tables[cursor->table];
	struct unit *unit = &queue->units[queue->unit_tail++ % UNITS];

	unit->table = table;
	unit->row = cursor->row;
	unit->position = cursor->is_inside ? cursor->position : 0;
	unit->pooled = cursor->pooled;
	unit->first = queue->row_tail;
	unit->lines = 0;
	unit->table_count = table->alike > UNIT_IDS ? UNIT_IDS : table->alike;
	unit->row_count = 0;
	unit->is_last = true;
	if (unit->table_count > 0 && table->ids_dtype == DTYPE_I64)
		copies_find(args, cursor, DTYPE_I64, queue, unit);
	else if (unit->table_count > 0)
		copies_find(args, cursor, DTYPE_I32, queue, unit);
	else if (table->ids_dtype == DTYPE_I64)
		bags_find(args, cursor, DTYPE_I64, queue, unit);
	else
		bags_find(args, cursor, DTYPE_I32, queue, unit);
	unit->lines += unit->lines == 0;
	queue->lines += unit->lines;
	if (cursor->row < cursor->block_end)
		return;
	cursor->row = cursor->block;
	cursor->table += unit->table_count > 0 ? unit->table_count : 1;
	if (cursor->table == args->table_count)
		block_begin(args, cursor, cursor->block_end);
}

/* --- pooling them ---------------------------------------------------------------------------- */

/* A bag, or a piece of one, and all that its loops need. */
struct pool {
	const struct queue *queue;
	float *y;
	uint32_t first; /* in the ring */
	uint32_t count;
	int64_t divisor; /* 0: none */
	bool is_first;   /* nothing is in y yet */
	bool has_zeros;
};

/* As kernels/cpu/reduce.c: a NaN stays. */
ALWAYS_INLINE vec pool_larger(vec a, vec b)
{
	return vec_choose((a > b) | (a != a), a, b);
}

ALWAYS_INLINE vec pool_weight(const struct pool *pool, uint32_t at, const bool is_weighted)
{
	return vec_splat(is_weighted ? pool->queue->weights[at % RING] : 1.0f);
}

/* `vecs` registers of columns, of which the last one has `lanes`. */
ALWAYS_INLINE void pool_columns(const struct pool *pool, int64_t column, const int vecs,
				int64_t lanes, const bool is_max, const bool is_weighted)
{
	const float *const *rows = pool->queue->rows;
	vec sums[VECS_MAX];

	UNROLL
	for (int at = 0; at < vecs; at++) {
		const int64_t offset = column + at * VEC_LANES;

		sums[at] = vec_splat(0.0f);
		if (!pool->is_first)
			sums[at] = pool_load(pool->y + offset, lanes);
		else if (is_max && !pool->has_zeros && pool->count > 0)
			sums[at] = pool_load(rows[pool->first % RING] + offset, lanes) *
				   pool_weight(pool, pool->first, is_weighted);
	}
	for (uint32_t index = pool->first; index != pool->first + pool->count; index++) {
		const float *row = rows[index % RING] + column;
		const vec weight = pool_weight(pool, index, is_weighted);

		UNROLL
		for (int at = 0; at < vecs; at++) {
			vec x = pool_load(row + at * VEC_LANES, lanes);

			if (is_weighted)
				x *= weight;
			sums[at] = is_max ? pool_larger(sums[at], x) : sums[at] + x;
		}
	}
	UNROLL
	for (int at = 0; at < vecs; at++) {
		if (is_max && pool->has_zeros)
			sums[at] = pool_larger(sums[at], vec_splat(0.0f));
		if (pool->divisor > 0)
			sums[at] /= vec_splat((float)pool->divisor);
		if (lanes == VEC_LANES)
			vec_store(pool->y + column + at * VEC_LANES, sums[at]);
		else
			vec_store_part(pool->y + column + at * VEC_LANES, sums[at], lanes);
	}
}

ALWAYS_INLINE void pool_row(const struct pool *pool, int64_t dim, const bool is_max,
			    const bool is_weighted)
{
	int64_t column = 0;

	for (; dim - column >= 8 * VEC_LANES; column += 8 * VEC_LANES)
		pool_columns(pool, column, 8, VEC_LANES, is_max, is_weighted);
	if (dim - column >= 4 * VEC_LANES) {
		pool_columns(pool, column, 4, VEC_LANES, is_max, is_weighted);
		column += 4 * VEC_LANES;
	}
	if (dim - column >= 2 * VEC_LANES) {
		pool_columns(pool, column, 2, VEC_LANES, is_max, is_weighted);
		column += 2 * VEC_LANES;
	}
	if (dim - column >= VEC_LANES) {
		pool_columns(pool, column, 1, VEC_LANES, is_max, is_weighted);
		column += VEC_LANES;
	}
	if (column < dim)
		pool_columns(pool, column, 1, dim - column, is_max, is_weighted);
}

ALWAYS_INLINE void unit_pool(const struct queue *queue, const struct unit *unit, int64_t dim,
			     const bool is_max, const bool is_weighted)
{
	const struct embed_table *table = unit->table;
	struct pool pool = {
		.queue = queue,
		.y = table->y + unit->row * table->y_row_stride,
		.first = unit->first,
		.is_first = unit->pooled == 0,
	};

	for (uint32_t index = 0; index < unit->row_count; index++) {
		const struct bag *bag = &unit->bags[index];

		pool.count = bag->count;
		pool.has_zeros = bag->has_zeros;
		if (table->mode == EMBED_MEAN && unit->is_last)
			pool.divisor = unit->pooled + bag->pooled;
		pool_row(&pool, dim, is_max, is_weighted);
		pool.y += table->y_row_stride;
		pool.first += bag->count;
	}
}

ALWAYS_INLINE void unit_copy(const struct queue *queue, const struct unit *unit, int64_t dim)
{
	uint32_t at = unit->first;

	for (int64_t row = unit->row; row < unit->row + unit->row_count; row++)
		for (uint32_t index = 0; index < unit->table_count; index++) {
			const struct embed_table *table = &unit->table[index];

			row_copy(table->y + row * table->y_row_stride, queue->rows[at++ % RING],
				 dim);
		}
}

/* Several ids a row, or a piece of them. */
static void unit_copy_many(const struct queue *queue, const struct unit *unit)
{
	const struct embed_table *table = unit->table;
	uint32_t at = unit->first;

	for (uint32_t index = 0; index < unit->row_count; index++) {
		float *y = table->y + (unit->row + index) * table->y_row_stride +
			   unit->position * table->dim;

		for (uint32_t id = 0; id < unit->bags[index].count; id++, y += table->dim)
			row_copy(y, queue->rows[at++ % RING], table->dim);
	}
}

/* The widths of most tables are known to the compiler. */
ALWAYS_INLINE void unit_widths(const struct queue *queue, const struct unit *unit,
			       void (*const wide)(const struct queue *, const struct unit *,
						  int64_t))
{
	switch (unit->table->dim) {
	case 1:
		wide(queue, unit, 1);
		break;
	case 4:
		wide(queue, unit, 4);
		break;
	case 8:
		wide(queue, unit, 8);
		break;
	case 16:
		wide(queue, unit, 16);
		break;
	case 32:
		wide(queue, unit, 32);
		break;
	case 64:
		wide(queue, unit, 64);
		break;
	case 128:
		wide(queue, unit, 128);
		break;
	default:
		wide(queue, unit, unit->table->dim);
	}
}

ALWAYS_INLINE void unit_sum(const struct queue *queue, const struct unit *unit, int64_t dim)
{
	unit_pool(queue, unit, dim, false, false);
}

static __attribute__((noinline)) void unit_run(const struct queue *queue, const struct unit *unit)
{
	const struct embed_table *table = unit->table;
	const bool is_max = table->mode == EMBED_MAX;

	if (unit->table_count > 0)
		unit_widths(queue, unit, unit_copy);
	else if (table->mode == EMBED_COPY)
		unit_copy_many(queue, unit);
	else if (!is_max && table->weights == NULL)
		unit_widths(queue, unit, unit_sum);
	else if (!is_max)
		unit_pool(queue, unit, table->dim, false, true);
	else if (table->weights == NULL)
		unit_pool(queue, unit, table->dim, true, false);
	else
		unit_pool(queue, unit, table->dim, true, true);
}

void CPU(embed)(const void *erased)
{
	const struct embed_args *args = erased;
	struct cursor cursor = {.is_inside = false};
	struct queue queue;

	if (args->table_count <= 0 || CPU(embed_stream)(args))
		return;
	queue.row_tail = 0;
	queue.unit_head = queue.unit_tail = 0;
	queue.lines = 0;
	block_begin(args, &cursor, args->first_row);
	for (;;) {
		const struct unit *unit;

		while (queue.lines < AHEAD_LINES && cursor.row < args->end_row)
			unit_find(args, &cursor, &queue);
		if (queue.unit_head == queue.unit_tail)
			return;
		unit = &queue.units[queue.unit_head++ % UNITS];
		unit_run(&queue, unit);
		queue.lines -= unit->lines;
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/embed.c - pieces of bags go through a queue: rows are asked for long before they are added
 *
 * Two cursors walk the same bags, batch row by batch row and in it table by table. The first one
 * reads the ids, checks them, and asks the memory for their rows; the second one, a number of cache
 * lines behind, pools them in registers. So the lines in flight are as many as the memory likes
 * whatever the shape is: one id of 26 tables, or 100 ids of one. Large bags go in pieces, which
 * take over from y what the pieces before have summed.
 */
#include "kernels/embed.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/cpu/bytes.h"
#include "kernels/cpu/ids.h"
#include "kernels/cpu/vector.h"

#define EMBED_LINE_BYTES 64
#define EMBED_LINE_FLOATS 16
/* Lines in flight; measured by tests/kernels/bench_embed.c. */
#define EMBED_AHEAD_LINES 64
#define EMBED_PIECE_IDS 32
#define EMBED_ROW_LINES_MAX 16 /* asked for of each row; the processor's prefetcher sees the rest */
#define EMBED_PIECES 128
#define EMBED_ROWS 256
#define EMBED_VECS_MAX 8 /* registers of sums */

/* Each piece counts for at least one line, and so does each id: what is in flight is bounded by
 * the lines that may be, and by one piece that was begun just below that. */
static_assert(EMBED_PIECES > EMBED_AHEAD_LINES, "more pieces than places");
static_assert(EMBED_ROWS >= EMBED_AHEAD_LINES + 2 * EMBED_PIECE_IDS, "more rows than places");

struct piece {
	const struct embed_table *table;
	float *y;
	int64_t pooled_before; /* ids of the bag that earlier pieces took */
	int64_t pooled;        /* with those of this one */
	uint32_t first;        /* its rows in the queue */
	uint32_t count;        /* without those that change nothing: zeros and padding */
	uint32_t lines;
	bool has_zeros;
	bool is_last;
};

struct queue {
	const float *rows[EMBED_ROWS]; /* NULL: zeros, of EMBED_COPY */
	float weights[EMBED_ROWS];
	struct piece pieces[EMBED_PIECES];
	uint32_t row_tail;
	uint32_t head; /* of the pieces; counts on */
	uint32_t tail;
	uint32_t lines; /* asked for and not pooled yet */
};

/* Where the first cursor is: in the bag of `table` and `row`, or before it. */
struct cursor {
	int64_t row;
	int64_t table;
	bool is_inside;
	int64_t position; /* of the next id */
	int64_t end;
	int64_t pooled;
};

static struct row_status *row_status(const struct embed_args *args, int64_t row)
{
	return args->status == NULL ? NULL : &args->status[row * args->status_stride];
}

/* The ids of a bag; each offset is read once and is inside [0, ids_count] afterwards. */
static void bag_find(const struct embed_args *args, const struct embed_table *table, int64_t row,
		     struct cursor *cursor)
{
	const bool has_end = row + 1 < args->rows || table->offsets_beyond != 0;
	int64_t begin = id_read(table->offsets, table->offsets_dtype, row);
	int64_t end = has_end ? id_read(table->offsets, table->offsets_dtype, row + 1) :
				table->ids_count;

	cursor->position = 0;
	cursor->end = 0;
	if (begin < 0 || begin > end || end > table->ids_count) {
		id_blame(row_status(args, row), table->offsets_site);
		return;
	}
	cursor->position = id_mask(begin, table->ids_count + 1);
	cursor->end = id_mask(end, table->ids_count + 1);
}

ALWAYS_INLINE uint32_t row_ask(const float *row, int64_t dim)
{
	const uintptr_t first = (uintptr_t)row / EMBED_LINE_BYTES;
	const uintptr_t last = ((uintptr_t)(row + dim) - 1) / EMBED_LINE_BYTES;
	const char *line = (const char *)row;
	const uint32_t lines = (uint32_t)(last - first) + 1;

	__builtin_prefetch(line, 0, 3);
	for (uint32_t ahead = 1; ahead < lines && ahead < EMBED_ROW_LINES_MAX; ahead++)
		__builtin_prefetch(line + (size_t)ahead * EMBED_LINE_BYTES, 0, 3);
	return lines;
}

/* Ids [begin, end) of a bag; those of a piece. */
static void piece_ask(const struct embed_args *args, const struct embed_table *table, int64_t row,
		      int64_t begin, int64_t end, struct queue *queue, struct piece *piece)
{
	const struct id_rule rule = {table->axis, table->missing_row, table->missing, table->site};
	const int64_t ids = table->offsets == NULL ? row * table->ids_row_stride : 0;
	const int64_t weights = table->offsets == NULL ? row * table->weights_row_stride : 0;

	for (int64_t index = begin; index < end; index++) {
		int64_t id = id_read(table->ids, table->ids_dtype, ids + index * table->ids_stride);

		if (__builtin_expect((uint64_t)id < (uint64_t)table->axis, 1))
			id = id_mask(id, table->axis);
		else
			id = id_resolve(id, &rule, row_status(args, row));
		piece->lines++;
		if (id == table->padding_idx && id >= 0 && table->mode != EMBED_COPY)
			continue;
		piece->pooled++;
		if (id == ID_ZEROS) {
			piece->has_zeros = true;
			if (table->mode == EMBED_COPY)
				queue->rows[piece->first + piece->count++] = NULL;
			continue;
		}
		if (table->weights != NULL)
			queue->weights[piece->first + piece->count] =
				table->weights[weights + index * table->weights_stride];
		queue->rows[piece->first + piece->count++] = table->data + id * table->dim;
		piece->lines += row_ask(table->data + id * table->dim, table->dim) - 1;
	}
}

/* How many ids of a table go in one piece. */
ALWAYS_INLINE int64_t piece_ids(const struct embed_table *table)
{
	const uint64_t row_lines = (uint64_t)table->dim / EMBED_LINE_FLOATS + 1;

	if (row_lines >= EMBED_AHEAD_LINES)
		return 1;
	return row_lines <= EMBED_AHEAD_LINES / EMBED_PIECE_IDS ?
		       EMBED_PIECE_IDS :
		       (int64_t)(EMBED_AHEAD_LINES / (uint32_t)row_lines);
}

/* The next piece, into the queue; the cursor is behind it afterwards. */
static void embed_ask(const struct embed_args *args, struct cursor *cursor, struct queue *queue)
{
	const struct embed_table *table = &args->tables[cursor->table];
	struct piece *piece = &queue->pieces[queue->tail++ % EMBED_PIECES];
	int64_t end;

	if (!cursor->is_inside) {
		cursor->pooled = 0;
		cursor->position = 0;
		cursor->end = table->hot;
		if (table->offsets != NULL)
			bag_find(args, table, cursor->row, cursor);
		cursor->is_inside = true;
	}
	if (queue->row_tail + EMBED_PIECE_IDS > EMBED_ROWS)
		queue->row_tail = 0;
	end = cursor->end;
	if (end - cursor->position > 1 && end - cursor->position > piece_ids(table))
		end = cursor->position + piece_ids(table);
	piece->table = table;
	piece->y = table->y + cursor->row * table->y_row_stride;
	if (table->mode == EMBED_COPY)
		piece->y += cursor->position * table->dim;
	piece->first = queue->row_tail;
	piece->count = 0;
	piece->lines = 0;
	piece->has_zeros = false;
	piece->pooled_before = cursor->pooled;
	piece->pooled = cursor->pooled;
	piece_ask(args, table, cursor->row, cursor->position, end, queue, piece);
	piece->lines += piece->lines == 0;
	piece->is_last = end == cursor->end;
	queue->row_tail += piece->count;
	queue->lines += piece->lines;
	cursor->pooled = piece->pooled;
	cursor->position = end;
	if (!piece->is_last)
		return;
	cursor->is_inside = false;
	if (++cursor->table == args->table_count) {
		cursor->table = 0;
		cursor->row++;
	}
}

/* What a piece does, with all that its loops need. */
struct pool {
	const float *const *rows;
	const float *weights; /* NULL */
	float *y;
	int64_t count;
	int64_t divisor; /* 0: none */
	bool is_first; /* nothing is in y yet */
	bool has_zeros;
};

ALWAYS_INLINE vec pool_load(const float *x, int64_t lanes)
{
	return lanes == VEC_LANES ? vec_load(x) : vec_load_part(x, lanes);
}

/* `vecs` registers of columns, of which the last one has `lanes`. */
ALWAYS_INLINE void pool_columns(const struct pool *pool, int64_t column, const int vecs,
				int64_t lanes, const bool is_max, const bool is_weighted)
{
	int64_t index = 0;
	vec sums[EMBED_VECS_MAX];

	UNROLL
	for (int at = 0; at < vecs; at++) {
		const int64_t offset = column + at * VEC_LANES;

		sums[at] = vec_splat(0.0f);
		if (!pool->is_first)
			sums[at] = pool_load(pool->y + offset, lanes);
		else if (is_max && pool->has_zeros)
			continue;
		else if (is_max && pool->count > 0)
			sums[at] = pool_load(pool->rows[0] + offset, lanes) *
				   vec_splat(is_weighted ? pool->weights[0] : 1.0f);
	}
	for (; index < pool->count; index++) {
		const float *row = pool->rows[index] + column;
		const vec weight = vec_splat(is_weighted ? pool->weights[index] : 1.0f);

		UNROLL
		for (int at = 0; at < vecs; at++) {
			vec x = pool_load(row + at * VEC_LANES, lanes);

			if (is_weighted)
				x *= weight;
			sums[at] = is_max ? vec_max(x, sums[at]) : sums[at] + x;
		}
	}
	UNROLL
	for (int at = 0; at < vecs; at++) {
		if (is_max && pool->has_zeros)
			sums[at] = vec_max(vec_splat(0.0f), sums[at]);
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

ALWAYS_INLINE void rows_copy(const float *const *rows, float *y, uint32_t count, int64_t dim)
{
	const size_t bytes = (size_t)dim * sizeof(float);

	for (uint32_t index = 0; index < count; index++, y += dim) {
		if (__builtin_expect(rows[index] == NULL, 0))
			memset(y, 0, bytes);
		else
			bytes_copy((char *)y, (const char *)rows[index], bytes);
	}
}

/* The widths of most tables have their size known to the compiler. */
static void piece_copy(const struct queue *queue, const struct piece *piece)
{
	const float *const *rows = queue->rows + piece->first;

	switch (piece->table->dim) {
	case 1:
		rows_copy(rows, piece->y, piece->count, 1);
		break;
	case 8:
		rows_copy(rows, piece->y, piece->count, 8);
		break;
	case 16:
		rows_copy(rows, piece->y, piece->count, 16);
		break;
	case 32:
		rows_copy(rows, piece->y, piece->count, 32);
		break;
	case 64:
		rows_copy(rows, piece->y, piece->count, 64);
		break;
	case 128:
		rows_copy(rows, piece->y, piece->count, 128);
		break;
	default:
		rows_copy(rows, piece->y, piece->count, piece->table->dim);
	}
}

static void piece_pool(const struct queue *queue, const struct piece *piece)
{
	const struct embed_table *table = piece->table;
	const struct pool pool = {
		.rows = queue->rows + piece->first,
		.weights = queue->weights + piece->first,
		.y = piece->y,
		.count = piece->count,
		.divisor = table->mode == EMBED_MEAN && piece->is_last ? piece->pooled : 0,
		.is_first = piece->pooled_before == 0,
		.has_zeros = piece->has_zeros,
	};

	if (table->mode == EMBED_MAX && table->weights == NULL)
		pool_row(&pool, table->dim, true, false);
	else if (table->mode == EMBED_MAX)
		pool_row(&pool, table->dim, true, true);
	else if (table->weights == NULL)
		pool_row(&pool, table->dim, false, false);
	else
		pool_row(&pool, table->dim, false, true);
}

void CPU(embed)(const void *erased)
{
	const struct embed_args *args = erased;
	struct cursor cursor = {.row = args->first_row};
	struct queue queue;

	if (args->table_count <= 0)
		return;
	queue.row_tail = 0;
	queue.head = 0;
	queue.tail = 0;
	queue.lines = 0;
	for (;;) {
		const struct piece *piece;

		while (queue.lines < EMBED_AHEAD_LINES && cursor.row < args->end_row)
			embed_ask(args, &cursor, &queue);
		if (queue.head == queue.tail)
			return;
		piece = &queue.pieces[queue.head++ % EMBED_PIECES];
		queue.lines -= piece->lines;
		if (piece->table->mode == EMBED_COPY)
			piece_copy(&queue, piece);
		else
			piece_pool(&queue, piece);
	}
}

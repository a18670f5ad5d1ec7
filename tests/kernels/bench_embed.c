/* SPDX-License-Identifier: MIT */
/*
 * tests/kernels/bench_embed.c - bags of rows against a bare prefetched reader of rows, in both page sizes
 *
 * One core, two tables of 1 GiB: one in pages of 4 KiB, one in pages of 2 MiB. The limit is a loop
 * that asks for rows a number of lines ahead (the best of a few numbers) and adds them all up: no
 * check, no bags, nothing written. A slice of it lies before and behind each slice of the kernel,
 * on the same table, with ids of the whole table that come back only after many times the cache.
 * Beside it stands the same loop that writes a row for each bag, as who gives an answer must.
 *
 * Pages of 2 MiB come from the pool; where it lacks them and root runs this, it is enlarged for
 * the run. Without any, the kernel's transparent ones are taken and named.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/device.h"
#include "kernels/embed.h"
#include "memory/span.h"
#include "tests/system/crowd.h"
#include "tests/system/measure.h"

#define TABLE_BYTES (1ULL << 30)
#define HUGE_PAGES 520 /* a table and some */
#define IDS (1U << 23)
#define BATCH 256
#define SLICE_BYTES (40U << 20)
#define ROUNDS 25
#define READER_GOAL 0.85 /* of the bare reader's rows a second */
#define PAGES_GOAL 1.4   /* rows a second in pages of 2 MiB over those of 4 KiB, 64 bytes each */
#define TABLES_MAX 26
#define AHEAD_MAX 128

static const int64_t aheads[] = {16, 32, 64, 96, AHEAD_MAX}; /* lines */

static const struct shape {
	int64_t dim;
	int64_t hot;
	int64_t tables;
} shapes[] = {
	{16, 1, 26}, {16, 27, 1}, {128, 1, 26}, {128, 3, 26}, {128, 27, 1}, {128, 100, 1}, {1, 1, 26},
};

#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

struct bench {
	struct span tables[2]; /* 4 KiB, 2 MiB */
	int64_t *ids;
	float *y;      /* lies as the engine's values do, at a line's begin */
	float *y_end;  /* of what a batch of the shape writes */
	struct embed_args *args;
	uint32_t next; /* of the ids */
	volatile float sink;
};

/* --- the limit ------------------------------------------------------------------------------- */

typedef float line __attribute__((vector_size(64), may_alias));

static inline __attribute__((always_inline)) void row_ask(const char *row, const int64_t bytes)
{
	_Pragma("GCC unroll 8")
	for (int64_t offset = 0; offset < bytes; offset += 64)
		__builtin_prefetch(row + offset, 0, 3);
}

static inline __attribute__((always_inline)) void read_rows(struct bench *bench, const char *table,
							     const int64_t *ids, int64_t count,
							     const int64_t bytes, int64_t ahead,
							     int64_t hot)
{
	line sums[4] = {{0}};
	float sum = 0;
	char *y = (char *)bench->y;
	int64_t left = hot;

	for (int64_t index = 0; index < ahead; index++)
		row_ask(table + ids[index] * bytes, bytes);
	for (int64_t index = 0; index < count; index++) {
		const char *row = table + ids[index] * bytes;

		row_ask(table + ids[index + ahead] * bytes, bytes);
		if (bytes < 64)
			sum += *(const float *)(const void *)row;
		_Pragma("GCC unroll 8")
		for (int64_t offset = 0; offset + 64 <= bytes; offset += 64)
			sums[offset / 64 % 4] += *(const line *)(const void *)(row + offset);
		if (hot == 0 || --left > 0)
			continue;
		memcpy(y, row, (size_t)bytes);
		y = y + bytes == (char *)bench->y_end ? (char *)bench->y : y + bytes;
		left = hot;
	}
	sums[0] += sums[1] + sums[2] + sums[3];
	bench->sink = sum + sums[0][0] + sums[0][5] + sums[0][10] + sums[0][15];
}

/* hot: so many rows a bag, for each of which one is written; 0: none is. */
FOR_EACH_WIDTH static void reader(struct bench *bench, const char *table, const int64_t *ids, int64_t count,
		   int64_t dim, int64_t ahead, int64_t hot)
{
	if (dim == 1)
		read_rows(bench, table, ids, count, 4, ahead, hot);
	else if (dim == 16 && hot == 0)
		read_rows(bench, table, ids, count, 64, ahead, 0);
	else if (dim == 16)
		read_rows(bench, table, ids, count, 64, ahead, hot);
	else if (hot == 0)
		read_rows(bench, table, ids, count, 512, ahead, 0);
	else
		read_rows(bench, table, ids, count, 512, ahead, hot);
}

/* --- slices: ns a row -------------------------------------------------------------------------- */

static int64_t slice_rows(const struct shape *shape)
{
	int64_t call = BATCH * shape->hot * shape->tables;
	int64_t rows = (int64_t)SLICE_BYTES / (shape->dim < 16 ? 64 : shape->dim * 4);

	return rows < call ? call : rows / call * call;
}

static const int64_t *ids_take(struct bench *bench, int64_t count)
{
	if (bench->next + (uint64_t)count + AHEAD_MAX > IDS)
		bench->next = 0;
	bench->next += (uint32_t)count;
	return bench->ids + bench->next - count;
}

static double reader_slice(struct bench *bench, const struct shape *shape, int pages, int64_t ahead,
			   int64_t hot)
{
	int64_t count = slice_rows(shape);
	const int64_t *ids = ids_take(bench, count);
	int64_t from_ns = crowd_now_ns();

	reader(bench, bench->tables[pages].address, ids, count, shape->dim, ahead, hot);
	return (double)(crowd_now_ns() - from_ns) / (double)count;
}

static double embed_slice(struct bench *bench, const struct shape *shape, int pages)
{
	const struct device *device = cpu_device();
	int64_t row_ids = shape->hot * shape->tables;
	int64_t count = slice_rows(shape);
	const int64_t *ids = ids_take(bench, count);
	int64_t from_ns = crowd_now_ns();

	for (int64_t first = 0; first < count; first += BATCH * row_ids) {
		for (int64_t table = 0; table < shape->tables; table++) {
			bench->args->tables[table].data = bench->tables[pages].address;
			bench->args->tables[table].ids = ids + first + table * shape->hot;
		}
		device->kernels[KERNEL_EMBED](bench->args);
	}
	return (double)(crowd_now_ns() - from_ns) / (double)count;
}

static void shape_begin(struct bench *bench, const struct shape *shape)
{
	int64_t axis = (int64_t)TABLE_BYTES / (shape->dim * (int64_t)sizeof(float));
	uint64_t state = 1;

	for (uint32_t index = 0; index < IDS; index++) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL; /* Knuth's */
		bench->ids[index] = (int64_t)((state >> 33) % (uint64_t)axis);
	}
	bench->next = 0;
	bench->args->rows = bench->args->end_row = BATCH;
	bench->args->table_count = shape->tables;
	bench->y_end = bench->y + BATCH * shape->tables * shape->dim;
	for (int64_t table = 0; table < shape->tables; table++)
		bench->args->tables[table] = (struct embed_table){
			.y = bench->y + table * shape->dim,
			.axis = axis,
			.dim = shape->dim,
			.hot = shape->hot,
			.ids_row_stride = shape->hot * shape->tables,
			.ids_stride = 1,
			.y_row_stride = shape->tables * shape->dim,
			.padding_idx = -1,
			.mode = shape->hot == 1 ? EMBED_COPY : EMBED_SUM,
			.ids_dtype = DTYPE_I64,
		};
	embed_settle(bench->args);
}

static int64_t ahead_choose(struct bench *bench, const struct shape *shape, int pages)
{
	int64_t lines = shape->dim * 4 <= 64 ? 1 : shape->dim * 4 / 64;
	double least_ns = 0;
	int64_t best = 1;

	for (size_t index = 0; index < sizeof(aheads) / sizeof(aheads[0]); index++) {
		double times_ns[5];
		double ns;

		for (int round = 0; round < 5; round++)
			times_ns[round] = reader_slice(bench, shape, pages, aheads[index] / lines, 0);
		ns = median_of(times_ns, 5);
		if (index == 0 || ns < least_ns) {
			least_ns = ns;
			best = aheads[index] / lines;
		}
	}
	return best;
}

static void shape_measure(struct bench *bench, const struct shape *shape, bool is_json)
{
	static struct series series[2], writers[2];
	double small_ns[ROUNDS], huge_ns[ROUNDS];
	int64_t ahead[2];

	shape_begin(bench, shape);
	memset(series, 0, sizeof(series));
	memset(writers, 0, sizeof(writers));
	for (int pages = 0; pages < 2; pages++)
		ahead[pages] = ahead_choose(bench, shape, pages);
	for (int round = 0; round < ROUNDS; round++) {
		for (int pages = 0; pages < 2; pages++) {
			double before = reader_slice(bench, shape, pages, ahead[pages], 0);
			double writes = reader_slice(bench, shape, pages, ahead[pages], shape->hot);
			double ns = embed_slice(bench, shape, pages);
			double written = reader_slice(bench, shape, pages, ahead[pages], shape->hot);
			double after = reader_slice(bench, shape, pages, ahead[pages], 0);

			series_add(&series[pages], 1 / before, 1 / ns, 1 / after);
			*(pages ? &huge_ns[round] : &small_ns[round]) = ns;
			series_add(&writers[pages], 1 / writes, 1 / ns, 1 / written);
		}
	}
	for (int pages = 0; pages < 2; pages++) {
		double ratio = median_of(series[pages].ratios, series[pages].count);
		double ns = median_of(pages ? huge_ns : small_ns, ROUNDS);
		double of_writer = median_of(writers[pages].ratios, writers[pages].count);

		printf(is_json ? "{\"bench\":\"embed\",\"bytes\":%d,\"hot\":%d,\"tables\":%d,"
				 "\"pages\":\"%s\",\"ns\":%.2f,\"of_reader\":%.3f,\"of_writer\":%.3f,"
				 "\"verdict\":\"%s\"}\n"
			       : "  %4d bytes, hot %3d, %2d tables, %3s  %6.2f ns a row  %.2f of the "
				 "reader (%.2f where it writes as many): %s\n",
		       (int)shape->dim * 4, (int)shape->hot, (int)shape->tables,
		       span_backing_name(bench->tables[pages].backing), ns, ratio, of_writer,
		       ratio >= READER_GOAL ? "met" : "missed");
	}
	if (shape->dim == 16) {
		double gain = median_of(small_ns, ROUNDS) / median_of(huge_ns, ROUNDS);

		printf(is_json ? "{\"bench\":\"embed\",\"pages_gain\":%.3f,\"verdict\":\"%s\"}\n"
			       : "    pages of 2 MiB: %.2f times the rows of 4 KiB: %s\n",
		       gain, gain >= PAGES_GOAL ? "met" : "missed");
	}
}

int main(int argc, char **argv)
{
	static struct bench bench;
	bool is_json = argc == 3 && strcmp(argv[1], "-o") == 0 && strcmp(argv[2], "json") == 0;
	long pool = huge_pool_enlarge(HUGE_PAGES);
	int r;

	cpu_pin(0, cpu_allowed(0));
	r = span_map(TABLE_BYTES, -1, 0, &bench.tables[0]);
	if (r == 0)
		r = span_map(TABLE_BYTES, -1, 1, &bench.tables[1]);
	huge_pool_shrink(pool);
	if (r < 0) {
		printf("SKIP: no memory for two tables: %s\n", err_message());
		return MEASURE_SKIP;
	}
	bench.ids = malloc(IDS * sizeof(*bench.ids));
	bench.y = aligned_alloc(64, BATCH * TABLES_MAX * 128 * sizeof(float));
	bench.args = calloc(1, embed_args_bytes(TABLES_MAX));
	must(bench.ids && bench.y && bench.args, "no memory");
	memset(bench.y, 0, BATCH * TABLES_MAX * 128 * sizeof(float));
	if (!is_json)
		printf("embed: rows of 1 GiB by %s, against a bare prefetched reader of the same "
		       "table; goal %.2f of its rows a second\n",
		       cpu_device()->name, READER_GOAL);
	for (size_t index = 0; index < SHAPES; index++)
		shape_measure(&bench, &shapes[index], is_json);
	span_unmap(&bench.tables[0]);
	span_unmap(&bench.tables[1]);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/bench_load.c - a model of 512 MiB loaded, against bare readers of the same file
 *
 *     make bench BENCH=load
 *     build/tests/exec/bench_load [beside|inside] [-o json]
 *
 * The limit is a loop that reads the file by O_DIRECT into registered huge pages, in the best of
 * some depths and sizes of reads, each to a place of its own, as a load must. It runs before and
 * behind each load, since a disk that others use is another one a second later; a load whose limits
 * differ by more than a fifth says nothing. Printed are the median of the ratios and their range.
 * Beside them a bare reader that forgets what it read, which the processor's caches serve better,
 * and read(2) and mmap, through a page cache that was emptied. The model has three quarters of its
 * weights in a table and the rest in matrices that are packed, all of random bits, and comes in two
 * forms: its tensors beside model.onnx, 64-byte aligned as exporters write them, and inside it.
 *
 * "weights" is from the first read until all of them are in place; "whole load" is all of
 * engine_new, memory mapped and zeroed, plans made and measured. Huge pages are reserved for the
 * loads where root runs this; where there are none, the kernel's transparent ones are taken.
 */
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "exec/engine.h"
#include "exec/weights.h"
#include "memory/span.h"
#include "tests/model/onnx_writer.h"
#include "tests/system/crowd.h"
#include "tests/system/measure.h"

#define TABLE_ROWS (1 << 21)
#define DIM 48
#define MATRICES 4
#define WIDTH 2896 /* 32 MiB a matrix */
#define ROUND_LOADS 3
#define LOADS 9 /* that say something */
#define ROUNDS_TRIED_MAX 6
#define LIMIT_DRIFT_MAX 0.20
#define GOAL 0.90
#define SEED UINT64_C(20261127)
#define BUFFER_BYTES (UINT64_C(512) << 20)
#define BUFFERED_BYTES (1 << 20) /* one call of read(2) */
#define HUGE_BYTES (UINT64_C(2) << 20)

enum form {
	FORM_BESIDE,
	FORM_INSIDE,
	FORMS,
};

static const char *const form_names[] = { "beside", "inside" }; /* model.onnx */
static const char *const file_names[] = { "model.bin", "model.onnx" };

static const uint32_t depths[] = { 2, 4, 8, 16, 32 };
static const uint32_t blocks[] = { 512U << 10, 1U << 20, 2U << 20, 4U << 20 };
#define DEPTHS (sizeof(depths) / sizeof(depths[0]))
#define BLOCKS (sizeof(blocks) / sizeof(blocks[0]))

/* How a bare reader reads. */
struct manner {
	uint32_t depth;
	uint32_t block_bytes;
	bool keeps; /* each read has a place of its own */
};

struct bench {
	char directory[FORMS][64];
	int fds[FORMS]; /* of the directories */
	uint64_t file_bytes[FORMS];
	struct span buffer; /* the bare readers' */
	bool is_json;
};

/* Of random bits, sign and most of the exponent aside. */
static void floats_draw(float *values, uint64_t count, uint64_t *seed)
{
	for (uint64_t index = 0; index < count; index++)
		values[index] = (float)(int32_t)crowd_random(seed) * 0x1p-40f;
}

static void tensor_put(struct onnx_writer *writer, enum form form, const char *name,
		       const char *shape, const float *data, uint64_t count)
{
	if (form == FORM_INSIDE)
		onnx_writer_tensor(writer, name, DTYPE_F32, shape, data, count * sizeof(float));
	else
		onnx_writer_external(writer, name, DTYPE_F32, shape, data, count * sizeof(float),
				     "model.bin", 64);
}

/* Rows of a table, each widened and taken through the matrices. */
static void model_make(struct bench *bench, enum form form)
{
	struct onnx_writer *writer = onnx_writer_new(17);
	float *data = malloc((uint64_t)TABLE_ROWS * DIM * sizeof(*data));
	uint64_t seed = SEED;
	char shape[32], name[16], inputs[32], output[16];
	struct stat stat;

	must(data, "no memory");
	floats_draw(data, (uint64_t)TABLE_ROWS * DIM, &seed);
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_input(writer, "x", DTYPE_F32, "batch,2896");
	snprintf(shape, sizeof(shape), "%d,%d", TABLE_ROWS, DIM);
	tensor_put(writer, form, "table", shape, data, (uint64_t)TABLE_ROWS * DIM);
	onnx_writer_node(writer, "Gather", "table,ids", "rows");
	snprintf(shape, sizeof(shape), "%d,%d", WIDTH, WIDTH);
	for (int index = 0; index < MATRICES; index++) {
		snprintf(name, sizeof(name), "w%d", index);
		floats_draw(data, (uint64_t)WIDTH * WIDTH, &seed);
		tensor_put(writer, form, name, shape, data, (uint64_t)WIDTH * WIDTH);
		snprintf(inputs, sizeof(inputs), index ? "h%d,w%d" : "x,w0", index - 1, index);
		snprintf(output, sizeof(output), "h%d", index);
		onnx_writer_node(writer, "MatMul", inputs, output);
	}
	onnx_writer_output(writer, "rows", DTYPE_F32, "batch,48");
	onnx_writer_output(writer, "h3", DTYPE_F32, "batch,2896");
	snprintf(bench->directory[form], sizeof(bench->directory[form]), "%s/hearth-load-XXXXXX",
		 getenv("TMPDIR") && strlen(getenv("TMPDIR")) < 32 ? getenv("TMPDIR") : "/tmp");
	must(mkdtemp(bench->directory[form]) && onnx_writer_save(writer, bench->directory[form]) == 0,
	     "cannot write a model into %s", bench->directory[form]);
	onnx_writer_free(writer);
	free(data);
	bench->fds[form] = open(bench->directory[form], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(bench->fds[form] >= 0 &&
		     fstatat(bench->fds[form], file_names[form], &stat, 0) == 0,
	     "the model is not there");
	bench->file_bytes[form] = (uint64_t)stat.st_size;
}

static void model_remove(struct bench *bench, enum form form)
{
	(void)unlinkat(bench->fds[form], "model.onnx", 0);
	(void)unlinkat(bench->fds[form], "model.bin", 0);
	close(bench->fds[form]);
	(void)rmdir(bench->directory[form]);
}

static void caches_drop(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		must(write(fd, "3", 1) == 1, "the page cache stays");
	close(fd);
}

/* The file's pages leave the page cache, which a written file must reach the disk for. */
static int file_open(const struct bench *bench, enum form form, int flags)
{
	int fd = openat(bench->fds[form], file_names[form], O_RDONLY | O_CLOEXEC);
	int ret_fd;

	must(fd >= 0 && fsync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0,
	     "the file's pages do not leave the cache");
	close(fd);
	caches_drop();
	ret_fd = openat(bench->fds[form], file_names[form], O_RDONLY | O_CLOEXEC | flags);
	must(ret_fd >= 0, "the file cannot be opened");
	return ret_fd;
}

/* --- the readers: bytes a nanosecond ------------------------------------------------------------- */

static double bare_run(const struct bench *bench, enum form form, struct manner manner)
{
	uint64_t file_bytes = bench->file_bytes[form];
	uint64_t part_count = (file_bytes < BUFFER_BYTES ? file_bytes : BUFFER_BYTES) /
			      manner.block_bytes;
	uint64_t place_count = manner.keeps ? part_count : manner.depth;
	uint8_t *buffer = bench->buffer.address;
	const struct iovec memory = { buffer, place_count * manner.block_bytes };
	int fd = file_open(bench, form, O_DIRECT);
	uint64_t begun = 0;
	uint64_t ended = 0;
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	uint64_t begin_ns;

	must(io_uring_queue_init(manner.depth, &ring, 0) == 0, "no ring");
	must(io_uring_register_buffers(&ring, &memory, 1) == 0, "memory cannot be registered");
	begin_ns = clock_ns();
	while (ended < part_count) {
		for (; begun < part_count && begun - ended < manner.depth; begun++)
			io_uring_prep_read_fixed(io_uring_get_sqe(&ring), fd,
						 buffer + begun % place_count * manner.block_bytes,
						 manner.block_bytes, begun * manner.block_bytes, 0);
		must(io_uring_submit_and_wait(&ring, 1) >= 0, "the ring fails");
		while (io_uring_peek_cqe(&ring, &cqe) == 0) {
			must(cqe->res == (int)manner.block_bytes, "a short read");
			io_uring_cqe_seen(&ring, cqe);
			ended++;
		}
	}
	begin_ns = clock_ns() - begin_ns;
	io_uring_queue_exit(&ring);
	close(fd);
	return (double)(part_count * manner.block_bytes) / (double)begin_ns;
}

static struct manner manner_best(const struct bench *bench, enum form form, bool keeps,
				 double *ret_rate)
{
	struct manner best = { .keeps = keeps };

	*ret_rate = 0;
	for (size_t depth = 0; depth < DEPTHS; depth++)
		for (size_t block = 0; block < BLOCKS; block++) {
			struct manner manner = { depths[depth], blocks[block], keeps };
			double rate = bare_run(bench, form, manner);

			if (rate > *ret_rate) {
				*ret_rate = rate;
				best = manner;
			}
		}
	return best;
}

static double read_run(const struct bench *bench, enum form form)
{
	int fd = file_open(bench, form, 0);
	uint64_t begin_ns = clock_ns();
	uint64_t bytes = 0;
	ssize_t got;

	while ((got = read(fd, bench->buffer.address, BUFFERED_BYTES)) > 0)
		bytes += (uint64_t)got;
	begin_ns = clock_ns() - begin_ns;
	close(fd);
	return (double)bytes / (double)begin_ns;
}

static double mmap_run(const struct bench *bench, enum form form)
{
	uint64_t bytes = bench->file_bytes[form];
	int fd = file_open(bench, form, 0);
	uint8_t *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	uint64_t begin_ns = clock_ns();
	uint64_t at;

	must(map != MAP_FAILED, "the file cannot be mapped");
	(void)madvise(map, bytes, MADV_SEQUENTIAL);
	for (at = 0; at + BUFFERED_BYTES <= bytes; at += BUFFERED_BYTES)
		memcpy(bench->buffer.address, map + at, BUFFERED_BYTES);
	begin_ns = clock_ns() - begin_ns;
	munmap(map, bytes);
	close(fd);
	return (double)at / (double)begin_ns;
}

/* Of the weights; *ret_whole of all that engine_new does. */
static double hearth_run(const struct bench *bench, enum form form, double *ret_whole,
			 enum span_backing *ret_backing)
{
	const struct engine_options options = { .node = -1, .rows_max = 4 };
	const struct weights_arrival *arrival;
	struct engine *engine = NULL;
	uint64_t begin_ns;
	double rate;
	long pool;

	close(file_open(bench, form, 0));
	/* The buffer's pages are the first ones that count. */
	pool = huge_pool_enlarge(
		(long)((BUFFER_BYTES + 2 * bench->file_bytes[form]) / HUGE_BYTES));
	begin_ns = clock_ns();
	must(engine_new(bench->fds[form], "load/1", &options, &engine) == 0, "%s", err_message());
	begin_ns = clock_ns() - begin_ns;
	huge_pool_shrink(pool);
	arrival = engine_arrival(engine);
	must(arrival->has_ring && arrival->direct_error == 0, "the load went another way");
	rate = (double)arrival->bytes / (double)arrival->ns;
	*ret_whole = (double)arrival->bytes / (double)begin_ns;
	*ret_backing = engine_memory(engine).weights->backing;
	engine_free(engine);
	return rate;
}

/* --- the table ----------------------------------------------------------------------------------- */

struct results {
	struct series weights, whole, reads, maps;
	enum span_backing backing;
};

static void line_print(const struct bench *bench, enum form form, const char *what,
		       struct series *series, bool has_goal)
{
	double ratio = median_of(series->ratios, series->count);
	double rate = median_of(series->values, series->count);
	const char *verdict = !has_goal ? "" : ratio >= GOAL ? "met" : "missed";
	double least = ratio, most = ratio;

	for (uint32_t index = 0; index < series->count; index++) {
		least = series->ratios[index] < least ? series->ratios[index] : least;
		most = series->ratios[index] > most ? series->ratios[index] : most;
	}
	printf(bench->is_json
		       ? "{\"bench\":\"load\",\"form\":\"%s\",\"what\":\"%s\",\"gb_per_s\":%.3f,"
			 "\"of_bare\":%.3f,\"of_bare_min\":%.3f,\"of_bare_max\":%.3f,"
			 "\"verdict\":\"%s\"}\n"
		       : "  %s model.onnx  %-12s %5.2f GB/s  %.2f (%.2f to %.2f) of the bare "
			 "reader  %s\n",
	       form_names[form], what, rate, ratio, least, most, verdict);
}

static void manner_print(const struct bench *bench, enum form form, struct manner manner,
			 double rate)
{
	if (!bench->is_json)
		printf("  %s model.onnx  bare reader   %5.2f GB/s  %u reads of %u KiB, %s\n",
		       form_names[form], rate, manner.depth, manner.block_bytes >> 10,
		       manner.keeps ? "each to its place" : "to the same places again");
}

static bool limits_differ(double before, double after)
{
	return before > after * (1 + LIMIT_DRIFT_MAX) || after > before * (1 + LIMIT_DRIFT_MAX);
}

/* Limit, load, limit, load, limit, ..., other readers, limit. */
static void round_measure(const struct bench *bench, enum form form, struct manner limit,
			  struct results *results)
{
	double before = bare_run(bench, form, limit);
	double reads, maps, after;

	for (int load = 0; load < ROUND_LOADS; load++) {
		double whole = 0;
		double weights = hearth_run(bench, form, &whole, &results->backing);

		after = bare_run(bench, form, limit);
		if (!limits_differ(before, after)) {
			series_add(&results->weights, before, weights, after);
			series_add(&results->whole, before, whole, after);
		}
		before = after;
	}
	reads = read_run(bench, form);
	maps = mmap_run(bench, form);
	after = bare_run(bench, form, limit);
	if (!limits_differ(before, after)) {
		series_add(&results->reads, before, reads, after);
		series_add(&results->maps, before, maps, after);
	}
}

static void form_measure(struct bench *bench, enum form form)
{
	static struct results results;
	struct manner limit, other;
	double rate = 0;

	memset(&results, 0, sizeof(results));
	model_make(bench, form);
	/* Memory that the host has to find. */
	(void)hearth_run(bench, form, &(double){ 0 }, &results.backing);
	other = manner_best(bench, form, false, &rate);
	manner_print(bench, form, other, rate);
	limit = manner_best(bench, form, true, &rate);
	manner_print(bench, form, limit, rate);
	for (int tried = 0; tried < ROUNDS_TRIED_MAX && results.weights.count < LOADS; tried++)
		round_measure(bench, form, limit, &results);
	model_remove(bench, form);
	if (results.weights.count < LOADS || results.reads.count == 0) {
		printf(bench->is_json ? "{\"bench\":\"load\",\"form\":\"%s\",\"verdict\":\"none\"}\n"
				      : "  %s model.onnx  no verdict: the disk's speed varies\n",
		       form_names[form]);
		return;
	}
	line_print(bench, form, "weights", &results.weights, true);
	line_print(bench, form, "whole load", &results.whole, false);
	line_print(bench, form, "read(2)", &results.reads, false);
	line_print(bench, form, "mmap", &results.maps, false);
	if (!bench->is_json)
		printf("  %s model.onnx  weights in pages: %s; the bare reader's: %s\n",
		       form_names[form], span_backing_name(results.backing),
		       span_backing_name(bench->buffer.backing));
}

static bool takes_direct(void)
{
	int fd = open(getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", O_RDWR | O_TMPFILE | O_DIRECT,
		      0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int main(int argc, char **argv)
{
	static struct bench bench;
	const char *only = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
	long pool;

	bench.is_json = argc > 2 && strcmp(argv[argc - 2], "-o") == 0 &&
			strcmp(argv[argc - 1], "json") == 0;
	if (!takes_direct()) {
		printf("SKIP: no files that take O_DIRECT in TMPDIR\n");
		return MEASURE_SKIP;
	}
	pool = huge_pool_enlarge(BUFFER_BYTES / HUGE_BYTES);
	must(span_map(BUFFER_BYTES, -1, 1, &bench.buffer) == 0, "%s", err_message());
	huge_pool_shrink(pool);
	if (!bench.is_json)
		printf("load: a model of 512 MiB against the best bare O_DIRECT reader of its file, "
		       "before and behind; goal %.2f\n",
		       GOAL);
	for (enum form form = 0; form < FORMS; form++)
		if (!only || strcmp(only, form_names[form]) == 0)
			form_measure(&bench, form);
	span_unmap(&bench.buffer);
	return 0;
}

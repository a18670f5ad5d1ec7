/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/bench_load.c - a model of 512 MiB loaded, against bare readers of the same file
 *
 * The limit is a loop that reads the file by O_DIRECT into registered memory that it uses again and
 * again, with as many reads of the same size under way; one before and one behind each load. Beside
 * them read(2) and mmap, through a page cache that was emptied of the file. The model has three
 * quarters of its weights in a table and the rest in matrices that are packed, and comes in two
 * forms: its tensors beside model.onnx, 64-byte aligned as exporters write them, and inside it.
 *
 * "weights" is from the first read until all of them are in place; "whole load" is all of
 * engine_new, memory mapped and zeroed, plans made and measured.
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
#include "memory/range_reader.h"
#include "tests/model/onnx_writer.h"
#include "tests/system/crowd.h"
#include "tests/system/measure.h"

#define TABLE_ROWS (1 << 21)
#define DIM 48
#define MATRICES 4
#define WIDTH 2896 /* 32 MiB a matrix */
#define ROUNDS 3
#define GOAL 0.90
#define SEED UINT64_C(20261127)

enum form {
	FORM_BESIDE,
	FORM_INSIDE,
	FORMS,
};

static const char *const form_names[] = { "beside model.onnx", "inside model.onnx" };
static const char *const file_names[] = { "model.bin", "model.onnx" };

struct bench {
	char directory[FORMS][64];
	int fds[FORMS]; /* of the directories */
	uint64_t file_bytes[FORMS];
	uint8_t *buffer; /* the bare reader's */
};

static float *floats(uint64_t count)
{
	float *values = malloc(count * sizeof(float));
	uint64_t state = SEED;

	must(values, "no memory for %llu floats", (unsigned long long)count);
	for (uint64_t index = 0; index < count; index++) {
		state = state * UINT64_C(6364136223846793005) + 1442695040888963407U;
		values[index] = (float)(int32_t)(state >> 33) * 0x1p-40f;
	}
	return values;
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
	float *data = floats((uint64_t)TABLE_ROWS * DIM);
	char shape[32], name[16], inputs[32], output[16];
	struct stat stat;

	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_input(writer, "x", DTYPE_F32, "batch,2896");
	snprintf(shape, sizeof(shape), "%d,%d", TABLE_ROWS, DIM);
	tensor_put(writer, form, "table", shape, data, (uint64_t)TABLE_ROWS * DIM);
	onnx_writer_node(writer, "Gather", "table,ids", "rows");
	snprintf(shape, sizeof(shape), "%d,%d", WIDTH, WIDTH);
	for (int index = 0; index < MATRICES; index++) {
		snprintf(name, sizeof(name), "w%d", index);
		tensor_put(writer, form, name, shape, data + index, (uint64_t)WIDTH * WIDTH);
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

/* The file's pages leave the page cache, which a written file must reach the disk for. */
static int file_open(const struct bench *bench, enum form form, int flags)
{
	int fd = openat(bench->fds[form], file_names[form], O_RDONLY | O_CLOEXEC);
	int ret_fd;

	must(fd >= 0 && fsync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0,
	     "the file's pages do not leave the cache");
	close(fd);
	ret_fd = openat(bench->fds[form], file_names[form], O_RDONLY | O_CLOEXEC | flags);
	return ret_fd;
}

/* --- the readers: bytes a nanosecond ------------------------------------------------------------- */

static double bare_run(const struct bench *bench, enum form form)
{
	uint64_t part_count = bench->file_bytes[form] / RANGE_PIECE_BYTES;
	const struct iovec memory = { bench->buffer, (size_t)RANGE_DEPTH * RANGE_PIECE_BYTES };
	int fd = file_open(bench, form, O_DIRECT);
	uint64_t begun = 0;
	uint64_t ended = 0;
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	uint64_t begin_ns;

	must(fd >= 0 && io_uring_queue_init(RANGE_DEPTH, &ring, 0) == 0, "no ring, or no file");
	must(io_uring_register_buffers(&ring, &memory, 1) == 0, "memory cannot be registered");
	begin_ns = clock_ns();
	while (ended < part_count) {
		for (; begun < part_count && begun - ended < RANGE_DEPTH; begun++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

			io_uring_prep_read_fixed(
				sqe, fd,
				bench->buffer + begun % RANGE_DEPTH * RANGE_PIECE_BYTES,
				RANGE_PIECE_BYTES, begun * RANGE_PIECE_BYTES, 0);
		}
		must(io_uring_submit_and_wait(&ring, 1) >= 0, "the ring fails");
		while (io_uring_peek_cqe(&ring, &cqe) == 0) {
			must(cqe->res == (int)RANGE_PIECE_BYTES, "a short read");
			io_uring_cqe_seen(&ring, cqe);
			ended++;
		}
	}
	begin_ns = clock_ns() - begin_ns;
	io_uring_queue_exit(&ring);
	close(fd);
	return (double)(part_count * RANGE_PIECE_BYTES) / (double)begin_ns;
}

static double read_run(const struct bench *bench, enum form form)
{
	int fd = file_open(bench, form, 0);
	uint64_t begin_ns = clock_ns();
	uint64_t bytes = 0;
	ssize_t got;

	while ((got = read(fd, bench->buffer, RANGE_PIECE_BYTES)) > 0)
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
	for (at = 0; at + RANGE_PIECE_BYTES <= bytes; at += RANGE_PIECE_BYTES)
		memcpy(bench->buffer, map + at, RANGE_PIECE_BYTES);
	begin_ns = clock_ns() - begin_ns;
	munmap(map, bytes);
	close(fd);
	return (double)at / (double)begin_ns;
}

/* Of the weights; *ret_whole of all that engine_new does. */
static double hearth_run(const struct bench *bench, enum form form, double *ret_whole)
{
	const struct engine_options options = { .node = -1, .rows_max = 4 };
	const struct weights_arrival *arrival;
	struct engine *engine = NULL;
	uint64_t begin_ns;
	double rate;

	close(file_open(bench, form, 0));
	begin_ns = clock_ns();
	must(engine_new(bench->fds[form], "load/1", &options, &engine) == 0, "%s", err_message());
	begin_ns = clock_ns() - begin_ns;
	arrival = engine_arrival(engine);
	must(arrival->has_ring && arrival->direct_error == 0, "the load went another way");
	rate = (double)arrival->bytes / (double)arrival->ns;
	*ret_whole = (double)arrival->bytes / (double)begin_ns;
	engine_free(engine);
	return rate;
}

/* --- the table ----------------------------------------------------------------------------------- */

static void line_print(bool is_json, enum form form, const char *what, struct series *series,
		       bool has_goal)
{
	double ratio = median_of(series->ratios, series->count);
	double rate = median_of(series->values, series->count);
	const char *verdict = !has_goal ? "" : ratio >= GOAL ? "met" : "missed";

	printf(is_json ? "{\"bench\":\"load\",\"form\":\"%s\",\"what\":\"%s\",\"gb_per_s\":%.3f,"
			 "\"of_bare\":%.3f,\"verdict\":\"%s\"}\n"
		       : "  %-18s %-26s %5.2f GB/s  %.2f of the bare reader  %s\n",
	       form_names[form], what, rate, ratio, verdict);
}

static void form_measure(struct bench *bench, enum form form, bool is_json)
{
	static struct series weights, whole, reads, maps;

	memset(&weights, 0, sizeof(weights));
	memset(&whole, 0, sizeof(whole));
	memset(&reads, 0, sizeof(reads));
	memset(&maps, 0, sizeof(maps));
	model_make(bench, form);
	(void)hearth_run(bench, form, &(double){ 0 }); /* memory that the host has to find */
	for (int round = 0; round < ROUNDS; round++) {
		double before = bare_run(bench, form);
		double all = 0;
		double rate = hearth_run(bench, form, &all);
		double after = bare_run(bench, form);

		series_add(&weights, before, rate, after);
		series_add(&whole, before, all, after);
		series_add(&reads, before, read_run(bench, form), after);
		series_add(&maps, before, mmap_run(bench, form), after);
	}
	line_print(is_json, form, "weights", &weights, true);
	line_print(is_json, form, "whole load", &whole, false);
	line_print(is_json, form, "read(2)", &reads, false);
	line_print(is_json, form, "mmap", &maps, false);
	model_remove(bench, form);
}

int main(int argc, char **argv)
{
	static struct bench bench;
	bool is_json = argc == 3 && strcmp(argv[1], "-o") == 0 && strcmp(argv[2], "json") == 0;
	int fd;

	bench.buffer = aligned_alloc(RANGE_PAGE_BYTES, (size_t)RANGE_DEPTH * RANGE_PIECE_BYTES);
	must(bench.buffer, "no memory");
	memset(bench.buffer, 0, (size_t)RANGE_DEPTH * RANGE_PIECE_BYTES);
	fd = open(getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", O_RDWR | O_TMPFILE | O_DIRECT, 0600);
	if (fd < 0) {
		printf("SKIP: no files that take O_DIRECT in TMPDIR\n");
		return MEASURE_SKIP;
	}
	close(fd);
	if (!is_json)
		printf("load: a model of 512 MiB against a bare O_DIRECT reader of its file, before "
		       "and behind; goal %.2f\n", GOAL);
	for (enum form form = 0; form < FORMS; form++)
		form_measure(&bench, form, is_json);
	free(bench.buffer);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/memory/bench_rows.c - random rows out of a file, against a bare ring that reads whole blocks
 *
 *     make bench BENCH=rows
 *
 * The limit keeps as many reads of one aligned block each on their way, by O_DIRECT, and copies
 * nothing; the candidate is memory/row_reader.h, whose rows lie where a table has them. Both read a
 * file of 512 MiB at places drawn from all of it, in slices that alternate: limit, candidate, limit.
 * A slice counts when the limits around it agree. The disk may be shared with others: the ratio
 * counts, not the rate.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/row_reader.h"
#include "tests/system/crowd.h"
#include "tests/system/measure.h"

#define FILE_BYTES (UINT64_C(512) << 20)
#define CHUNK_BYTES (1 << 20)
#define SLICE_NS 100000000
#define SLICES_WANTED 20
#define SLICES_TRIED_MAX 60
#define GOAL 0.85
#define ROW_BYTES_MAX 4096

struct bench {
	int fd;
	int direct_fd; /* -1: the file system has none */
	struct row_file file;
	struct row_reader reader;
	struct io_uring ring; /* the bare reader's */
	uint8_t *buffers;
	uint8_t rows[ROW_READER_DEPTH][ROW_BYTES_MAX];
	uint64_t seed;
};

static uint64_t draw(struct bench *bench, uint64_t bound)
{
	bench->seed = bench->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (bench->seed >> 33) % bound;
}

static void file_make(struct bench *bench)
{
	const char *parent = getenv("TMPDIR");
	char path[256];
	uint8_t *chunk = malloc(CHUNK_BYTES);

	must(chunk, "no memory");
	snprintf(path, sizeof(path), "%s/hearth-rows-XXXXXX", parent && *parent ? parent : "/tmp");
	bench->fd = mkostemp(path, O_CLOEXEC);
	must(bench->fd >= 0, "no file at %s", path);
	must(unlink(path) == 0, "%s cannot be removed", path);
	for (uint64_t offset = 0; offset < FILE_BYTES; offset += CHUNK_BYTES) {
		memset(chunk, (int)(offset / CHUNK_BYTES), CHUNK_BYTES);
		must(pwrite(bench->fd, chunk, CHUNK_BYTES, (off_t)offset) == CHUNK_BYTES,
		     "%s cannot be written", path);
	}
	must(fdatasync(bench->fd) == 0, "%s cannot be written", path);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", bench->fd);
	bench->direct_fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	free(chunk);
}

/* --- the limit ------------------------------------------------------------------------------------ */

static void block_read(struct bench *bench, uint32_t slot)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(&bench->ring);
	uint32_t block = bench->file.block_bytes > 1 ? bench->file.block_bytes
						     : bench->file.row_bytes;

	must(entry, "no entry");
	io_uring_prep_read(entry, bench->file.fd,
			   bench->buffers + (size_t)slot * ROW_READER_BUFFER_BYTES, block,
			   draw(bench, FILE_BYTES / block) * block);
	io_uring_sqe_set_data64(entry, slot);
}

/* Blocks a second. */
static double bare_slice(struct bench *bench)
{
	int64_t begun_ns = crowd_now_ns();
	int64_t now_ns = begun_ns;
	uint64_t count = 0;

	for (uint32_t slot = 0; slot < ROW_READER_DEPTH; slot++)
		block_read(bench, slot);
	for (uint32_t pending = ROW_READER_DEPTH; pending > 0;) {
		struct io_uring_cqe *completion;

		must(io_uring_submit_and_wait(&bench->ring, 1) >= 0, "the ring cannot wait");
		now_ns = crowd_now_ns();
		while (io_uring_peek_cqe(&bench->ring, &completion) == 0) {
			uint32_t slot = (uint32_t)io_uring_cqe_get_data64(completion);

			must(completion->res > 0, "a read failed: %s", strerror(-completion->res));
			io_uring_cqe_seen(&bench->ring, completion);
			count++;
			pending--;
			if (now_ns - begun_ns < SLICE_NS) {
				block_read(bench, slot);
				pending++;
			}
		}
	}
	return (double)count / (double)(now_ns - begun_ns) * 1e9;
}

/* --- the candidate -------------------------------------------------------------------------------- */

static void row_read(struct bench *bench, uint32_t slot)
{
	must(row_reader_read(&bench->reader, &bench->file, draw(bench, bench->file.row_count),
			     bench->rows[slot], bench->rows[slot]),
	     "no read");
}

/* Rows a second. */
static double rows_slice(struct bench *bench)
{
	int64_t begun_ns = crowd_now_ns();
	int64_t now_ns = begun_ns;
	uint64_t count = 0;

	for (uint32_t slot = 0; slot < ROW_READER_DEPTH; slot++)
		row_read(bench, slot);
	for (uint32_t pending = ROW_READER_DEPTH; pending > 0;) {
		struct pollfd ring = { .fd = row_reader_fd(&bench->reader), .events = POLLIN };
		struct row_end end;

		row_reader_submit(&bench->reader);
		if (!row_reader_take(&bench->reader, &end)) {
			(void)poll(&ring, 1, 1000);
			continue;
		}
		now_ns = crowd_now_ns();
		do {
			must(end.result == 0, "a row failed: %s", strerror(-end.result));
			count++;
			pending--;
			if (now_ns - begun_ns < SLICE_NS) {
				row_read(bench,
					 (uint32_t)(((uint8_t *)end.user - bench->rows[0]) /
						    ROW_BYTES_MAX));
				pending++;
			}
		} while (row_reader_take(&bench->reader, &end));
	}
	return (double)count / (double)(now_ns - begun_ns) * 1e9;
}

static void shape_measure(struct bench *bench, uint32_t row_bytes, uint64_t offset, bool is_json)
{
	static struct series series;
	double limit;

	must(row_file_init(&bench->file, bench->fd, bench->direct_fd, offset,
			   (FILE_BYTES - offset) / row_bytes, row_bytes, "bench") == 0,
	     "%s", err_message());
	series.count = 0;
	limit = bare_slice(bench);
	for (uint32_t tried = 0; tried < SLICES_TRIED_MAX && series.count < SLICES_WANTED; tried++) {
		double rows = rows_slice(bench);
		double after = bare_slice(bench);

		series_add(&series, limit, rows, after);
		limit = after;
	}
	if (series.count < SLICES_WANTED / 2) {
		printf("  %5u bytes: the disk was too restless to tell\n", row_bytes);
		return;
	}
	limit = median_of(series.ratios, series.count);
	printf(is_json ? "{\"bench\":\"rows\",\"row_bytes\":%u,\"block_bytes\":%u,\"rows_per_s\":%.0f,"
			 "\"ratio\":%.3f,\"goal\":%.2f}\n"
		       : "  %5u bytes, blocks of %u: %8.0f rows a second, %.2f of the bare ring's "
			 "blocks (goal %.2f: %s)\n",
	       row_bytes, bench->file.block_bytes, median_of(series.values, series.count), limit, GOAL,
	       limit >= GOAL ? "met" : "missed");
}

int main(int argc, char **argv)
{
	static struct bench bench;
	bool is_json;
	int status = measure_arguments(argc, argv, &is_json);

	if (status)
		return status;
	row_reader_init(&bench.reader, true);
	if (row_reader_fd(&bench.reader) < 0 || io_uring_queue_init(ROW_READER_DEPTH, &bench.ring, 0)) {
		printf("SKIP: io_uring is not permitted here\n");
		return MEASURE_SKIP;
	}
	must(row_reader_populate(&bench.reader, NULL, -1) == 0, "%s", err_message());
	bench.buffers = aligned_alloc(4096, (size_t)ROW_READER_DEPTH * ROW_READER_BUFFER_BYTES);
	must(bench.buffers, "no memory");
	file_make(&bench);
	if (!is_json)
		printf("\nrows: out of a file of 512 MiB, %d reads on their way\n\n", ROW_READER_DEPTH);
	shape_measure(&bench, 64, 0, is_json);
	shape_measure(&bench, 512, 0, is_json);
	shape_measure(&bench, 512, 64, is_json);
	io_uring_queue_exit(&bench.ring);
	row_reader_deinit(&bench.reader);
	if (bench.direct_fd >= 0)
		close(bench.direct_fd);
	close(bench.fd);
	return 0;
}

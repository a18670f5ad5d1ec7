/* SPDX-License-Identifier: MIT */
/*
 * tests/memory/test_row_reader.c - rows as the file has them, whatever they straddle; files that shrink
 *
 * Each case runs by the ring and without it, and on the file system of TMPDIR and on tmpfs, which
 * takes no direct reads on older kernels.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/row_reader.h"
#include "tests/suite.h"

#define ROWS 3000
#define PLACES 4 /* ring or not, disk or memory */

static struct row_reader reader;
static int direct; /* the file of rows_make once more, with O_DIRECT; -1: there is none */

static int file_make(bool in_memory)
{
	const char *parent = getenv("TMPDIR");
	char path[256];
	int fd;

	if (in_memory)
		return memfd_create("rows", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "%s/hearth-rows-XXXXXX", parent && *parent ? parent : "/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(path), 0);
	return fd;
}

static uint8_t byte_of(uint64_t row, uint32_t place)
{
	return (uint8_t)(row * 131 + place * 7 + (row >> 8));
}

static int direct_open(int fd)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return open(link, O_RDONLY | O_DIRECT | O_CLOEXEC);
}

static int rows_make(bool in_memory, uint64_t offset, uint32_t row_bytes)
{
	uint64_t bytes = offset + (uint64_t)ROWS * row_bytes;
	uint8_t *content = calloc(1, bytes);
	int fd = file_make(in_memory);

	ck_assert_ptr_nonnull(content);
	for (uint64_t row = 0; row < ROWS; row++)
		for (uint32_t place = 0; place < row_bytes; place++)
			content[offset + row * row_bytes + place] = byte_of(row, place);
	ck_assert_int_eq(pwrite(fd, content, bytes, 0), (ssize_t)bytes);
	free(content);
	direct = direct_open(fd);
	return fd;
}

static void rows_close(int fd)
{
	if (direct >= 0)
		close(direct);
	close(fd);
}

static void reader_open(int place)
{
	row_reader_init(&reader, !(place & 1));
	ck_assert_int_eq(row_reader_populate(&reader, NULL, -1), 0);
}

/* Waits for one that has ended. */
static struct row_end end_await(void)
{
	struct row_end end;

	row_reader_submit(&reader);
	while (!row_reader_take(&reader, &end)) {
		struct pollfd ring = { .fd = row_reader_fd(&reader), .events = POLLIN };

		ck_assert_int_ge(poll(&ring, 1, 10000), 1);
	}
	return end;
}

static void rows_compare(const struct row_file *file)
{
	uint32_t row_bytes = file->row_bytes;
	uint8_t *rows = malloc((size_t)ROWS * row_bytes);
	uint64_t next = 0, ended = 0;
	bool is_right = true;
	struct row_end end;

	ck_assert_ptr_nonnull(rows);
	while (ended < ROWS) {
		/* In an order that jumps about the file. */
		while (next < ROWS &&
		       row_reader_read(&reader, file, next * 1103 % ROWS,
				       rows + next * 1103 % ROWS * row_bytes, rows + next))
			next++;
		end = end_await();
		ck_assert_int_eq(end.result, 0);
		ck_assert_uint_ge(end.bytes, row_bytes);
		ck_assert_uint_lt(end.bytes, row_bytes + 2 * file->block_bytes);
		ended++;
	}
	for (uint64_t row = 0; row < ROWS; row++)
		for (uint32_t place = 0; place < row_bytes; place++)
			is_right = is_right && rows[row * row_bytes + place] == byte_of(row, place);
	ck_assert(is_right);
	free(rows);
}

START_TEST(rows_are_what_the_file_has)
{
	static const struct { uint64_t offset; uint32_t row_bytes; } shapes[] = {
		{ 0, 64 }, { 0, 256 }, { 64, 64 }, { 4096, 512 }, { 13, 60 },
		{ 4090, 12 }, { 0, 4 }, { 1000, 4096 }, { 7, 1 },
	};

	for (uint32_t index = 0; index < sizeof(shapes) / sizeof(shapes[0]); index++) {
		int fd = rows_make(_i & 2, shapes[index].offset, shapes[index].row_bytes);
		struct row_file file;

		reader_open(_i);
		ck_assert_int_eq(row_file_init(&file, fd, direct, shapes[index].offset, ROWS,
					       shapes[index].row_bytes, "rows"), 0);
		rows_compare(&file);
		row_reader_deinit(&reader);
		rows_close(fd);
	}
}
END_TEST

START_TEST(as_many_reads_as_there_are_buffers_are_in_flight)
{
	static uint8_t rows[ROW_READER_DEPTH + 1][64];
	int fd = rows_make(_i & 2, 0, 64);
	struct row_file file;
	uint32_t count = 0;

	reader_open(_i);
	ck_assert_int_eq(row_file_init(&file, fd, direct, 0, ROWS, 64, "rows"), 0);
	while (count <= ROW_READER_DEPTH &&
	       row_reader_read(&reader, &file, count, rows[count], NULL))
		count++;
	ck_assert_uint_eq(count, ROW_READER_DEPTH);
	ck_assert_int_eq(end_await().result, 0);
	ck_assert(row_reader_read(&reader, &file, count, rows[count], NULL));
	/* The rest is waited for. */
	row_reader_deinit(&reader);
	rows_close(fd);
}
END_TEST

START_TEST(rows_that_the_file_has_lost_fail_alone)
{
	int fd = rows_make(_i & 2, 0, 4096);
	struct row_file file;
	uint8_t row[4096];

	reader_open(_i);
	ck_assert_int_eq(row_file_init(&file, fd, direct, 0, ROWS, 4096, "rows"), 0);
	ck_assert_int_eq(ftruncate(fd, 100 * 4096 + 100), 0);
	ck_assert(row_reader_read(&reader, &file, 99, row, NULL));
	ck_assert_int_eq(end_await().result, 0);
	ck_assert_uint_eq(row[5], byte_of(99, 5));
	for (uint64_t lost = 100; lost < ROWS; lost += 1450) {
		ck_assert(row_reader_read(&reader, &file, lost, row, &lost));
		ck_assert_int_eq(end_await().result, -EIO);
	}
	ck_assert(row_reader_read(&reader, &file, 7, row, NULL));
	ck_assert_int_eq(end_await().result, 0);
	row_reader_deinit(&reader);
	rows_close(fd);
}
END_TEST

START_TEST(a_descriptor_that_cannot_be_read_is_an_error_of_the_row)
{
	int fd = rows_make(_i & 2, 0, 64);
	int ends[2];
	struct row_file file;
	uint8_t row[64];

	reader_open(_i);
	ck_assert_int_eq(row_file_init(&file, fd, direct, 0, ROWS, 64, "rows"), 0);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	file.fd = ends[1];
	ck_assert(row_reader_read(&reader, &file, 1, row, row));
	ck_assert_int_lt(end_await().result, 0);
	ck_assert_uint_eq(reader.in_flight, 0);
	row_reader_deinit(&reader);
	close(ends[0]);
	close(ends[1]);
	rows_close(fd);
}
END_TEST

START_TEST(impossible_tables_are_refused)
{
	int fd = rows_make(true, 0, 64);
	struct row_file file;

	ck_assert_int_eq(row_file_init(&file, fd, direct, 0, ROWS + 1, 64, "rows"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err_message(), "the file has"));
	ck_assert_int_eq(row_file_init(&file, fd, direct, 1, ROWS, 64, "rows"), -EINVAL);
	ck_assert_int_eq(row_file_init(&file, fd, direct, 0, UINT64_MAX / 64, 64, "rows"), -EINVAL);
	ck_assert_int_eq(row_file_init(&file, fd, direct, UINT64_MAX, 1, 64, "rows"), -EINVAL);
	ck_assert_int_eq(row_file_init(&file, fd, direct, 0, 1, 0, "rows"), -EINVAL);
	ck_assert_int_eq(row_file_init(&file, fd, direct, 0, 1, ROW_READER_BUFFER_BYTES, "rows"),
			 -EINVAL);
	ck_assert_int_eq(row_file_init(&file, -1, -1, 0, 1, 64, "rows"), -EBADF);
	rows_close(fd);
}
END_TEST

START_TEST(the_ring_does_nothing_but_read)
{
	struct io_uring_sqe *entry;
	struct io_uring_cqe *completion;

	row_reader_init(&reader, true);
	if (!reader.has_ring) {
		puts("SKIP: io_uring is not permitted here");
		return;
	}
	entry = io_uring_get_sqe(&reader.ring);
	io_uring_prep_openat(entry, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	ck_assert_int_eq(io_uring_submit_and_wait(&reader.ring, 1), 1);
	ck_assert_int_eq(io_uring_peek_cqe(&reader.ring, &completion), 0);
	ck_assert_int_eq(completion->res, -EACCES);
	io_uring_cqe_seen(&reader.ring, completion);
	row_reader_deinit(&reader);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("row_reader");
	TCase *tests = tcase_create("row_reader");

	tcase_add_loop_test(tests, rows_are_what_the_file_has, 0, PLACES);
	tcase_add_loop_test(tests, as_many_reads_as_there_are_buffers_are_in_flight, 0, PLACES);
	tcase_add_loop_test(tests, rows_that_the_file_has_lost_fail_alone, 0, PLACES);
	tcase_add_loop_test(tests, a_descriptor_that_cannot_be_read_is_an_error_of_the_row, 0,
			    PLACES);
	tcase_add_test(tests, impossible_tables_are_refused);
	tcase_add_test(tests, the_ring_does_nothing_but_read);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

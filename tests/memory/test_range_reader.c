/* SPDX-License-Identifier: MIT */
/*
 * tests/memory/test_range_reader.c - ranges of files arrive whole, or a sentence says what is missing
 *
 * Each test runs with a ring and without one. A file that fails is this process's own memory, where
 * nothing is mapped; a ring that fails is one whose system call a filter denies.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "memory/range_reader.h"
#include "tests/memory/ring_flight.h"
#include "tests/model/scratch.h"
#include "tests/suite.h"

#define PAGE RANGE_PAGE_BYTES
#define SMALL_BYTES ((5U << 20) + 123)
#define LARGE_BYTES ((RANGE_DEPTH + 3) * (uint64_t)RANGE_PIECE_BYTES + 77) /* more than at once */
#define UNTOUCHED 0xa5

static uint8_t byte_of(uint64_t at)
{
	return (uint8_t)((at * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
}

/* A file of `bytes` bytes, open both ways. */
static struct range_file file_make(uint64_t bytes)
{
	int directory_fd = scratch_open(scratch_directory());
	uint8_t *data = malloc(bytes);
	struct range_file file = { .folder = "model/1", .location = "data.bin", .bytes = bytes };

	for (uint64_t at = 0; at < bytes; at++)
		data[at] = byte_of(at);
	scratch_write(directory_fd, "data.bin", data, bytes);
	free(data);
	file.fd = openat(directory_fd, "data.bin", O_RDWR | O_CLOEXEC);
	file.direct_fd = openat(directory_fd, "data.bin", O_RDONLY | O_DIRECT | O_CLOEXEC);
	file.direct_error = file.direct_fd < 0 ? errno : 0;
	ck_assert_int_ge(file.fd, 0);
	close(directory_fd);
	return file;
}

static void file_close(struct range_file *file)
{
	close(file->fd);
	if (file->direct_fd >= 0)
		close(file->direct_fd);
}

static struct range_reader *reader_make(bool wants_ring)
{
	struct range_reader *reader = NULL;

	ck_assert_int_eq(range_reader_new(wants_ring, &reader), 0);
	if (wants_ring && !range_reader_has_ring(reader))
		printf("SKIP: the ring, since io_uring is not permitted\n");
	return reader;
}

/* Until all of it has begun. */
static int range_begin(struct range_reader *reader, struct range_file *file, uint64_t offset,
		       uint64_t bytes, void *pages, void *place, uint64_t *ret_ticket)
{
	struct range_left left = range_left(file, offset, bytes, pages, place);
	int r;

	r = range_reader_begin(reader, &left, NULL, ret_ticket);
	while (r == 0 && left.offset < left.end) {
		r = range_reader_wait(reader);
		if (r == 0)
			r = range_reader_begin(reader, &left, NULL, ret_ticket);
	}
	return r;
}

static int range_end(struct range_reader *reader, uint64_t ticket)
{
	int r = 0;

	while (r == 0 && !range_reader_has_ended(reader, ticket))
		r = range_reader_wait(reader);
	return r;
}

static void range_check(const uint8_t *place, uint64_t offset, uint64_t bytes)
{
	uint64_t at = offset;

	while (at < offset + bytes && place[at - offset] == byte_of(at))
		at++;
	ck_assert_msg(at == offset + bytes, "byte %llu of [%llu, +%llu) differs",
		      (unsigned long long)at, (unsigned long long)offset,
		      (unsigned long long)bytes);
}

static void zero_check(const uint8_t *begin, const uint8_t *end)
{
	while (begin < end && *begin == 0)
		begin++;
	ck_assert_msg(begin == end, "%ld bytes before the end stands 0x%x", (long)(end - begin),
		      begin < end ? *begin : 0);
}

static const struct range {
	uint64_t offset, bytes;
} ranges[] = {
	{ 0, SMALL_BYTES }, { 0, 1 }, { 1, 100000 }, { 3 * PAGE + 17, 3U << 20 }, { 4095, 2 },
	{ 4096, 4096 }, { SMALL_BYTES - 5, 5 }, { 8191, SMALL_BYTES - 8191 },
};

/* Each is brought to where its pages hold it, and to some places before that. */
static void range_bring(struct range_reader *reader, struct range_file *file,
			const struct range *range, uint64_t down_bytes)
{
	uint64_t skip_bytes = range->offset % PAGE;
	uint64_t pages_bytes = (skip_bytes + range->bytes + PAGE - 1) / PAGE * PAGE;
	uint8_t *room = aligned_alloc(PAGE, pages_bytes + 2 * PAGE);
	uint8_t *pages = room + PAGE;
	uint8_t *place = pages + skip_bytes - down_bytes;
	uint64_t ticket = 0;

	memset(room, UNTOUCHED, pages_bytes + 2 * PAGE);
	ck_assert_int_eq(range_begin(reader, file, range->offset, range->bytes, pages, place,
					    &ticket), 0);
	ck_assert_int_eq(range_end(reader, ticket), 0);
	range_check(place, range->offset, range->bytes);
	zero_check(pages, place);
	zero_check(place + range->bytes, pages + pages_bytes);
	ck_assert_uint_eq(room[PAGE - 1], UNTOUCHED);
	ck_assert_uint_eq(pages[pages_bytes], UNTOUCHED);
	free(room);
}

/* _i: has it a ring? */
START_TEST(ranges_arrive_whole_and_their_pages_hold_nothing_else)
{
	struct range_reader *reader = reader_make(_i);
	struct range_file file = file_make(SMALL_BYTES);

	for (size_t index = 0; index < sizeof(ranges) / sizeof(ranges[0]); index++) {
		const struct range *range = &ranges[index];
		uint64_t skip_bytes = range->offset % PAGE;

		range_bring(reader, &file, range, 0);
		range_bring(reader, &file, range, skip_bytes / 2);
		range_bring(reader, &file, range, skip_bytes);
	}
	if (file.direct_error == 0)
		ck_assert_uint_eq(range_reader_counts(reader).direct_bytes,
				  range_reader_counts(reader).read_bytes);
	range_reader_free(reader);
	file_close(&file);
}
END_TEST

struct arrivals {
	uint64_t bytes;
	uint32_t count;
};

static void arrived(void *context, uint64_t bytes)
{
	struct arrivals *arrivals = context;

	arrivals->bytes += bytes;
	arrivals->count++;
}

START_TEST(more_than_is_read_at_once_arrives_in_registered_memory_and_is_told_of)
{
	struct range_reader *reader = reader_make(_i);
	struct range_file file = file_make(LARGE_BYTES);
	uint64_t room_bytes = (LARGE_BYTES / PAGE + 1) * PAGE;
	uint8_t *room = aligned_alloc(PAGE, room_bytes);
	struct arrivals arrivals = { 0 };
	uint64_t half = LARGE_BYTES / 2 / PAGE * PAGE;
	uint64_t first = 0;
	uint64_t second = 0;

	range_reader_bind(reader, room, room_bytes);
	range_reader_watch(reader, arrived, &arrivals);
	ck_assert_int_eq(range_begin(reader, &file, 0, half, room, room, &first), 0);
	ck_assert_int_eq(range_begin(reader, &file, half, LARGE_BYTES - half, room + half,
					    room + half, &second), 0);
	ck_assert_int_eq(range_end(reader, first), 0);
	range_check(room, 0, half);
	ck_assert_int_eq(range_end(reader, second), 0);
	range_check(room + half, half, LARGE_BYTES - half);
	ck_assert_uint_eq(arrivals.bytes, LARGE_BYTES);
	ck_assert_uint_gt(arrivals.count, 2);
	if (range_reader_has_ring(reader) && geteuid() == 0) /* who may lock so much */
		ck_assert_uint_eq(range_reader_counts(reader).fixed_bytes, LARGE_BYTES);
	range_reader_unbind(reader);
	range_reader_free(reader);
	file_close(&file);
	free(room);
}
END_TEST

/* As long as room is left, and in whole pieces: without a ring these are larger. */
START_TEST(nothing_is_written_from_a_limit_on)
{
	struct range_reader *reader = reader_make(_i);
	struct range_file file = file_make(LARGE_BYTES);
	uint64_t room_bytes = (LARGE_BYTES / PAGE + 1) * PAGE;
	uint8_t *room = aligned_alloc(PAGE, room_bytes);
	const uint8_t *limit = room + 7 * (uint64_t)RANGE_PIECE_BYTES + 5;
	struct range_left left = range_left(&file, 0, LARGE_BYTES, room, room);
	uint64_t ticket = 0;

	memset(room, UNTOUCHED, room_bytes);
	ck_assert_int_eq(range_reader_begin(reader, &left, room, &ticket), 0);
	ck_assert_uint_eq(ticket, 0);
	ck_assert_int_eq(range_reader_begin(reader, &left, limit, &ticket), 0);
	ck_assert_int_eq(range_end(reader, ticket), 0);
	range_check(room, 0, left.offset);
	ck_assert_uint_eq(left.offset, range_reader_has_ring(reader) ? 7 * RANGE_PIECE_BYTES : 0);
	ck_assert_uint_eq(room[left.offset], UNTOUCHED);
	ck_assert_mem_eq(room + left.offset, room + left.offset + 1, room_bytes - left.offset - 1);
	while (left.offset < left.end || !range_reader_has_ended(reader, ticket)) {
		ck_assert_int_eq(range_reader_begin(reader, &left, NULL, &ticket), 0);
		if (!range_reader_has_ended(reader, ticket))
			ck_assert_int_eq(range_reader_wait(reader), 0);
	}
	range_check(room, 0, LARGE_BYTES);
	range_reader_free(reader);
	file_close(&file);
	free(room);
}
END_TEST

START_TEST(a_file_that_became_shorter_is_named_with_offset_wanted_and_got)
{
	struct range_reader *reader = reader_make(_i);
	struct range_file file = file_make(SMALL_BYTES);
	uint8_t *room = aligned_alloc(PAGE, (SMALL_BYTES / PAGE + 1) * PAGE);
	struct range_file whole = file_make(PAGE);
	uint64_t ticket = 0;
	int r;

	ck_assert_int_eq(ftruncate(file.fd, PAGE + 100), 0);
	r = range_begin(reader, &file, PAGE, 8 * PAGE, room, room, &ticket);
	if (r == 0)
		r = range_end(reader, ticket);
	ck_assert_int_eq(r, -ESTALE);
	ck_assert_msg(strstr(err_message(), "model/1/data.bin became shorter"), "%s", err_message());
	ck_assert_msg(strstr(err_message(), "wanted 32668 bytes at 4196, got 0"), "%s",
		      err_message());
	/* Nothing of it is in the way of the next file. */
	ck_assert_int_eq(range_begin(reader, &whole, 0, PAGE, room, room, &ticket), 0);
	ck_assert_int_eq(range_end(reader, ticket), 0);
	range_check(room, 0, PAGE);
	range_reader_free(reader);
	file_close(&file);
	file_close(&whole);
	free(room);
}
END_TEST

START_TEST(a_read_that_fails_is_named_with_its_reason)
{
	struct range_reader *reader = reader_make(_i);
	struct range_file file = {
		.folder = "model/1",
		.location = "data.bin",
		.fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC),
		.direct_fd = -1,
		.direct_error = EINVAL,
		.bytes = 1 << 20,
	};
	uint8_t *room = aligned_alloc(PAGE, 8 * PAGE);
	uint64_t ticket = 0;
	int r;

	ck_assert_int_ge(file.fd, 0);
	r = range_begin(reader, &file, PAGE, 2 * PAGE, room, room, &ticket); /* unmapped */
	if (r == 0)
		r = range_end(reader, ticket);
	ck_assert_int_eq(r, -EIO);
	ck_assert_msg(strstr(err_message(), "model/1/data.bin: reading failed: wanted 8192 bytes at "
			     "4096, got 0: Input/output error"), "%s", err_message());
	range_reader_free(reader);
	close(file.fd);
	free(room);
}
END_TEST

/* A pipe in a file's place: a read of it is under way until its other end is closed, and fails then. */
static struct range_left pipe_range(struct range_file *file, uint64_t bytes, uint8_t *room,
				    int *ret_end)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	*file = (struct range_file){ "model/1", "data.bin", ends[0], -1, EINVAL, bytes };
	*ret_end = ends[1];
	return range_left(file, 0, bytes, room, room);
}

static void *pipe_end(void *end)
{
	const struct timespec pause = { .tv_nsec = 50000000 };

	nanosleep(&pause, NULL);
	close(*(int *)end);
	return NULL;
}

/* Else it would be written to memory that is somebody else's by then. */
START_TEST(what_is_in_flight_when_a_read_fails_has_ended_when_the_caller_is_told)
{
	struct range_reader *reader = reader_make(true);
	uint8_t *room = aligned_alloc(PAGE, 4 * (uint64_t)RANGE_PIECE_BYTES);
	struct range_file failing, lasting;
	int failing_end, lasting_end;
	struct range_left first = pipe_range(&failing, PAGE, room, &failing_end);
	struct range_left rest = pipe_range(&lasting, 3 * (uint64_t)RANGE_PIECE_BYTES, room + PAGE,
					    &lasting_end);
	uint64_t ticket = 0;
	pthread_t thread;

	if (range_reader_has_ring(reader)) {
		ck_assert_int_eq(range_reader_begin(reader, &first, NULL, &ticket), 0);
		ck_assert_int_eq(range_reader_begin(reader, &rest, NULL, &ticket), 0);
		ck_assert_uint_eq(rest.offset, rest.end);
		ck_assert_uint_eq(ring_flight(), 4);
		close(failing_end);
		ck_assert_int_eq(pthread_create(&thread, NULL, pipe_end, &lasting_end), 0);
		ck_assert_int_eq(range_reader_wait(reader), -ESPIPE);
		ck_assert_uint_eq(ring_flight(), 0);
		ck_assert(range_reader_has_ended(reader, ticket));
		pthread_join(thread, NULL);
	}
	range_reader_free(reader);
	close(failing.fd);
	close(lasting.fd);
	free(room);
}
END_TEST

START_TEST(what_cannot_be_read_past_the_page_cache_comes_through_it)
{
	struct range_reader *reader = reader_make(_i);
	struct range_file file = file_make(SMALL_BYTES);
	uint8_t *room = aligned_alloc(PAGE, (SMALL_BYTES / PAGE + 1) * PAGE);
	uint64_t ticket = 0;

	if (file.direct_fd >= 0)
		close(file.direct_fd);
	file.direct_fd = open("/dev/null", O_WRONLY | O_CLOEXEC); /* refuses every read */
	file.direct_error = 0;
	ck_assert_int_eq(range_begin(reader, &file, 0, SMALL_BYTES, room, room, &ticket), 0);
	ck_assert_int_eq(range_end(reader, ticket), 0);
	range_check(room, 0, SMALL_BYTES);
	ck_assert_int_eq(file.direct_error, EBADF);
	ck_assert_uint_eq(range_reader_counts(reader).direct_bytes, 0);
	range_reader_free(reader);
	file_close(&file);
	free(room);
}
END_TEST

static void deny_enter(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EBADF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { .len = 4, .filter = filter };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/* _i: with reads under way? */
START_TEST(a_ring_that_fails_is_given_up_and_everything_arrives)
{
	struct range_reader *reader = reader_make(true);
	struct range_file file = file_make(SMALL_BYTES);
	uint8_t *room = aligned_alloc(PAGE, (SMALL_BYTES / PAGE + 1) * PAGE);
	uint64_t half = SMALL_BYTES / 2 / PAGE * PAGE;
	uint64_t ticket = 0;

	if (_i == 0)
		deny_enter();
	ck_assert_int_eq(range_begin(reader, &file, 0, half, room, room, &ticket), 0);
	if (_i == 1)
		deny_enter();
	ck_assert_int_eq(range_begin(reader, &file, half, SMALL_BYTES - half, room + half,
					    room + half, &ticket), 0);
	ck_assert_int_eq(range_end(reader, ticket), 0);
	range_check(room, 0, SMALL_BYTES);
	ck_assert(!range_reader_has_ring(reader));
	range_reader_free(reader);
	file_close(&file);
	free(room);
}
END_TEST

/* The filter stays for the life of its process, so the test needs one of its own. */
static bool tests_fork(void)
{
	const char *fork_word = getenv("CK_FORK");

	return !fork_word || strcmp(fork_word, "no") != 0;
}

int main(void)
{
	Suite *suite = suite_create("range_reader");
	TCase *tests = tcase_create("range_reader");

	tcase_set_timeout(tests, 60);
	tcase_add_unchecked_fixture(tests, scratch_begin, scratch_end);
	tcase_add_loop_test(tests, ranges_arrive_whole_and_their_pages_hold_nothing_else, 0, 2);
	tcase_add_loop_test(tests,
			    more_than_is_read_at_once_arrives_in_registered_memory_and_is_told_of,
			    0, 2);
	tcase_add_loop_test(tests, nothing_is_written_from_a_limit_on, 0, 2);
	tcase_add_loop_test(tests, a_file_that_became_shorter_is_named_with_offset_wanted_and_got, 0,
			    2);
	tcase_add_loop_test(tests, a_read_that_fails_is_named_with_its_reason, 0, 2);
	tcase_add_test(tests, what_is_in_flight_when_a_read_fails_has_ended_when_the_caller_is_told);
	tcase_add_loop_test(tests, what_cannot_be_read_past_the_page_cache_comes_through_it, 0, 2);
	if (tests_fork())
		tcase_add_loop_test(tests, a_ring_that_fails_is_given_up_and_everything_arrives, 0,
				    2);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

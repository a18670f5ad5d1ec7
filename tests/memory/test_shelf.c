/* SPDX-License-Identifier: MIT */
/* tests/memory/test_shelf.c - equal bytes are one sheet, for as long as somebody uses it */
#include <check.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/sealed.h"
#include "memory/shelf.h"
#include "tests/suite.h"

#define BYTES 12345
#define TURNS 200
#define THREADS 3

static struct shelf shelf;

static void setup(void)
{
	shelf_init(&shelf, NULL);
}

static void teardown(void)
{
	ck_assert_ptr_null(shelf.sheets);
	shelf_deinit(&shelf);
}

/* Sealed bytes, of which one in the middle is `mark`. */
static int bytes_of(uint8_t mark, uint64_t byte_count)
{
	static _Thread_local uint8_t bytes[BYTES + 1];
	int fd = -1;

	memset(bytes, 7, sizeof(bytes));
	bytes[byte_count / 2] = mark;
	ck_assert_int_eq(sealed_new("test", bytes, byte_count, &fd), 0);
	return fd;
}

static struct sheet *put(int fd)
{
	struct sheet *sheet = NULL;

	ck_assert_int_eq(shelf_put(&shelf, fd, place_node(-1), &sheet), 0);
	return sheet;
}

START_TEST(equal_bytes_are_one_sheet)
{
	struct sheet *first = put(bytes_of(1, BYTES));
	struct sheet *other = put(bytes_of(2, BYTES));
	int again_fd = bytes_of(1, BYTES);
	struct sheet *again = put(again_fd);

	ck_assert_ptr_eq(first, again);
	ck_assert_ptr_ne(first, other);
	ck_assert_uint_ne(first->id, other->id);
	ck_assert_int_lt(close(again_fd), 0); /* the shelf has closed it */
	shelf_return(&shelf, first);
	shelf_return(&shelf, other);
	ck_assert_ptr_eq(shelf_take(&shelf, again->id), again);
	shelf_return(&shelf, again);
	shelf_return(&shelf, again);
}
END_TEST

START_TEST(the_same_beginning_is_not_enough)
{
	struct sheet *shorter = put(bytes_of(7, BYTES));
	struct sheet *longer = put(bytes_of(7, BYTES + 1));

	ck_assert_ptr_ne(shorter, longer);
	shelf_return(&shelf, shorter);
	shelf_return(&shelf, longer);
}
END_TEST

START_TEST(what_nobody_uses_is_gone)
{
	int fd = bytes_of(1, BYTES);
	struct sheet *sheet = put(fd);
	uint64_t id = sheet->id;

	shelf_return(&shelf, sheet);
	ck_assert_ptr_null(shelf_take(&shelf, id));
	ck_assert_int_lt(close(fd), 0);
	sheet = put(bytes_of(1, BYTES));
	ck_assert_uint_ne(sheet->id, id); /* a number is never another sheet's */
	shelf_return(&shelf, sheet);
}
END_TEST

START_TEST(what_could_be_written_is_no_sheet)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct sheet *sheet = NULL;

	ck_assert_int_eq(ftruncate(fd, BYTES), 0);
	ck_assert_int_lt(shelf_put(&shelf, fd, place_node(-1), &sheet), 0);
	ck_assert_int_eq(close(fd), 0);
	fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	shelf_bring(&shelf, 3, fd);
	ck_assert_ptr_null(shelf_take(&shelf, 3));
}
END_TEST

START_TEST(what_was_brought_stays_until_it_is_settled)
{
	struct sheet *used, *alike;

	shelf_bring(&shelf, 7, bytes_of(1, BYTES));
	shelf_bring(&shelf, 9, bytes_of(2, BYTES));
	used = shelf_take(&shelf, 7);
	ck_assert_ptr_nonnull(used);
	alike = put(bytes_of(1, BYTES));
	ck_assert_ptr_eq(alike, used);
	shelf_return(&shelf, alike);
	shelf_return(&shelf, used);
	used = shelf_take(&shelf, 7);
	shelf_settle(&shelf);
	ck_assert_ptr_null(shelf_take(&shelf, 9));
	shelf_bring(&shelf, 12, -1);
	ck_assert_ptr_null(shelf_take(&shelf, 12));
	alike = put(bytes_of(2, BYTES));
	ck_assert_uint_eq(alike->id, 13);
	shelf_return(&shelf, alike);
	shelf_return(&shelf, used);
}
END_TEST

static void *thread_main(void *context)
{
	for (uint32_t turn = 0; turn < TURNS; turn++)
		shelf_return(&shelf, put(bytes_of((uint8_t)(turn % 3), BYTES)));
	return context;
}

/* Two may put the same at the same time and get a sheet each; none may get one that is gone. */
START_TEST(any_thread_may_put_and_return)
{
	pthread_t threads[THREADS];

	for (uint32_t thread = 0; thread < THREADS; thread++)
		ck_assert_int_eq(pthread_create(&threads[thread], NULL, thread_main, NULL), 0);
	for (uint32_t thread = 0; thread < THREADS; thread++)
		ck_assert_int_eq(pthread_join(threads[thread], NULL), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shelf");
	TCase *tests = tcase_create("shelf");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, equal_bytes_are_one_sheet);
	tcase_add_test(tests, the_same_beginning_is_not_enough);
	tcase_add_test(tests, what_nobody_uses_is_gone);
	tcase_add_test(tests, what_could_be_written_is_no_sheet);
	tcase_add_test(tests, what_was_brought_stays_until_it_is_settled);
	tcase_add_test(tests, any_thread_may_put_and_return);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/exec/test_cold_file.c - a change of a file's bytes, and what only looks like one */
#include "exec/cold_file.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/suite.h"

static char directory[64], path[96], other[96];
static struct cold_file file;

static void make_file(void)
{
	const char *room = getenv("TMPDIR");

	snprintf(directory, sizeof(directory), "%s/hearth-file.XXXXXX", room ? room : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/table", directory);
	snprintf(other, sizeof(other), "%s/other", directory);
	file = (struct cold_file){ .fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600) };
	ck_assert_int_eq(write(file.fd, "0123456789", 10), 10);
	ck_assert_int_eq(cold_file_note(&file, "table"), 0);
}

static void remove_file(void)
{
	close(file.fd);
	unlink(path);
	unlink(other);
	rmdir(directory);
}

static bool is_later(void)
{
	struct stat now;

	ck_assert_int_eq(fstat(file.fd, &now), 0);
	return now.st_ctim.tv_sec != file.state.st_ctim.tv_sec ||
	       now.st_ctim.tv_nsec != file.state.st_ctim.tv_nsec;
}

/* Until the clock that files are stamped with has moved. */
static void spoil_and_put_time_back(void)
{
	const struct timespec times[] = { file.state.st_atim, file.state.st_mtim };

	do {
		ck_assert_int_eq(pwrite(file.fd, "x", 1, 3), 1);
		ck_assert_int_eq(futimens(file.fd, times), 0);
	} while (!is_later());
}

static void change_mode(void)
{
	static mode_t mode = 0600;

	do
		ck_assert_int_eq(fchmod(file.fd, mode ^= 0040), 0);
	while (!is_later());
}

START_TEST(a_file_that_is_let_alone_has_not_changed)
{
	char byte;

	ck_assert_int_eq(pread(file.fd, &byte, 1, 0), 1);
	ck_assert(!cold_file_has_changed(&file));
}
END_TEST

START_TEST(another_size_is_a_change)
{
	ck_assert_int_eq(ftruncate(file.fd, 9), 0);
	ck_assert(cold_file_has_changed(&file));
}
END_TEST

START_TEST(bytes_that_change_are_a_change_though_their_time_was_put_back)
{
	spoil_and_put_time_back();
	ck_assert(cold_file_has_changed(&file));
}
END_TEST

START_TEST(permissions_links_and_names_are_no_change)
{
	change_mode();
	ck_assert(!cold_file_has_changed(&file));
	ck_assert_int_eq(link(path, other), 0);
	ck_assert(!cold_file_has_changed(&file));
	ck_assert_int_eq(unlink(other), 0);
	ck_assert(!cold_file_has_changed(&file));
	ck_assert_int_eq(rename(path, other), 0);
	ck_assert(!cold_file_has_changed(&file));
	ck_assert_int_eq(unlink(other), 0);
	ck_assert(!cold_file_has_changed(&file));
}
END_TEST

START_TEST(a_change_after_one_of_them_is_one)
{
	change_mode();
	ck_assert(!cold_file_has_changed(&file));
	spoil_and_put_time_back();
	ck_assert(cold_file_has_changed(&file));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cold_file");
	TCase *tests = tcase_create("cold_file");

	tcase_add_checked_fixture(tests, make_file, remove_file);
	tcase_add_test(tests, a_file_that_is_let_alone_has_not_changed);
	tcase_add_test(tests, another_size_is_a_change);
	tcase_add_test(tests, bytes_that_change_are_a_change_though_their_time_was_put_back);
	tcase_add_test(tests, permissions_links_and_names_are_no_change);
	tcase_add_test(tests, a_change_after_one_of_them_is_one);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

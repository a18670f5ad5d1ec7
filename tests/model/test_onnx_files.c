/* SPDX-License-Identifier: MIT */
/* tests/model/test_onnx_files.c - external data: paths, links, ranges, and files that change */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "model/onnx_parts.h"
#include "onnx_walk.h"
#include "onnx_writer.h"
#include "scratch.h"
#include "tests/suite.h"

#define WEIGHTS_BYTES 24

static const float weights[6] = {1, 2, 3, 4, 5, 6};

/* A model whose only tensor w [3,2] lies where the words say; model.bin has 24
 * bytes. Returns the directory's descriptor. */
static int make_directory(const char *location, const char *offset, const char *length)
{
	struct onnx_writer *writer = onnx_writer_new(17);
	int fd = scratch_open(scratch_directory());

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,2");
	onnx_writer_external_words(writer, "w", DTYPE_F32, "3,2", location, offset, length);
	onnx_writer_output(writer, "x", DTYPE_F32, "batch,2");
	ck_assert_msg(onnx_writer_save_at(writer, fd) == 0, "the test's file is not written");
	onnx_writer_free(writer);
	scratch_write(fd, "model.bin", weights, WEIGHTS_BYTES);
	return fd;
}

static void check_refused(int directory_fd, int error, const char *words)
{
	struct onnx_model *untouched = (struct onnx_model *)&untouched;
	struct onnx_model *model = untouched;
	int r = onnx_open(directory_fd, "tricky/1", &model);

	ck_assert_msg(r == error, "result %d instead of %d (%s): %s", r, error, words,
		      r < 0 ? err_message() : "it was accepted");
	ck_assert_msg(model == untouched, "the output was touched on failure");
	ck_assert_msg(strstr(err_message(), words), "the sentence \"%s\" lacks \"%s\"",
		      err_message(), words);
	close(directory_fd);
}

static struct onnx_model *check_loads(int directory_fd)
{
	struct onnx_model *model = NULL;
	float copy[6];
	int r = onnx_open(directory_fd, "tricky/1", &model);

	ck_assert_msg(r == 0, "refused: %s", err_message());
	ck_assert_int_eq(onnx_read(model, &model->tensors[0], copy), 0);
	ck_assert_msg(memcmp(copy, weights, sizeof(copy)) == 0, "the weights differ");
	ck_assert_int_eq(onnx_verify(model), 0);
	return model;
}

static const struct {
	const char *location, *offset, *length;
	int error;
	const char *words;
} refusals[] = {
	{"../model.bin", "0", "24", -EINVAL, "contains \"..\""},
	{"a/../../model.bin", "0", "24", -EINVAL, "contains \"..\""},
	{"a/..", "0", "24", -EINVAL, "contains \"..\""},
	{"..", "0", "24", -EINVAL, "contains \"..\""},
	{"/etc/passwd", "0", "24", -EINVAL, "absolute path"},
	{"//etc/passwd", "0", "24", -EINVAL, "absolute path"},
	{"", "0", "24", -EINVAL, "is empty"},
	{NULL, "0", "24", -EINVAL, "has no location"},
	{"a\nb", "0", "24", -EINVAL, "control characters"},
	{"caf\xe9", "0", "24", -EINVAL, "is not UTF-8"},
	{"missing.bin", "0", "24", -ENOENT, "missing.bin does not exist"},
	{"model.bin/x", "0", "24", -ENOTDIR, "cannot be opened"},
	{".", "0", "24", -EINVAL, "is a directory"},
	{"./", "0", "24", -EINVAL, "is a directory"},
	{"model.bin", "-1", "24", -EINVAL, "offset is not a decimal number"},
	{"model.bin", "+1", "24", -EINVAL, "offset is not a decimal number"},
	{"model.bin", " 0", "24", -EINVAL, "offset is not a decimal number"},
	{"model.bin", "0x10", "24", -EINVAL, "offset is not a decimal number"},
	{"model.bin", "", "24", -EINVAL, "offset is not a decimal number"},
	{"model.bin", "18446744073709551616", "24", -EINVAL, "offset is not a decimal number"},
	{"model.bin", "99999999999999999999999999", "24", -EINVAL, "offset is not a decimal"},
	{"model.bin", "18446744073709551615", "24", -EINVAL, "wants 24 bytes at"},
	{"model.bin", "9223372036854775807", "24", -EINVAL, "wants 24 bytes at"},
	{"model.bin", "25", "24", -EINVAL, "wants 24 bytes at 25 of model.bin, which has 24"},
	{"model.bin", "1", "24", -EINVAL, "wants 24 bytes at 1 of model.bin, which has 24"},
	{"model.bin", "1", NULL, -EINVAL, "wants 24 bytes at 1 of model.bin, which has 24"},
	{"model.bin", "0", "-24", -EINVAL, "length is not a decimal number"},
	{"model.bin", "0", "23", -EINVAL, "ask for 24 bytes and its external length is 23"},
	{"model.bin", "0", "25", -EINVAL, "ask for 24 bytes and its external length is 25"},
	{"model.bin", "0", "0", -EINVAL, "ask for 24 bytes and its external length is 0"},
};

START_TEST(each_wrong_word_of_external_data_is_refused)
{
	int fd = make_directory(refusals[_i].location, refusals[_i].offset, refusals[_i].length);

	check_refused(fd, refusals[_i].error, refusals[_i].words);
}
END_TEST

START_TEST(absent_offset_and_length_mean_the_start_and_what_the_dims_ask_for)
{
	int fd = make_directory("model.bin", NULL, NULL);

	onnx_close(check_loads(fd));
	close(fd);
}
END_TEST

START_TEST(a_location_in_a_folder_beside_the_model_is_read)
{
	int fd = make_directory("./folder/..weights", "0", "24");

	ck_assert_int_eq(mkdirat(fd, "folder", 0755), 0);
	scratch_write(fd, "folder/..weights", weights, WEIGHTS_BYTES);
	onnx_close(check_loads(fd));
	close(fd);
}
END_TEST

START_TEST(a_symbolic_link_instead_of_the_weights_is_refused)
{
	int fd = make_directory("link.bin", "0", "24");

	ck_assert_int_eq(symlinkat("model.bin", fd, "link.bin"), 0);
	check_refused(fd, -ELOOP, "link.bin is or passes through a symbolic link");
}
END_TEST

START_TEST(a_symbolic_link_on_the_way_to_the_weights_is_refused)
{
	int fd = make_directory("folder/model.bin", "0", "24");

	ck_assert_int_eq(symlinkat(".", fd, "folder"), 0);
	check_refused(fd, -ELOOP, "symbolic link");
}
END_TEST

START_TEST(a_model_file_that_is_a_symbolic_link_is_refused)
{
	int fd = make_directory("model.bin", "0", "24");

	ck_assert_int_eq(renameat(fd, "model.onnx", fd, "other.onnx"), 0);
	ck_assert_int_eq(symlinkat("other.onnx", fd, "model.onnx"), 0);
	check_refused(fd, -ELOOP, "tricky/1/model.onnx is or passes through a symbolic link");
}
END_TEST

START_TEST(a_fifo_is_refused_without_waiting_for_its_writer)
{
	int fd = make_directory("pipe", "0", "24");

	ck_assert_int_eq(mkfifoat(fd, "pipe", 0644), 0);
	check_refused(fd, -EINVAL, "pipe is a FIFO; a regular file is wanted");
}
END_TEST

START_TEST(a_model_file_that_is_a_directory_is_refused)
{
	int fd = scratch_open(scratch_directory());

	ck_assert_int_eq(mkdirat(fd, "model.onnx", 0755), 0);
	check_refused(fd, -EINVAL, "model.onnx is a directory");
}
END_TEST

START_TEST(a_directory_without_a_model_is_refused)
{
	check_refused(scratch_open(scratch_directory()), -ENOENT,
		      "tricky/1/model.onnx does not exist");
}
END_TEST

START_TEST(an_empty_model_file_is_refused)
{
	int fd = scratch_open(scratch_directory());

	scratch_write(fd, "model.onnx", "", 0);
	check_refused(fd, -EINVAL, "tricky/1/model.onnx is empty");
}
END_TEST

START_TEST(a_model_file_of_more_than_2_GiB_is_refused_without_reading_it)
{
	int fd = scratch_open(scratch_directory());
	int file_fd;

	scratch_write(fd, "model.onnx", "", 0);
	file_fd = openat(fd, "model.onnx", O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(ftruncate(file_fd, (off_t)3 << 30), 0);
	close(file_fd);
	check_refused(fd, -EINVAL, "has 3221225472 bytes");
}
END_TEST

START_TEST(a_hard_link_to_the_weights_is_read)
{
	int fd = make_directory("hard.bin", "0", "24");

	ck_assert_int_eq(linkat(fd, "model.bin", fd, "hard.bin", 0), 0);
	onnx_close(check_loads(fd));
	close(fd);
}
END_TEST

START_TEST(more_external_files_than_the_limit_are_refused)
{
	struct onnx_writer *writer = onnx_writer_new(17);
	int fd = scratch_open(scratch_directory());
	char name[32];

	for (int index = 0; index < ONNX_FILES_MAX; index++) {
		snprintf(name, sizeof(name), "file%d", index);
		onnx_writer_external(writer, name, DTYPE_F32, "1", weights, 4, name, 1);
	}
	onnx_writer_input(writer, "x", DTYPE_F32, "n");
	onnx_writer_output(writer, "x", DTYPE_F32, "n");
	ck_assert_int_eq(onnx_writer_save_at(writer, fd), 0);
	onnx_writer_free(writer);
	/* Where a process may have fewer descriptors, the system says no first. */
	if (sysconf(_SC_OPEN_MAX) > ONNX_FILES_MAX + 64)
		check_refused(fd, -EINVAL, "more than 1023 external files");
	else
		check_refused(fd, -EMFILE, "cannot be opened");
}
END_TEST

/* What a person or a script may do to a file of a loaded version. */
static void change(int directory_fd, const char *name, int how)
{
	int fd = openat(directory_fd, name, O_RDWR | O_CLOEXEC);
	char byte;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &byte, 1, 0), 1);
	switch (how) {
	case 0: /* written with what it had: only the times tell */
		ck_assert_int_eq(pwrite(fd, &byte, 1, 0), 1);
		break;
	case 1: /* longer */
		ck_assert_int_eq(pwrite(fd, "tail", 4, 1 << 16), 4);
		break;
	case 2: /* shorter */
		ck_assert_int_eq(ftruncate(fd, 8), 0);
		break;
	case 3: /* replaced */
		scratch_write(directory_fd, "fresh", weights, WEIGHTS_BYTES);
		ck_assert_int_eq(renameat(directory_fd, "fresh", directory_fd, name), 0);
		break;
	default: /* removed */
		ck_assert_int_eq(unlinkat(directory_fd, name, 0), 0);
	}
	close(fd);
}

/* _i: how, times the file. At once after the open: the file's tick must not hide it. */
START_TEST(a_file_that_changes_after_the_open_is_noticed)
{
	int fd = make_directory("model.bin", "0", "24");
	struct onnx_model *model = check_loads(fd);

	change(fd, _i % 2 ? "model.bin" : "model.onnx", _i / 2);
	ck_assert_msg(onnx_verify(model) == ONNX_E_CHANGED, "change %d of %s goes unnoticed",
		      _i / 2, _i % 2 ? "model.bin" : "model.onnx");
	onnx_close(model);
	close(fd);
}
END_TEST

START_TEST(weights_that_became_shorter_are_an_error_and_not_a_short_read)
{
	int fd = make_directory("model.bin", "0", "24");
	struct onnx_model *model = check_loads(fd);
	float copy[6];

	change(fd, "model.bin", 2);
	ck_assert_int_eq(onnx_read(model, &model->tensors[0], copy), -ESTALE);
	ck_assert_msg(strstr(err_message(), "model.bin became shorter"), "\"%s\"", err_message());
	onnx_close(model);
	close(fd);
}
END_TEST

START_TEST(a_model_still_reads_after_the_caller_closes_the_directory)
{
	int fd = make_directory("model.bin", "0", "24");
	struct onnx_model *model = check_loads(fd);
	float copy[6];

	close(fd);
	ck_assert_int_eq(onnx_read(model, &model->tensors[0], copy), 0);
	onnx_close(model);
}
END_TEST

/* An older kernel, or a sandbox, in this test's own process. */
START_TEST(without_openat2_the_refusal_says_what_is_missing)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = 4, .filter = filter};
	int fd = make_directory("model.bin", "0", "24");

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
	check_refused(fd, -ENOSYS, "hearth needs Linux 6.1");
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
	Suite *suite = suite_create("onnx_files");
	TCase *tests = tcase_create("files");

	tcase_add_unchecked_fixture(tests, scratch_begin, scratch_end);
	tcase_add_loop_test(tests, each_wrong_word_of_external_data_is_refused, 0,
			    sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(tests, absent_offset_and_length_mean_the_start_and_what_the_dims_ask_for);
	tcase_add_test(tests, a_location_in_a_folder_beside_the_model_is_read);
	tcase_add_test(tests, a_symbolic_link_instead_of_the_weights_is_refused);
	tcase_add_test(tests, a_symbolic_link_on_the_way_to_the_weights_is_refused);
	tcase_add_test(tests, a_model_file_that_is_a_symbolic_link_is_refused);
	tcase_add_test(tests, a_fifo_is_refused_without_waiting_for_its_writer);
	tcase_add_test(tests, a_model_file_that_is_a_directory_is_refused);
	tcase_add_test(tests, a_directory_without_a_model_is_refused);
	tcase_add_test(tests, an_empty_model_file_is_refused);
	tcase_add_test(tests, a_model_file_of_more_than_2_GiB_is_refused_without_reading_it);
	tcase_add_test(tests, a_hard_link_to_the_weights_is_read);
	tcase_add_test(tests, more_external_files_than_the_limit_are_refused);
	tcase_add_loop_test(tests, a_file_that_changes_after_the_open_is_noticed, 0, 10);
	tcase_add_test(tests, weights_that_became_shorter_are_an_error_and_not_a_short_read);
	tcase_add_test(tests, a_model_still_reads_after_the_caller_closes_the_directory);
	if (tests_fork())
		tcase_add_test(tests, without_openat2_the_refusal_says_what_is_missing);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

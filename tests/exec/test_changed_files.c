/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_changed_files.c - weights that are written while an engine loads them
 *
 * The engine's reads of its weights come through the pread below, which writes
 * the file right after it was read: always between the open and the check. Large
 * ones come through a ring, and change when the load tells that some have arrived.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exec/engine.h"
#include "tests/model/onnx_writer.h"
#include "tests/model/scratch.h"
#include "tests/suite.h"

#define WIDTH 16

static const float weights[WIDTH] = {1, 2, 3, 4};
static const float fresh[WIDTH] = {10, 20, 30, 40};

static int directory_fd; /* of the model */
static int changes_left;

static void weights_change(const void *bytes)
{
	int fd = openat(directory_fd, "model.bin", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, sizeof(weights)), sizeof(weights));
	(void)close(fd);
}

static bool is_weights(int fd)
{
	char link[32], path[512];
	ssize_t bytes;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	bytes = readlink(link, path, sizeof(path));
	return bytes > 9 && memcmp(path + bytes - 9, "model.bin", 9) == 0;
}

/* Stands before the C library's. */
ssize_t pread(int fd, void *bytes, size_t count, off_t offset)
{
	ssize_t got = syscall(SYS_pread64, fd, bytes, count, offset);

	if (changes_left > 0 && is_weights(fd)) {
		changes_left--;
		weights_change(fresh);
	}
	return got;
}

/* y = x + w, or y = x * W: weights as they are, and packed ones. */
static void model_make(bool packed)
{
	struct onnx_writer *writer = onnx_writer_new(17);

	onnx_writer_input(writer, "x", DTYPE_F32, packed ? "batch,4" : "batch,16");
	onnx_writer_external(writer, "w", DTYPE_F32, packed ? "4,4" : "16", weights,
			     sizeof(weights), "model.bin", 64);
	onnx_writer_node(writer, packed ? "MatMul" : "Add", "x,w", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	directory_fd = scratch_open(scratch_directory());
	ck_assert_int_eq(onnx_writer_save_at(writer, directory_fd), 0);
	onnx_writer_free(writer);
}

/* _i: packed? */
START_TEST(weights_that_change_once_are_read_again)
{
	const struct engine_options options = {.node = -1, .rows_max = 4};
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {1};
	float x[WIDTH] __attribute__((aligned(64))) = {_i ? 1 : 0};
	float y[WIDTH] __attribute__((aligned(64)));
	const void *inputs[] = {x};
	void *outputs[] = {y};
	struct row_status status = {0};
	struct engine *engine = NULL;

	model_make(_i);
	changes_left = 1;
	ck_assert_int_eq(engine_new(directory_fd, "model", &options, &engine), 0);
	ck_assert_int_eq(changes_left, 0);
	engine_run(engine, symbols, inputs, outputs, &status);
	ck_assert_int_eq(memcmp(y, fresh, 4 * sizeof(float)), 0);
	engine_free(engine);
	(void)close(directory_fd);
}
END_TEST

START_TEST(weights_that_change_twice_are_refused_as_stale)
{
	const struct engine_options options = {.node = -1, .rows_max = 4};
	struct engine *engine = NULL;

	model_make(_i);
	changes_left = 2;
	ck_assert_int_eq(engine_new(directory_fd, "model", &options, &engine), -ESTALE);
	ck_assert_ptr_null(engine);
	ck_assert_int_eq(changes_left, 0);
	ck_assert_ptr_nonnull(strstr(err_message(), "changed while they were read, twice"));
	(void)close(directory_fd);
}
END_TEST

/* --- large weights ------------------------------------------------------------------------------- */

#define LARGE (3 << 20) /* more than one read at a time */

struct meddler {
	int cut_to; /* 0: a byte is written, and the length stays */
	int changes_left;
};

static void meddle(void *context, uint64_t arrived_bytes, uint64_t total_bytes)
{
	struct meddler *meddler = context;
	int fd;

	(void)arrived_bytes, (void)total_bytes;
	if (meddler->changes_left == 0)
		return;
	meddler->changes_left--;
	fd = openat(directory_fd, "model.bin", O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	if (meddler->cut_to > 0)
		ck_assert_int_eq(ftruncate(fd, meddler->cut_to), 0);
	else
		ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
	close(fd);
}

static int large_load(struct meddler *meddler)
{
	static float w[LARGE];
	const struct engine_options options = {
		.node = -1, .rows_max = 4, .progress = meddle, .progress_context = meddler,
	};
	struct onnx_writer *writer = onnx_writer_new(17);
	struct engine *engine = NULL;
	int r;

	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_external(writer, "w", DTYPE_F32, "65536,48", w, sizeof(w), "model.bin", 64);
	onnx_writer_node(writer, "Gather", "w,ids", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	directory_fd = scratch_open(scratch_directory());
	ck_assert_int_eq(onnx_writer_save_at(writer, directory_fd), 0);
	onnx_writer_free(writer);
	r = engine_new(directory_fd, "model", &options, &engine);
	engine_free(engine);
	(void)close(directory_fd);
	return r;
}

START_TEST(large_weights_that_change_on_their_way_are_read_again)
{
	ck_assert_int_eq(large_load(&(struct meddler){ .changes_left = 1 }), 0);
}
END_TEST

START_TEST(large_weights_that_go_on_changing_are_refused_as_stale)
{
	ck_assert_int_eq(large_load(&(struct meddler){ .changes_left = 1000 }), -ESTALE);
	ck_assert_ptr_nonnull(strstr(err_message(), "changed while they were read, twice"));
}
END_TEST

/* Some of the lost part may be on its way already: then the change is noticed, and the model that is
 * read again has too short a file. */
START_TEST(large_weights_that_are_cut_short_on_their_way_are_refused)
{
	struct meddler meddler = { .cut_to = 4096, .changes_left = 1 };

	ck_assert_int_lt(large_load(&meddler), 0);
	ck_assert_msg(strstr(err_message(), "model.bin"), "%s", err_message());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("changed files");
	TCase *tests = tcase_create("changed files");

	tcase_add_unchecked_fixture(tests, scratch_begin, scratch_end);
	tcase_add_loop_test(tests, weights_that_change_once_are_read_again, 0, 2);
	tcase_add_loop_test(tests, weights_that_change_twice_are_refused_as_stale, 0, 2);
	tcase_add_test(tests, large_weights_that_change_on_their_way_are_read_again);
	tcase_add_test(tests, large_weights_that_go_on_changing_are_refused_as_stale);
	tcase_add_test(tests, large_weights_that_are_cut_short_on_their_way_are_refused);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

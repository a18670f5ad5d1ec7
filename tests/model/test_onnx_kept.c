/* SPDX-License-Identifier: MIT */
/*
 * tests/model/test_onnx_kept.c - a model is opened again when its files are gone
 *
 * The peer is the model as onnx_open read it.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/sealed.h"
#include "model/onnx_parts.h"
#include "onnx_writer.h"
#include "scratch.h"
#include "tests/suite.h"

#define LARGE_BYTES 70001
#define UINT8 2

static uint8_t large[LARGE_BYTES];
static const float small[4] = { 1, 2, 3, 4 };
static const float beside[2] = { 5, 6 };

/* large, small, outside: a large and a small initializer, and a small one in a file of its own. */
static void model_write(int directory_fd)
{
	struct onnx_writer *writer = onnx_writer_new(17);

	for (uint32_t at = 0; at < LARGE_BYTES; at++)
		large[at] = (uint8_t)(at * 41 >> 3);
	onnx_writer_input(writer, "x", DTYPE_F32, "n,4");
	onnx_writer_tensor(writer, "large", UINT8, "70001", large, LARGE_BYTES);
	onnx_writer_tensor(writer, "small", DTYPE_F32, "4", small, sizeof(small));
	onnx_writer_external(writer, "outside", DTYPE_F32, "2", beside, sizeof(beside), "beside.bin",
			     64);
	onnx_writer_node(writer, "Add", "x,small", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "n,4");
	ck_assert_int_eq(onnx_writer_save_at(writer, directory_fd), 0);
	onnx_writer_free(writer);
}

/* Keeps it after what is read of `outside`, or of the large one, and removes the files. */
static int keep(bool reads_outside, bool reads_large, int *ret_fd)
{
	int fd = scratch_open(scratch_directory());
	struct onnx_model *model = NULL;
	uint8_t copy[LARGE_BYTES];
	int r;

	model_write(fd);
	ck_assert_int_eq(onnx_open(fd, "kept/1", &model), 0);
	if (reads_outside)
		ck_assert_int_eq(onnx_read(model, &model->tensors[2], copy), 0);
	if (reads_large)
		ck_assert_int_eq(onnx_read(model, &model->tensors[0], copy), 0);
	r = onnx_keep(model, ret_fd);
	ck_assert_int_eq(onnx_read(model, &model->tensors[0], copy), 0);
	onnx_close(model);
	ck_assert_int_eq(unlinkat(fd, "model.onnx", 0), 0);
	ck_assert_int_eq(unlinkat(fd, "beside.bin", 0), 0);
	close(fd);
	return r;
}

START_TEST(a_kept_model_has_its_graph_and_what_was_read_before)
{
	struct onnx_model *model = NULL;
	float copy[4];
	int fd = -1;

	ck_assert_int_eq(keep(true, false, &fd), 0);
	ck_assert_int_eq(onnx_open_kept(fd, "kept/1", &model), 0);
	close(fd);
	ck_assert_uint_eq(model->node_count, 1);
	ck_assert_str_eq(model->nodes[0].op_type, "Add");
	ck_assert_uint_eq(model->tensor_count, 3);
	ck_assert_str_eq(model->tensors[0].name, "large");
	ck_assert_int_eq(model->tensors[0].source, ONNX_EXTERNAL);
	ck_assert_uint_eq(model->tensors[0].bytes, LARGE_BYTES);
	ck_assert_int_eq(onnx_read(model, &model->tensors[1], copy), 0);
	ck_assert_mem_eq(copy, small, sizeof(small));
	ck_assert_int_eq(onnx_read(model, &model->tensors[2], copy), 0);
	ck_assert_mem_eq(copy, beside, sizeof(beside));
	ck_assert_int_eq(onnx_verify(model), 0);
	onnx_close(model);
}
END_TEST

START_TEST(what_was_not_read_before_is_refused_by_name)
{
	struct onnx_model *model = NULL;
	uint8_t copy[LARGE_BYTES];
	uint64_t offset;
	int fd = -1;
	int file, direct;

	ck_assert_int_eq(keep(false, false, &fd), 0);
	ck_assert_int_eq(onnx_open_kept(fd, "kept/1", &model), 0);
	close(fd);
	ck_assert_int_eq(onnx_read(model, &model->tensors[2], copy), -ENODATA);
	ck_assert_msg(strstr(err_message(), "'outside'") != NULL, "%s", err_message());
	ck_assert_int_eq(onnx_read(model, &model->tensors[0], copy), -ENODATA);
	ck_assert_int_eq(onnx_tensor_open(model, &model->tensors[0], &file, &direct, &offset),
			 -ENODATA);
	onnx_close(model);
}
END_TEST

START_TEST(a_model_whose_graph_wants_a_large_tensor_is_not_kept)
{
	int fd = -1;

	ck_assert_int_eq(keep(false, true, &fd), ONNX_E_UNKEPT);
	ck_assert_int_eq(fd, -1);
}
END_TEST

START_TEST(a_kept_model_can_be_written_by_nobody)
{
	int fd = -1;

	ck_assert_int_eq(keep(true, false, &fd), 0);
	ck_assert_int_eq(write(fd, "x", 1), -1);
	ck_assert_int_eq(ftruncate(fd, 8), -1);
	ck_assert_ptr_eq(mmap(NULL, 8, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	close(fd);
}
END_TEST

START_TEST(an_unsealed_one_is_refused)
{
	struct onnx_model *model = NULL;
	int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(write(fd, "x", 1), 1);
	ck_assert_int_eq(onnx_open_kept(fd, "kept/1", &model), -EINVAL);
	ck_assert_msg(strstr(err_message(), "not sealed") != NULL, "%s", err_message());
	close(fd);
	ck_assert_int_eq(onnx_open_kept(-1, "kept/1", &model), -EINVAL);
}
END_TEST

/* Whatever is in it, nothing outside it is read, and what is opened can be read and closed. */
START_TEST(one_that_is_cut_or_changed_anywhere_is_opened_or_refused)
{
	const void *bytes = NULL;
	uint64_t byte_count = 0;
	uint8_t *copy;
	int fd = -1;

	ck_assert_int_eq(keep(true, false, &fd), 0);
	ck_assert_int_eq(sealed_map(fd, "kept", &bytes, &byte_count), 0);
	for (uint64_t at = 0; at < byte_count; at++) {
		for (int is_cut = 0; is_cut < 2; is_cut++) {
			struct onnx_model *model = NULL;
			uint64_t length = is_cut ? at : byte_count;
			int changed = -1;
			int r;

			if (length == 0)
				continue;
			copy = malloc(length);
			memcpy(copy, bytes, length);
			if (!is_cut)
				copy[at] ^= (uint8_t)(1u << at % 8);
			ck_assert_int_eq(sealed_new("changed", copy, length, &changed), 0);
			free(copy);
			r = onnx_open_kept(changed, "kept/1", &model);
			ck_assert(r < 0 || !is_cut);
			onnx_close(r < 0 ? NULL : model);
			close(changed);
		}
	}
	sealed_unmap(bytes, byte_count);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("onnx_kept");
	TCase *tests = tcase_create("kept");

	tcase_set_timeout(tests, 60);
	tcase_add_unchecked_fixture(tests, scratch_begin, scratch_end);
	tcase_add_test(tests, a_kept_model_has_its_graph_and_what_was_read_before);
	tcase_add_test(tests, what_was_not_read_before_is_refused_by_name);
	tcase_add_test(tests, a_model_whose_graph_wants_a_large_tensor_is_not_kept);
	tcase_add_test(tests, a_kept_model_can_be_written_by_nobody);
	tcase_add_test(tests, an_unsealed_one_is_refused);
	tcase_add_test(tests, one_that_is_cut_or_changed_anywhere_is_opened_or_refused);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/model/test_onnx_thin.c - large initializers stay in model.onnx, and nobody can tell
 *
 * The peer of each case is onnx_parse on the same bytes, which knows of no file: the same result,
 * the same sentence, the same tensors.
 */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/onnx_parts.h"
#include "onnx_writer.h"
#include "scratch.h"
#include "tests/suite.h"

#define LARGE_BYTES 70001
#define FLIPPED_BYTES 160 /* at each end of the file */
#define UINT8 2

static uint8_t large[LARGE_BYTES];

/* Two large initializers, a small one between them, and a large constant of a node. */
static struct onnx_writer *writer_make(const char *shape)
{
	struct onnx_writer *writer = onnx_writer_new(17);
	const float small[4] = {1, 2, 3, 4};

	for (uint32_t at = 0; at < LARGE_BYTES; at++)
		large[at] = (uint8_t)(at * 37 >> 2);
	onnx_writer_input(writer, "x", DTYPE_F32, "n,4");
	onnx_writer_tensor(writer, "first", UINT8, shape, large, LARGE_BYTES);
	onnx_writer_tensor(writer, "small", DTYPE_F32, "4", small, sizeof(small));
	onnx_writer_tensor(writer, "second", UINT8, "70000", large + 1, LARGE_BYTES - 1);
	onnx_writer_constant(writer, "c", UINT8, "70001", large, LARGE_BYTES);
	onnx_writer_node(writer, "Add", "x,small", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "n,4");
	return writer;
}

static uint8_t *bytes_make(const char *shape, size_t *ret_bytes)
{
	struct onnx_writer *writer = writer_make(shape);
	uint8_t *bytes = onnx_writer_pack(writer, ret_bytes);

	onnx_writer_free(writer);
	return bytes;
}

static void tensors_compare(const struct onnx_model *model, const struct onnx_model *peer)
{
	ck_assert_uint_eq(model->tensor_count, peer->tensor_count);
	for (uint32_t index = 0; index < model->tensor_count; index++) {
		const struct onnx_tensor *tensor = &model->tensors[index];
		uint8_t *copy = malloc(tensor->bytes + 1);

		ck_assert_str_eq(tensor->name, peer->tensors[index].name);
		ck_assert_uint_eq(tensor->bytes, peer->tensors[index].bytes);
		ck_assert_int_eq(onnx_read(model, tensor, copy), 0);
		ck_assert_msg(memcmp(copy, peer->tensors[index].data, tensor->bytes) == 0,
			      "%s differs", tensor->name);
		free(copy);
	}
}

/* As a file, and as bytes. Both have the same fate. */
static void fates_compare(int directory_fd, const uint8_t *bytes, size_t byte_count)
{
	struct onnx_model *model = NULL;
	struct onnx_model *peer = NULL;
	char sentence[1024];
	int wanted = onnx_parse(directory_fd, "thin/1", bytes, byte_count, &peer);
	int r;

	snprintf(sentence, sizeof(sentence), "%s", wanted < 0 ? err_message() : "");
	scratch_write(directory_fd, "model.onnx", bytes, byte_count);
	r = onnx_open(directory_fd, "thin/1", &model);
	ck_assert_msg(r == wanted, "%d instead of %d: \"%s\" instead of \"%s\"", r, wanted,
		      r < 0 ? err_message() : "", sentence);
	if (r < 0)
		ck_assert_str_eq(err_message(), sentence);
	else
		tensors_compare(model, peer);
	onnx_close(model);
	onnx_close(peer);
}

START_TEST(large_initializers_are_left_in_the_file_and_small_ones_are_not)
{
	struct onnx_writer *writer = writer_make("70001");
	int fd = scratch_open(scratch_directory());
	struct onnx_model *model = NULL;
	const struct onnx_tensor *constant;
	uint8_t copy[LARGE_BYTES];

	ck_assert_int_eq(onnx_writer_save_at(writer, fd), 0);
	onnx_writer_free(writer);
	ck_assert_int_eq(onnx_open(fd, "thin/1", &model), 0);
	ck_assert_int_eq(model->tensors[0].source, ONNX_EXTERNAL);
	ck_assert_uint_eq(model->tensors[0].file_index, 0);
	ck_assert_int_eq(model->tensors[1].source, ONNX_INLINE);
	ck_assert_int_eq(model->tensors[2].source, ONNX_EXTERNAL);
	ck_assert_int_eq(onnx_read(model, &model->tensors[0], copy), 0);
	ck_assert_int_eq(memcmp(copy, large, LARGE_BYTES), 0);
	ck_assert_int_eq(onnx_read(model, &model->tensors[2], copy), 0);
	ck_assert_int_eq(memcmp(copy, large + 1, LARGE_BYTES - 1), 0);
	constant = model->nodes[0].attributes[0].tensor;
	ck_assert_ptr_nonnull(constant);
	ck_assert_int_eq(constant->source, ONNX_INLINE);
	ck_assert_int_eq(memcmp(constant->data, large, LARGE_BYTES), 0);
	ck_assert_int_eq(onnx_verify(model), 0);
	onnx_close(model);
	close(fd);
}
END_TEST

START_TEST(bytes_that_the_dims_do_not_ask_for_are_refused)
{
	int fd = scratch_open(scratch_directory());
	size_t byte_count;
	uint8_t *bytes = bytes_make("70002", &byte_count);

	fates_compare(fd, bytes, byte_count);
	ck_assert_msg(strstr(err_message(), "ask for 70002 bytes and 70001 are there"), "%s",
		      err_message());
	free(bytes);
	close(fd);
}
END_TEST

START_TEST(a_file_that_is_cut_anywhere_has_the_same_fate_as_its_bytes)
{
	int fd = scratch_open(scratch_directory());
	size_t byte_count;
	uint8_t *bytes = bytes_make("70001", &byte_count);

	for (size_t cut = ONNX_LEFT_BYTES_MIN; cut < byte_count; cut += 5003)
		fates_compare(fd, bytes, cut);
	fates_compare(fd, bytes, byte_count - 1);
	fates_compare(fd, bytes, byte_count);
	free(bytes);
	close(fd);
}
END_TEST

/* _i: of the first bytes or of the last. */
START_TEST(a_file_with_any_byte_changed_has_the_same_fate_as_its_bytes)
{
	int fd = scratch_open(scratch_directory());
	size_t byte_count;
	uint8_t *bytes = bytes_make("70001", &byte_count);

	for (size_t index = 0; index < FLIPPED_BYTES; index++) {
		size_t at = _i ? byte_count - 1 - index : index;
		uint8_t before = bytes[at];

		bytes[at] = (uint8_t)(before ^ (1u << (index % 8)));
		fates_compare(fd, bytes, byte_count);
		bytes[at] = before;
	}
	free(bytes);
	close(fd);
}
END_TEST

/* What protobuf merges and the loader refuses: the reader that thins must not hide it. */
START_TEST(a_graph_or_a_tensor_written_twice_has_the_same_fate_as_its_bytes)
{
	int fd = scratch_open(scratch_directory());
	size_t byte_count;
	uint8_t *bytes = bytes_make("70001", &byte_count);
	uint8_t *twice = malloc(2 * byte_count);

	memcpy(twice, bytes, byte_count);
	memcpy(twice + byte_count, bytes, byte_count);
	fates_compare(fd, twice, 2 * byte_count);
	free(twice);
	free(bytes);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("onnx_thin");
	TCase *tests = tcase_create("thin");

	tcase_set_timeout(tests, 60);
	tcase_add_unchecked_fixture(tests, scratch_begin, scratch_end);
	tcase_add_test(tests, large_initializers_are_left_in_the_file_and_small_ones_are_not);
	tcase_add_test(tests, bytes_that_the_dims_do_not_ask_for_are_refused);
	tcase_add_test(tests, a_file_that_is_cut_anywhere_has_the_same_fate_as_its_bytes);
	tcase_add_loop_test(tests, a_file_with_any_byte_changed_has_the_same_fate_as_its_bytes, 0,
			    2);
	tcase_add_test(tests, a_graph_or_a_tensor_written_twice_has_the_same_fate_as_its_bytes);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

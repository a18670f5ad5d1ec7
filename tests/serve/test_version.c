/* SPDX-License-Identifier: MIT */
/* tests/serve/test_version.c - what a loaded version promises to admission */
#include <check.h>
#include <string.h>
#include <unistd.h>

#include "serve/version.h"
#include "shm/layout.h"
#include "tests/exec/jagged_model.h"
#include "tests/model/onnx_writer.h"
#include "tests/model/scratch.h"
#include "tests/suite.h"

/* y = relu(x) and, with a second shape, z = relu(b). */
static struct onnx_writer *relu(const char *shape, const char *second)
{
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "x", DTYPE_F32, shape);
	onnx_writer_node(writer, "Relu", "x", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, shape);
	if (second) {
		onnx_writer_input(writer, "b", DTYPE_F32, second);
		onnx_writer_node(writer, "Relu", "b", "z");
		onnx_writer_output(writer, "z", DTYPE_F32, second);
	}
	return writer;
}

static int load(struct onnx_writer *writer, struct version **ret_version)
{
	struct engine_options options = {
		.rows_max = 64,
		.activation_bytes_max = 1 << 20,
		.node = -1,
	};
	int directory;
	int r;

	scratch_begin();
	directory = scratch_open(scratch_directory());
	ck_assert_int_eq(onnx_writer_save_at(writer, directory), 0);
	onnx_writer_free(writer);
	r = version_new(directory, "model", 3, 1, &options, ret_version);
	close(directory);
	scratch_end();
	return r;
}

START_TEST(rows_that_are_independent_share_batches)
{
	struct version *version;

	ck_assert_int_eq(load(relu("batch,5", NULL), &version), 0);
	ck_assert(version->is_row_wise);
	ck_assert_uint_eq(version->rows_max, 64);
	ck_assert_uint_eq(version->input_part_bytes[0], 20);
	ck_assert_uint_eq(version->output_bytes_per_row[0], 20);
	version_free(version);
}
END_TEST

START_TEST(any_number_of_rows_has_a_size_and_too_many_do_not_fit)
{
	static const int64_t rows[] = { 0, 1, 63, 64, 65, UINT32_MAX, INT64_MAX / 20, INT64_MAX };
	struct version *version;
	uint32_t index;

	ck_assert_int_eq(load(relu("batch,5", NULL), &version), 0);
	for (index = 0; index < sizeof(rows) / sizeof(rows[0]); index++) {
		int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { rows[index] };
		uint64_t bytes = rows[index] == INT64_MAX ? UINT64_MAX : (uint64_t)rows[index] * 20;

		ck_assert_uint_eq(version_input_bytes(version, 0, symbols), bytes);
		ck_assert_uint_eq(version_output_bytes(version, 0, symbols), bytes);
		ck_assert(version_fits(version, symbols) == (rows[index] <= 64));
	}
	version_free(version);
}
END_TEST

START_TEST(a_second_free_size_makes_requests_run_alone)
{
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { 3, 7 };
	struct version *version;

	ck_assert_int_eq(load(relu("batch,5", "values"), &version), 0);
	ck_assert(!version->is_row_wise);
	ck_assert(engine_fits(version->engine, symbols));
	ck_assert_uint_eq(version_input_bytes(version, 0, symbols), 3 * 5 * 4);
	ck_assert_uint_eq(version_input_bytes(version, 1, symbols), 7 * 4);
	version_free(version);
}
END_TEST

START_TEST(values_and_offsets_are_joined_each_by_what_counts_them)
{
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { 3, 7, 0 };
	struct version *version;

	ck_assert_int_eq(load(jagged_model(JAGGED_BESIDE), &version), 0);
	ck_assert(version->is_row_wise);
	ck_assert(version->has_offsets);
	ck_assert_uint_eq(version->rows_max, 64);
	ck_assert_int_eq(version->input_symbols[JAGGED_IDS], JAGGED_VALUES);
	ck_assert_int_eq(version->input_symbols[JAGGED_OFFSETS], JAGGED_ROWS);
	ck_assert_int_eq(version->input_symbols[JAGGED_WEIGHTS], JAGGED_MORE);
	ck_assert_int_eq(version->input_symbols[JAGGED_USER], version->signature->request_symbol);
	ck_assert_uint_eq(version_input_bytes(version, JAGGED_IDS, symbols), 7 * 8);
	ck_assert_uint_eq(version_input_bytes(version, JAGGED_STARTS, symbols), 3 * 4);
	ck_assert_uint_eq(version_input_bytes(version, JAGGED_OTHERS, symbols), 0);
	ck_assert_uint_eq(version_input_bytes(version, JAGGED_USER, symbols), LOOP_DIM * 4);
	version_free(version);
}
END_TEST

/* One more offset than rows, and the largest batch has room for it. */
START_TEST(a_last_offset_is_staged_once)
{
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { 7, 3 };
	struct version *version;

	ck_assert_int_eq(load(jagged_model(JAGGED_LAST), &version), 0);
	ck_assert_int_eq(version->signature->row_symbol, 1);
	ck_assert_uint_eq(version_input_bytes(version, 1, symbols), 4 * 8);
	ck_assert_uint_eq(version->input_part_bytes[1], 8);
	ck_assert_uint_eq(version->input_bytes_max[1], 65 * 8);
	symbols[1] = 64;
	ck_assert(version_fits(version, symbols));
	symbols[1] = 65;
	ck_assert(!version_fits(version, symbols));
	version_free(version);
}
END_TEST

START_TEST(the_response_range_holds_the_table_and_aligned_outputs)
{
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { 3, 7 };
	struct version *version;

	ck_assert_int_eq(load(relu("batch,5", "values"), &version), 0);
	/* 64 of header and 2 * 28 of table, up to 128; 60 bytes, up to 192; 28 bytes */
	ck_assert_uint_eq(version_response_bytes(version, symbols), 192 + 28);
	version_free(version);
}
END_TEST

START_TEST(staging_has_room_for_the_largest_batch_and_is_aligned)
{
	struct version *version;

	ck_assert_int_eq(load(relu("batch,5", "values"), &version), 0);
	for (uint32_t index = 0; index < 2; index++) {
		ck_assert_uint_eq((uintptr_t)version->stage->inputs[index] % HEARTH_ALIGN_BYTES, 0);
		ck_assert_uint_eq((uintptr_t)version->stage->outputs[index] % HEARTH_ALIGN_BYTES, 0);
	}
	ck_assert_uint_ge((uint64_t)(version->stage->inputs[1] - version->stage->inputs[0]), 64 * 5 * 4);
	version_free(version);
}
END_TEST

START_TEST(five_dimensions_do_not_cross_the_rings)
{
	struct version *version = NULL;

	ck_assert_int_lt(load(relu("batch,1,1,1,4", NULL), &version), 0);
	ck_assert_ptr_null(version);
	ck_assert_msg(strstr(err_message(), "'x' has 5 dimensions"), "%s", err_message());
	ck_assert_msg(strstr(err_message(), "model@3"), "%s", err_message());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("version");
	TCase *cases = tcase_create("version");

	tcase_add_test(cases, rows_that_are_independent_share_batches);
	tcase_add_test(cases, any_number_of_rows_has_a_size_and_too_many_do_not_fit);
	tcase_add_test(cases, a_second_free_size_makes_requests_run_alone);
	tcase_add_test(cases, values_and_offsets_are_joined_each_by_what_counts_them);
	tcase_add_test(cases, a_last_offset_is_staged_once);
	tcase_add_test(cases, the_response_range_holds_the_table_and_aligned_outputs);
	tcase_add_test(cases, staging_has_room_for_the_largest_batch_and_is_aligned);
	tcase_add_test(cases, five_dimensions_do_not_cross_the_rings);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}

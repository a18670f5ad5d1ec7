/* SPDX-License-Identifier: MIT */
/* tests/serve/test_rehearsal.c - a version takes requests from nobody, and starts from zero */
#include "serve/rehearsal.h"

#include <check.h>
#include <unistd.h>

#include "tests/exec/cold_model.h"
#include "tests/exec/jagged_model.h"
#include "tests/exec/user_model.h"
#include "tests/model/scratch.h"
#include "tests/suite.h"

#define RUNS_MAX 8

static struct rehearsal *rehearsal;

static struct version *load(struct onnx_writer *writer, uint32_t rows_max)
{
	struct engine_options options = {
		.rows_max = rows_max,
		.activation_bytes_max = 64 << 20,
		.node = -1,
	};
	struct version *version = NULL;
	int directory;

	scratch_begin();
	directory = scratch_open(scratch_directory());
	ck_assert_int_eq(onnx_writer_save_at(writer, directory), 0);
	onnx_writer_free(writer);
	ck_assert_msg(version_new(directory, "model", 3, 1, &options, &version) == 0, "%s",
		      err_message());
	close(directory);
	scratch_end();
	return version;
}

static struct onnx_writer *relu(const char *shape)
{
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "x", DTYPE_F32, shape);
	onnx_writer_node(writer, "Relu", "x", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, shape);
	return writer;
}

static void check_untouched(const struct version *version)
{
	const struct batch *batch = &version->stage->batch;

	ck_assert_uint_eq(counter_read(&version->counters.requests), 0);
	ck_assert_uint_eq(counter_read(&version->counters.rows), 0);
	ck_assert_uint_eq(counter_read(&version->counters.batches), 0);
	ck_assert_uint_eq(counter_read(&version->counters.answered), 0);
	for (enum reason reason = 0; reason < REASON_REQUESTS; reason++)
		ck_assert_uint_eq(counter_read(&version->counters.refused[reason]), 0);
	ck_assert_uint_eq(histogram_count(&version->counters.batch_rows), 0);
	for (enum request_time time = 0; time < TIME_COUNT; time++)
		ck_assert_uint_eq(histogram_count(&version->counters.times[time]), 0);
	ck_assert_uint_eq(version->references, 0);
	ck_assert_uint_eq(version->row_ns, 0);
	ck_assert(!version->is_forming);
	ck_assert_ptr_null(batch->first);
	ck_assert_uint_eq(batch->rows, 0);
}

static void setup(void)
{
	ck_assert_int_eq(rehearsal_new(&rehearsal), 0);
}

static void teardown(void)
{
	rehearsal_free(rehearsal);
}

START_TEST(requests_of_a_new_version_are_answered_and_not_counted)
{
	struct onnx_writer *const writers[] = {
		relu("batch,5"),
		relu("2,5"),
		cold_model(),
		user_model(),
		jagged_model(JAGGED_BESIDE),
		jagged_model(JAGGED_LAST),
		jagged_model(JAGGED_MANY),
	};
	size_t count = sizeof(writers) / sizeof(writers[0]);
	size_t index;

	for (index = 0; index < count; index++) {
		struct version *version = load(writers[index], 64);
		uint64_t answered = rehearsal_run(rehearsal, version);

		ck_assert_msg(answered >= 1 && answered <= RUNS_MAX, "model %zu: %lu answered",
			      index, (unsigned long)answered);
		check_untouched(version);
		version_free(version);
	}
}
END_TEST

START_TEST(a_version_is_gone_when_its_rehearsal_ends)
{
	struct version *version = load(relu("batch,5"), 64);

	ck_assert_uint_ge(rehearsal_run(rehearsal, version), 1);
	version_free(version);
	version = load(relu("batch,7"), 64);
	ck_assert_uint_ge(rehearsal_run(rehearsal, version), 1);
	version_free(version);
}
END_TEST

START_TEST(a_row_that_is_too_long_is_not_rehearsed)
{
	struct version *version = load(relu("batch,16384"), 4);

	ck_assert_uint_eq(rehearsal_run(rehearsal, version), 0);
	check_untouched(version);
	version_free(version);
}
END_TEST

START_TEST(a_refused_rehearsal_leaves_nothing_behind)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	struct version *version;

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,8180");
	onnx_writer_node(writer, "Concat", "x,x", "y");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,16360"); /* does not fit its area */
	version = load(writer, 4);
	ck_assert_uint_eq(rehearsal_run(rehearsal, version), 0);
	check_untouched(version);
	version_free(version);
}
END_TEST

/* The model makes an id of each number, and that of zero is outside its table. */
START_TEST(a_rehearsal_that_fails_is_not_counted)
{
	static const float table[4 * 8];
	static const int64_t beyond = 4;
	struct onnx_writer *writer = onnx_writer_new(13);
	struct version *version;

	onnx_writer_input(writer, "number", DTYPE_I64, "batch");
	onnx_writer_tensor(writer, "beyond", DTYPE_I64, "1", &beyond, sizeof(beyond));
	onnx_writer_tensor(writer, "table", DTYPE_F32, "4,8", table, sizeof(table));
	onnx_writer_node(writer, "Add", "number,beyond", "id");
	onnx_writer_node(writer, "Gather", "table,id", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,8");
	version = load(writer, 4);
	ck_assert_uint_eq(rehearsal_run(rehearsal, version), 0);
	check_untouched(version);
	version_free(version);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rehearsal");
	TCase *cases = tcase_create("rehearsal");

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, requests_of_a_new_version_are_answered_and_not_counted);
	tcase_add_test(cases, a_version_is_gone_when_its_rehearsal_ends);
	tcase_add_test(cases, a_row_that_is_too_long_is_not_rehearsed);
	tcase_add_test(cases, a_refused_rehearsal_leaves_nothing_behind);
	tcase_add_test(cases, a_rehearsal_that_fails_is_not_counted);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}

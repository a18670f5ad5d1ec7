/* SPDX-License-Identifier: MIT */
/* tests/exec/test_tables.c - ids outside their table, bags, several outputs, and who is told */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/exec/engine_fixture.h"
#include "tests/exec/bag_model.h"
#include "tests/suite.h"

#define ROWS BAG_ROWS
#define DIM BAG_DIM
#define POSITIONS BAG_POSITIONS

static const float table[ROWS * DIM] = {1, 2, 3, 4, 5, 6, 7, 8};

/* Two tables gathered by two columns of `ids` [batch, 2] and one by `more` [batch]. */
static struct onnx_writer *put_three_tables(int32_t ids_dtype)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	int64_t columns[] = {0, -1};

	onnx_writer_input(writer, "ids", ids_dtype, "batch,2");
	onnx_writer_input(writer, "more", ids_dtype, "batch");
	onnx_writer_tensor(writer, "a", DTYPE_F32, "4,2", table, sizeof(table));
	onnx_writer_tensor(writer, "b", DTYPE_F32, "4,2", table, sizeof(table));
	onnx_writer_tensor(writer, "c", DTYPE_F32, "4,2", table, sizeof(table));
	onnx_writer_constant(writer, "first", DTYPE_I64, "", &columns[0], sizeof(int64_t));
	onnx_writer_constant(writer, "last", DTYPE_I64, "", &columns[1], sizeof(int64_t));
	onnx_writer_node(writer, "Gather", "ids,first", "ids0");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "Gather", "ids,last", "ids1");
	onnx_writer_int(writer, "axis", -1);
	onnx_writer_node(writer, "Gather", "a,ids0", "ea");
	onnx_writer_node(writer, "Gather", "b,ids1", "eb");
	onnx_writer_node(writer, "Gather", "c,more", "ec");
	onnx_writer_node(writer, "Concat", "ea,eb,ec", "y");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,6");
	return writer;
}

static struct engine *engine_with(const struct table_policy *policies, uint32_t count,
				  int32_t ids_dtype)
{
	struct engine_options options = {
		.rows_max = 8,
		.node = -1,
		.policies = policies,
		.policy_count = count,
	};

	return fixture_engine(put_three_tables(ids_dtype), &options);
}

static void run_three(struct engine *engine, const int64_t ids[6], const int64_t more[3],
		      float y[18], struct row_status status[3])
{
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {3};
	int32_t narrow_ids[6], narrow_more[3];
	const void *inputs[] = {ids, more};
	void *outputs[] = {y};

	for (int item = 0; item < 6; item++)
		narrow_ids[item] = (int32_t)ids[item];
	for (int item = 0; item < 3; item++)
		narrow_more[item] = (int32_t)more[item];
	if (engine_signature(engine)->inputs[0].dtype == DTYPE_I32) {
		inputs[0] = narrow_ids;
		inputs[1] = narrow_more;
	}
	memset(status, 0, 3 * sizeof(*status));
	fixture_run(engine, symbols, inputs, outputs, status);
}

static const int64_t dtypes[] = {DTYPE_I64, DTYPE_I32};

START_TEST(without_a_policy_negative_ids_count_from_the_end_and_others_are_errors)
{
	static const int64_t ids[] = {0, -1, 4, 2, 1, 1};
	static const int64_t more[] = {-4, 3, -5};
	struct engine *engine = engine_with(NULL, 0, (int32_t)dtypes[_i]);
	struct row_status status[3];
	float y[18];

	ck_assert_msg(engine != NULL, "%s", err_message());
	run_three(engine, ids, more, y, status);
	ck_assert_uint_eq(status[0].error, 0);
	ck_assert_float_eq(y[2], 7);
	ck_assert_float_eq(y[4], 1);
	ck_assert_int_eq(engine_error_input(engine, status[1].error), 0);
	ck_assert_float_eq(y[6 + 2], 5);
	ck_assert_int_eq(engine_error_input(engine, status[2].error), 1);
	ck_assert_float_eq(y[12], 3);
	engine_free(engine);
}
END_TEST

START_TEST(each_table_follows_its_own_policy_also_for_minus_one)
{
	static const struct table_policy policies[] = {
		{.table = "*", .missing = MISSING_ZERO},
		{.table = "b", .missing = MISSING_ROW, .missing_row = 2},
		{.table = "c", .missing = MISSING_ERROR},
	};
	static const int64_t ids[] = {-1, -1, 9, 1, 2, INT32_MIN};
	static const int64_t more[] = {0, 3, -1};
	struct engine *engine = engine_with(policies, 3, (int32_t)dtypes[_i]);
	struct row_status status[3];
	float y[18];

	ck_assert_msg(engine != NULL, "%s", err_message());
	run_three(engine, ids, more, y, status);
	ck_assert_float_eq(y[0], 0);
	ck_assert_float_eq(y[2], 5);
	ck_assert_float_eq(y[3], 6);
	ck_assert_uint_eq(status[0].substituted, 2);
	ck_assert_uint_eq(status[0].error, 0);
	ck_assert_float_eq(y[6], 0);
	ck_assert_float_eq(y[8], 3);
	ck_assert_uint_eq(status[1].substituted, 1);
	ck_assert_uint_eq(status[1].error, 0);
	ck_assert_float_eq(y[14], 5);
	ck_assert_uint_eq(status[2].substituted, 1);
	ck_assert_int_eq(engine_error_input(engine, status[2].error), 1);
	engine_free(engine);
}
END_TEST

START_TEST(a_policy_that_fits_no_table_is_refused)
{
	static const struct table_policy unknown = {.table = "d", .missing = MISSING_ZERO};
	static const struct table_policy outside = {
		.table = "a", .missing = MISSING_ROW, .missing_row = ROWS};

	ck_assert_ptr_null(engine_with(&unknown, 1, DTYPE_I64));
	ck_assert_ptr_nonnull(strstr(err_message(), "'d'"));
	ck_assert_ptr_null(engine_with(&outside, 1, DTYPE_I64));
	ck_assert_ptr_nonnull(strstr(err_message(), "outside table 'a'"));
}
END_TEST

static void bag_check(struct engine *engine, int64_t value_count, int64_t row_count, uint32_t *seed)
{
	struct signature_shape shapes[] = {
		{.rank = 1, .dims = {(uint32_t)value_count}},
		{.rank = 1, .dims = {(uint32_t)row_count}},
	};
	int64_t values[POSITIONS], offsets[64];
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];
	float pooled[64 * DIM], lengths[64];
	const void *inputs[] = {values, offsets};
	void *outputs[] = {pooled, lengths};
	struct row_status status[1] = {0};
	uint32_t mismatch;

	fixture_ids(values, value_count, ROWS, seed);
	for (int64_t row = 0; row < row_count; row++)
		offsets[row] = row * value_count / row_count;
	ck_assert_int_eq(signature_solve(engine_signature(engine), shapes, symbols, &mismatch), 0);
	ck_assert(engine_fits(engine, symbols));
	fixture_run(engine, symbols, inputs, outputs, status);
	for (int64_t row = 0; row < row_count; row++) {
		int64_t end = row + 1 < row_count ? offsets[row + 1] : value_count;
		double sums[DIM] = {0};

		for (int64_t value = offsets[row]; value < end; value++)
			for (int index = 0; index < DIM; index++)
				sums[index] += table[values[value] * DIM + index];
		for (int index = 0; index < DIM; index++)
			ck_assert_double_eq_tol(pooled[row * DIM + index], sums[index], 1e-4);
		ck_assert_double_eq_tol(lengths[row], (double)(end - offsets[row]), 1e-5);
	}
	ck_assert_uint_eq(status[0].error, 0);
}

START_TEST(a_bag_of_values_and_offsets_gives_two_outputs)
{
	struct engine_options options = {.rows_max = 32, .node = -1};
	struct engine *engine = fixture_engine(bag_model(table), &options);
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {POSITIONS + 1, 1};
	uint32_t seed = 3;

	ck_assert_msg(engine != NULL, "%s", err_message());
	ck_assert_int_eq(engine_signature(engine)->row_symbol, -1);
	ck_assert_uint_eq(engine_signature(engine)->symbol_count, 2);
	bag_check(engine, 1, 1, &seed);
	bag_check(engine, 0, 1, &seed);
	bag_check(engine, 40, 8, &seed);
	bag_check(engine, 3, 8, &seed);
	bag_check(engine, POSITIONS, 31, &seed);
	/* Slice(arange) cannot give more positions than there are. */
	ck_assert(!engine_fits(engine, symbols));
	symbols[0] = 5;
	symbols[1] = 0;
	ck_assert(!engine_fits(engine, symbols));
	engine_free(engine);
}
END_TEST

START_TEST(an_id_of_an_unbatched_request_is_told_in_row_0)
{
	static const int64_t values[] = {0, 1, 99, 2};
	static const int64_t offsets[] = {0, 2};
	struct engine *engine = fixture_engine(bag_model(table), NULL);
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {4, 2};
	const void *inputs[] = {values, offsets};
	float pooled[4], lengths[2];
	void *outputs[] = {pooled, lengths};
	struct row_status status[1] = {0};

	ck_assert_msg(engine != NULL, "%s", err_message());
	fixture_run(engine, symbols, inputs, outputs, status);
	ck_assert_int_eq(engine_error_input(engine, status[0].error), 0);
	ck_assert_int_eq(engine_error_input(engine, 0), -1);
	ck_assert_int_eq(engine_error_input(engine, 1000), -1);
	engine_free(engine);
}
END_TEST

START_TEST(inputs_constants_and_sizes_can_be_outputs)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	static const float x[] = {1, 2, 3, 4};
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {2};
	float copy[4], twice[8], again[4];
	int64_t shape[2];
	const void *inputs[] = {x};
	void *outputs[] = {copy, twice, shape, again};
	struct row_status status[1] = {0};
	struct engine *engine;

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,2");
	onnx_writer_tensor(writer, "k", DTYPE_F32, "4,2", table, sizeof(table));
	onnx_writer_node(writer, "Identity", "x", "copy");
	onnx_writer_node(writer, "Add", "k,k", "twice");
	onnx_writer_node(writer, "Shape", "x", "shape");
	onnx_writer_node(writer, "Identity", "copy", "again");
	onnx_writer_output(writer, "copy", DTYPE_F32, "batch,2");
	onnx_writer_output(writer, "twice", DTYPE_F32, "4,2");
	onnx_writer_output(writer, "shape", DTYPE_I64, "2");
	onnx_writer_output(writer, "again", DTYPE_F32, "batch,2");
	engine = fixture_engine(writer, NULL);
	ck_assert_msg(engine != NULL, "%s", err_message());
	fixture_run(engine, symbols, inputs, outputs, status);
	ck_assert_int_eq(memcmp(copy, x, sizeof(x)), 0);
	ck_assert_int_eq(memcmp(again, x, sizeof(x)), 0);
	ck_assert_float_eq(twice[7], 16);
	ck_assert_int_eq(shape[0], 2);
	ck_assert_int_eq(shape[1], 2);
	ck_assert_int_eq(engine_signature(engine)->row_symbol, -1);
	engine_free(engine);
}
END_TEST

START_TEST(buckets_stop_where_activations_would_be_too_large)
{
	struct engine_options options = {.rows_max = 4096, .node = -1};
	struct engine *engine;

	options.activation_bytes_max = 64 << 10;
	engine = fixture_engine(bag_model(table), &options);
	ck_assert_msg(engine != NULL, "%s", err_message());
	ck_assert_uint_lt(engine_rows_max(engine), 4096);
	ck_assert_uint_ge(engine_rows_max(engine), 4);
	engine_free(engine);
	options.activation_bytes_max = 64;
	ck_assert_ptr_null(fixture_engine(bag_model(table), &options));
	ck_assert_ptr_nonnull(strstr(err_message(), "bytes of activations"));
}
END_TEST

START_TEST(external_tables_are_read_in_place_and_compute_the_same)
{
	enum { ROWS_LARGE = 3001, WIDTH = 16 };
	struct onnx_writer *writer = onnx_writer_new(17);
	float *rows = malloc(ROWS_LARGE * WIDTH * sizeof(float));
	static const int64_t ids[] = {0, ROWS_LARGE - 1, 1500};
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {3};
	float y[3 * WIDTH], small[WIDTH];
	const void *inputs[] = {ids};
	void *outputs[] = {y};
	struct row_status status[3] = {0};
	struct engine *engine;
	uint32_t seed = 5;

	fixture_floats(rows, ROWS_LARGE * WIDTH, &seed);
	fixture_floats(small, WIDTH, &seed);
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_external(writer, "small", DTYPE_F32, "16", small, sizeof(small), "model.bin",
			     4);
	onnx_writer_external(writer, "table", DTYPE_F32, "3001,16", rows,
			     ROWS_LARGE * WIDTH * sizeof(float), "model.bin", 64);
	onnx_writer_node(writer, "Gather", "table,ids", "e");
	onnx_writer_node(writer, "Mul", "e,small", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,16");
	engine = fixture_engine(writer, NULL);
	ck_assert_msg(engine != NULL, "%s", err_message());
	fixture_run(engine, symbols, inputs, outputs, status);
	for (int row = 0; row < 3; row++)
		for (int index = 0; index < WIDTH; index++)
			ck_assert_float_eq(y[row * WIDTH + index],
					   rows[ids[row] * WIDTH + index] * small[index]);
	engine_free(engine);
	free(rows);
}
END_TEST

/* --- tables of a file that packs its tensors ------------------------------------------------------- */

#define PACKED_ROWS 2048
#define PACKED_DIM 16

/* One float lies before the table in its file, so that its rows straddle cache lines there. */
START_TEST(a_table_packed_behind_another_tensor_lies_at_a_cache_line)
{
	static float packed[PACKED_ROWS * PACKED_DIM], y[3 * PACKED_DIM];
	struct onnx_writer *writer = onnx_writer_new(13);
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {3};
	const int64_t ids[3] = {0, PACKED_ROWS - 1, 77};
	const float before = 1;
	const void *inputs[] = {ids};
	void *outputs[] = {y};
	struct row_status status[3] = {0};
	const char *weights, *found = NULL;
	uint64_t bytes;
	struct engine *engine;
	uint32_t seed = 5;

	fixture_floats(packed, PACKED_ROWS * PACKED_DIM, &seed);
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_external(writer, "before", DTYPE_F32, "1", &before, sizeof(before), "model.bin",
			     4);
	onnx_writer_external(writer, "table", DTYPE_F32, "2048,16", packed, sizeof(packed),
			     "model.bin", 4);
	onnx_writer_node(writer, "Gather", "table,ids", "rows");
	onnx_writer_node(writer, "Mul", "rows,before", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,16");
	engine = fixture_engine(writer, NULL);
	ck_assert_msg(engine != NULL, "%s", err_message());
	fixture_run(engine, symbols, inputs, outputs, status);
	for (int row = 0; row < 3; row++)
		ck_assert_mem_eq(y + row * PACKED_DIM, packed + ids[row] * PACKED_DIM,
				 PACKED_DIM * sizeof(float));
	weights = engine_memory(engine).weights->address;
	bytes = engine_memory(engine).weights->bytes;
	for (size_t offset = 0; !found && offset + sizeof(packed) <= bytes;
	     offset += 4)
		if (memcmp(weights + offset, packed, sizeof(packed)) == 0)
			found = weights + offset;
	ck_assert_ptr_nonnull(found);
	ck_assert_uint_eq((uintptr_t)found % 64, 0);
	engine_free(engine);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tables");
	TCase *tests = tcase_create("tables");

	tcase_add_loop_test(tests,
			    without_a_policy_negative_ids_count_from_the_end_and_others_are_errors,
			    0, 2);
	tcase_add_loop_test(tests, each_table_follows_its_own_policy_also_for_minus_one, 0, 2);
	tcase_add_test(tests, a_policy_that_fits_no_table_is_refused);
	tcase_add_test(tests, a_bag_of_values_and_offsets_gives_two_outputs);
	tcase_add_test(tests, an_id_of_an_unbatched_request_is_told_in_row_0);
	tcase_add_test(tests, inputs_constants_and_sizes_can_be_outputs);
	tcase_add_test(tests, buckets_stop_where_activations_would_be_too_large);
	tcase_add_test(tests, external_tables_are_read_in_place_and_compute_the_same);
	tcase_add_test(tests, a_table_packed_behind_another_tensor_lies_at_a_cache_line);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

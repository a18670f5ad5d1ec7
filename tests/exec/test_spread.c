/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_spread.c - a row's bits do not depend on chunks, workers or the way of its batch
 *
 * Everything is compared with one engine that computes alone, row by row.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/sanitized.h"
#include "exec/measure.h"
#include "tests/exec/engine_fixture.h"
#include "tests/suite.h"
#include "tests/system/crowd.h"
#include "tools/hearthctl/requests/npy.h"

#define DATA "tests/data/shoppers/"
#define SEED 20261128
#define ROWS 300
#define INPUTS 3
#define WIDE 320
#define IDS 3
#define TABLE_ROWS 500
#define TABLE_COLUMNS 48

static const char *const isas[] = { "v3", "v4" };
static const enum way ways[] = { WAY_AUTO, WAY_ALONE, WAY_ROWS, WAY_COLUMNS };
static const uint32_t worker_counts[] = { 1, 2, 3 };

#define WAY_CASES 4
#define WORKER_CASES 3

/* --- a model's rows, and what each of them gives ------------------------------------------------ */

struct rows {
	uint32_t input_count;
	size_t row_bytes[INPUTS];
	const char *inputs[INPUTS];
	size_t result_bytes;
};

/* Rows [first, first + count) as one batch, from copies of exactly their bytes. */
static void rows_run(struct engine *engine, const struct rows *rows, uint32_t first, uint32_t count,
		     char *ret_results, struct row_status ret_status[])
{
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { count };
	const void *inputs[INPUTS];
	void *outputs[1] = { ret_results };

	for (uint32_t input = 0; input < rows->input_count; input++)
		inputs[input] = rows->inputs[input] + first * rows->row_bytes[input];
	memset(ret_status, 0, count * sizeof(*ret_status));
	ck_assert(engine_fits(engine, symbols));
	fixture_run(engine, symbols, inputs, outputs, ret_status);
}

static void check_batch(struct engine *engine, const struct rows *rows, uint32_t first,
			uint32_t count, const char *wanted, const struct row_status wanted_status[])
{
	char *results = malloc(count * rows->result_bytes);
	struct row_status status[ROWS];

	rows_run(engine, rows, first, count, results, status);
	ck_assert_msg(memcmp(results, wanted + first * rows->result_bytes,
			     count * rows->result_bytes) == 0,
		      "rows %u to %u differ", first, first + count);
	ck_assert_msg(memcmp(status, wanted_status + first, count * sizeof(*status)) == 0,
		      "the status of rows %u to %u differs", first, first + count);
	free(results);
}

typedef struct engine *(*load_function)(const struct engine_options *options);

/* Batches of all sizes, with workers that sleep now and then. */
static void check_ways(load_function load, const struct rows *rows, const struct device *device)
{
	struct engine_options options = { .device = device, .rows_max = ROWS, .node = -1 };
	char *wanted = malloc(ROWS * rows->result_bytes);
	struct row_status wanted_status[ROWS];
	unsigned int seed = SEED;
	struct engine *engine = load(&options);

	for (uint32_t row = 0; row < ROWS; row++)
		rows_run(engine, rows, row, 1, wanted + row * rows->result_bytes,
			 wanted_status + row);
	engine_free(engine);
	for (uint32_t index = 0; index < WAY_CASES * WORKER_CASES; index++) {
		options.way = ways[index % WAY_CASES];
		options.chunk_rows = index % WAY_CASES ? 1 + (uint32_t)rand_r(&seed) % 70 : 0;
		options.workers = fixture_workers(worker_counts[index / WAY_CASES]);
		engine = load(&options);
		ck_assert_uint_eq(engine_rows_max(engine), ROWS);
		for (uint32_t count = 1; count <= ROWS;
		     count += CROWD_SLOWDOWN > 1 ? 1 + count / 4 : 1) {
			uint32_t first = (uint32_t)rand_r(&seed) % (ROWS - count + 1);

			check_batch(engine, rows, first, count, wanted, wanted_status);
			if (count % 64 == 0)
				usleep(200);
		}
		engine_free(engine); /* while workers sleep, spin, or have just been late */
		workers_free(options.workers);
	}
	free(wanted);
}

/* --- a trained model ------------------------------------------------------------------------------- */

static struct engine *shoppers_load(const struct engine_options *options)
{
	int directory_fd = open(DATA "repository/shoppers/2", O_RDONLY | O_DIRECTORY);
	struct engine *engine = NULL;
	int r;

	ck_assert_int_ge(directory_fd, 0);
	r = engine_new(directory_fd, "shoppers", options, &engine);
	ck_assert_msg(r == 0, "%s", err_message());
	close(directory_fd);
	return engine;
}

START_TEST(a_trained_model_gives_each_row_the_same_bits)
{
	const struct device *device = cpu_device_by_name(isas[_i]);
	struct npy files[INPUTS];
	struct rows rows = { .input_count = INPUTS, .result_bytes = sizeof(float) };

	if (!device) {
		printf("SKIP: this processor lacks %s\n", isas[_i]);
		return;
	}
	ck_assert_int_eq(npy_read(DATA "dense.npy", &files[0]), 0);
	ck_assert_int_eq(npy_read(DATA "ids.npy", &files[1]), 0);
	ck_assert_int_eq(npy_read(DATA "crosses.npy", &files[2]), 0);
	for (uint32_t input = 0; input < INPUTS; input++) {
		rows.inputs[input] = files[input].data;
		rows.row_bytes[input] = npy_row_bytes(&files[input]);
	}
	check_ways(shoppers_load, &rows, device);
	for (uint32_t input = 0; input < INPUTS; input++)
		npy_free(&files[input]);
}
END_TEST

/* --- large matrices, and ids that are wrong --------------------------------------------------------- */

/* y = [relu(x w0 + b0), table[ids]] w1, odd widths, two matrices that are split. */
static struct engine *wide_load(const struct engine_options *options)
{
	static float weights[WIDE * WIDE], bias[WIDE], table[TABLE_ROWS * TABLE_COLUMNS];
	struct onnx_writer *writer = onnx_writer_new(17);
	struct engine *engine;
	uint32_t seed = SEED;
	char shape[32];

	fixture_floats(weights, WIDE * WIDE, &seed);
	fixture_floats(bias, WIDE, &seed);
	fixture_floats(table, TABLE_ROWS * TABLE_COLUMNS, &seed);
	snprintf(shape, sizeof(shape), "batch,%d", WIDE);
	onnx_writer_input(writer, "x", DTYPE_F32, shape);
	snprintf(shape, sizeof(shape), "batch,%d", IDS);
	onnx_writer_input(writer, "ids", DTYPE_I64, shape);
	snprintf(shape, sizeof(shape), "%d,%d", WIDE, WIDE - 11);
	onnx_writer_tensor(writer, "w0", DTYPE_F32, shape, weights,
			   WIDE * (WIDE - 11) * sizeof(float));
	snprintf(shape, sizeof(shape), "%d", WIDE - 11);
	onnx_writer_tensor(writer, "b0", DTYPE_F32, shape, bias, (WIDE - 11) * sizeof(float));
	snprintf(shape, sizeof(shape), "%d,%d", TABLE_ROWS, TABLE_COLUMNS);
	onnx_writer_tensor(writer, "table", DTYPE_F32, shape, table, sizeof(table));
	snprintf(shape, sizeof(shape), "%d,%d", WIDE - 11 + IDS * TABLE_COLUMNS, 97);
	onnx_writer_tensor(writer, "w1", DTYPE_F32, shape, weights,
			   (WIDE - 11 + IDS * TABLE_COLUMNS) * 97 * sizeof(float));
	onnx_writer_node(writer, "Gemm", "x,w0,b0", "h");
	onnx_writer_node(writer, "Relu", "h", "r");
	onnx_writer_node(writer, "Gather", "table,ids", "rows");
	onnx_writer_node(writer, "Flatten", "rows", "flat");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "Concat", "r,flat", "joined");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "MatMul", "joined,w1", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,97");
	engine = fixture_engine(writer, options);
	ck_assert_msg(engine != NULL, "%s", err_message());
	ck_assert_int_eq(engine_signature(engine)->row_symbol, 0);
	return engine;
}

START_TEST(wrong_ids_and_wide_rows_are_the_same_whoever_computes_them)
{
	const struct device *device = cpu_device_by_name(isas[_i]);
	float *x = malloc(ROWS * WIDE * sizeof(float));
	int64_t *ids = malloc(ROWS * IDS * sizeof(int64_t));
	struct rows rows = {
		.input_count = 2,
		.row_bytes = { WIDE * sizeof(float), IDS * sizeof(int64_t) },
		.inputs = { (char *)x, (char *)ids },
		.result_bytes = 97 * sizeof(float),
	};
	uint32_t seed = SEED;

	if (device) {
		fixture_floats(x, ROWS * WIDE, &seed);
		fixture_ids(ids, ROWS * IDS, TABLE_ROWS, &seed);
		for (uint32_t row = 5; row < ROWS; row += 7)
			ids[row * IDS + row % IDS] = TABLE_ROWS + (int64_t)row;
		check_ways(wide_load, &rows, device);
	} else {
		printf("SKIP: this processor lacks %s\n", isas[_i]);
	}
	free(x);
	free(ids);
}
END_TEST

START_TEST(an_error_is_told_of_its_row_alone)
{
	struct engine_options options = { .rows_max = ROWS, .node = -1, .chunk_rows = 9 };
	static float x[ROWS * WIDE];
	static int64_t ids[ROWS * IDS];
	static float y[ROWS * 97];
	const void *inputs[] = { x, ids };
	void *outputs[] = { y };
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { ROWS };
	struct row_status status[ROWS] = { { 0, 0 } };
	struct engine *engine;

	options.workers = fixture_workers(2);
	options.way = WAY_ROWS;
	engine = wide_load(&options);
	ids[211 * IDS + 1] = -TABLE_ROWS - 1;
	fixture_run(engine, symbols, inputs, outputs, status);
	for (uint32_t row = 0; row < ROWS; row++)
		ck_assert_msg((status[row].error != 0) == (row == 211), "row %u", row);
	ck_assert_int_eq(engine_error_input(engine, status[211].error), 1);
	engine_free(engine);
	workers_free(options.workers);
}
END_TEST

START_TEST(v3_and_v4_agree_bit_for_bit)
{
	static float x[ROWS * WIDE];
	static int64_t ids[ROWS * IDS];
	static float results[2][ROWS * 97];
	const struct rows rows = {
		.input_count = 2,
		.row_bytes = { WIDE * sizeof(float), IDS * sizeof(int64_t) },
		.inputs = { (char *)x, (char *)ids },
		.result_bytes = 97 * sizeof(float),
	};
	struct row_status status[ROWS];
	uint32_t seed = SEED;

	fixture_floats(x, ROWS * WIDE, &seed);
	fixture_ids(ids, ROWS * IDS, TABLE_ROWS, &seed);
	for (uint32_t isa = 0; isa < 2; isa++) {
		struct engine_options options = {
			.device = cpu_device_by_name(isas[isa]),
			.rows_max = ROWS,
			.node = -1,
		};
		struct engine *engine;

		if (!options.device) {
			printf("SKIP: this processor lacks %s\n", isas[isa]);
			return;
		}
		options.workers = fixture_workers(2);
		options.way = isa ? WAY_ROWS : WAY_ALONE;
		engine = wide_load(&options);
		rows_run(engine, &rows, 0, ROWS, (char *)results[isa], status);
		engine_free(engine);
		workers_free(options.workers);
	}
	ck_assert_int_eq(memcmp(results[0], results[1], sizeof(results[0])), 0);
}
END_TEST

static uint64_t page_faults(void)
{
	struct rusage usage;

	ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
	return (uint64_t)(usage.ru_minflt + usage.ru_majflt);
}

/* _i: the way; those of all threads are counted, and so are those of the first run. */
START_TEST(no_run_faults_after_the_load)
{
	struct engine_options options = { .rows_max = ROWS, .node = -1, .way = ways[_i] };
	static float x[ROWS * WIDE], y[ROWS * 97];
	static int64_t ids[ROWS * IDS];
	static struct row_status status[ROWS];
	const void *inputs[] = { x, ids };
	void *outputs[] = { y };
	struct engine *engine;
	uint32_t seed = SEED;
	uint64_t before;

	fixture_floats(x, ROWS * WIDE, &seed);
	fixture_ids(ids, ROWS * IDS, TABLE_ROWS, &seed);
	memset(y, 1, sizeof(y));
	memset(status, 0, sizeof(status));
	options.workers = fixture_workers(3);
	engine = wide_load(&options);
	(void)page_faults();
	before = page_faults();
	for (int64_t rows = 1; rows <= ROWS; rows++) {
		const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { rows };

		engine_run(engine, symbols, inputs, outputs, status);
	}
	if (!IS_SANITIZED)
		ck_assert_uint_eq(page_faults() - before, 0);
	engine_free(engine);
	workers_free(options.workers);
}
END_TEST

START_TEST(what_was_chosen_and_measured_is_told)
{
	struct engine_options options = { .rows_max = ROWS, .node = -1 };
	const int64_t few[SIGNATURE_SYMBOLS_MAX] = { 1 }, many[SIGNATURE_SYMBOLS_MAX] = { ROWS };
	struct engine_choice choice;
	struct engine *engine = wide_load(&options);
	struct engine_steps steps = engine_steps(engine);
	uint64_t multiply_adds = 0;

	choice = engine_choice(engine, many);
	ck_assert_uint_ge(choice.chunk_rows, 16);
	ck_assert_int_eq(choice.way, WAY_ALONE);
	ck_assert_uint_eq(steps.few->rows, 1);
	ck_assert_uint_ge(steps.many->rows, choice.chunk_rows);
	ck_assert_uint_ge(steps.few->step_count, 3);
	ck_assert_uint_eq(steps.few->step_count, steps.many->step_count);
	for (uint32_t step = 0; step < steps.few->step_count; step++) {
		ck_assert_ptr_nonnull(steps.few->steps[step].kernel);
		ck_assert_uint_gt(steps.many->steps[step].cost.bytes, 0);
		multiply_adds += steps.few->steps[step].cost.multiply_adds;
		ck_assert_uint_ge(steps.many->steps[step].predicted_ns,
				  steps.few->steps[step].predicted_ns);
		if (!IS_SANITIZED)
			ck_assert_uint_gt(steps.many->steps[step].ns, 0);
	}
	ck_assert_uint_ge(multiply_adds, WIDE * (WIDE - 11));
	engine_free(engine);

	options.workers = fixture_workers(2);
	engine = wide_load(&options);
	if (!IS_SANITIZED)
		ck_assert_uint_gt(engine_choice(engine, few).ways_ns[WAY_COLUMNS], 0);
	ck_assert_str_eq(way_name(WAY_COLUMNS), "columns");
	engine_free(engine);
	workers_free(options.workers);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spread");
	TCase *tests = tcase_create("spread");

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, a_trained_model_gives_each_row_the_same_bits, 0, 2);
	tcase_add_loop_test(tests, wrong_ids_and_wide_rows_are_the_same_whoever_computes_them, 0,
			    2);
	tcase_add_test(tests, an_error_is_told_of_its_row_alone);
	tcase_add_test(tests, v3_and_v4_agree_bit_for_bit);
	tcase_add_loop_test(tests, no_run_faults_after_the_load, 0, WAY_CASES);
	tcase_add_test(tests, what_was_chosen_and_measured_is_told);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

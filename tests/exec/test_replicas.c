/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_replicas.c - each worker reads the weights of its node, and the tables of all
 *
 * Workers are on nodes that need not be there, and nothing is bound; where pages are on a machine
 * that has nodes, tests/places/test_nodes.c looks. After a load the weights are overwritten, and what
 * comes out tells whose were read.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/exec/engine_fixture.h"
#include "tests/suite.h"
#include "tests/system/crowd.h"

#define SEED 20261127
#define ROWS 96
#define WIDTH 320
#define TABLE_ROWS 64
#define FURTHER (UINT64_C(3) << 62) /* nodes 62 and 63 */
#define WORKERS 3		    /* the caller, and one on each of them */

static float x[ROWS * WIDTH], table[TABLE_ROWS * WIDTH];
static int64_t ids[ROWS];

/* y = x @ matrix + table[ids]; the matrix is worth splitting. */
static struct onnx_writer *model(bool has_matrix)
{
	static float matrix[WIDTH * WIDTH];
	struct onnx_writer *writer = onnx_writer_new(17);
	uint32_t seed = SEED;

	fixture_floats(matrix, WIDTH * WIDTH, &seed);
	fixture_floats(table, TABLE_ROWS * WIDTH, &seed);
	fixture_floats(x, ROWS * WIDTH, &seed);
	fixture_ids(ids, ROWS, TABLE_ROWS, &seed);
	onnx_writer_input(writer, "x", DTYPE_F32, "batch,320");
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_tensor(writer, "table", DTYPE_F32, "64,320", table, sizeof(table));
	onnx_writer_node(writer, "Gather", "table,ids", "rows");
	if (has_matrix) {
		onnx_writer_tensor(writer, "matrix", DTYPE_F32, "320,320", matrix, sizeof(matrix));
		onnx_writer_node(writer, "MatMul", "x,matrix", "h");
		onnx_writer_node(writer, "Add", "h,rows", "y");
	} else {
		onnx_writer_node(writer, "Add", "x,rows", "y");
	}
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,320");
	return writer;
}

static struct engine *load(const struct engine_options *options)
{
	struct engine *engine = fixture_engine(model(true), options);

	ck_assert_msg(engine != NULL, "%s", err_message());
	return engine;
}

static void run(struct engine *engine, float y[ROWS * WIDTH])
{
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { ROWS };
	const void *inputs[] = { x, ids };
	void *outputs[] = { y };
	struct row_status status[ROWS];

	memset(status, 0, sizeof(status));
	fixture_run(engine, symbols, inputs, outputs, status);
}

static struct engine_options options_of(enum way way)
{
	return (struct engine_options){
		.rows_max = ROWS,
		.node = -1,
		.replicates = true,
		.way = way,
		.chunk_rows = way == WAY_ROWS ? 4 : ROWS,
		.workers = fixture_workers_of(WORKERS, FURTHER),
	};
}

/* What the weights' zeros, and what the weights themselves give. */
struct wanted {
	float without[ROWS * WIDTH];
	float with[ROWS * WIDTH];
};

static struct wanted *wanted_new(void)
{
	struct engine_options options = { .rows_max = ROWS, .node = -1 };
	struct wanted *wanted = malloc(sizeof(*wanted));
	struct engine *engine = load(&options);

	run(engine, wanted->with);
	for (uint32_t row = 0; row < ROWS; row++)
		memcpy(wanted->without + row * WIDTH, table + ids[row] * WIDTH,
		       WIDTH * sizeof(float));
	engine_free(engine);
	return wanted;
}

/* Blocks of columns as a batch is cut: each is one worker's. */
#define BLOCK 64

struct found {
	uint32_t with, without, others;
};

static struct found compare(const float y[ROWS * WIDTH], const struct wanted *wanted)
{
	struct found found = { 0 };

	for (uint32_t at = 0; at < ROWS * WIDTH; at += BLOCK) {
		if (memcmp(y + at, wanted->with + at, BLOCK * sizeof(float)) == 0)
			found.with++;
		else if (memcmp(y + at, wanted->without + at, BLOCK * sizeof(float)) == 0)
			found.without++;
		else
			found.others++;
	}
	return found;
}

static const enum way ways[] = { WAY_ALONE, WAY_ROWS, WAY_COLUMNS };

#define WAY_CASES 3

START_TEST(replicas_give_each_row_the_same_bits)
{
	struct engine_options options = options_of(ways[_i]);
	struct wanted *wanted = wanted_new();
	struct engine *engine = load(&options);
	static float y[ROWS * WIDTH];

	ck_assert_uint_eq(engine_memory(engine).replica_count, WORKERS);
	ck_assert_uint_eq(engine_memory(engine).activation_count, WORKERS);
	for (uint32_t turn = 0; turn < 50; turn++) {
		run(engine, y);
		ck_assert_uint_eq(compare(y, wanted).with, ROWS * WIDTH / BLOCK);
	}
	engine_free(engine);
	workers_free(options.workers);
	free(wanted);
}
END_TEST

/* Until somebody else than the caller has computed a part. */
START_TEST(a_worker_reads_the_replica_of_its_node_and_the_caller_the_weights)
{
	struct engine_options options = options_of(ways[_i]);
	struct wanted *wanted = wanted_new();
	struct engine *engine = load(&options);
	struct engine_memory memory = engine_memory(engine);
	uint64_t until_ns = clock_ns() + CROWD_PATIENCE_NS;
	static float y[ROWS * WIDTH];
	struct found found;

	memset(memory.weights->address, 0, memory.tables_offset);
	do {
		run(engine, y);
		found = compare(y, wanted);
		ck_assert_uint_eq(found.others, 0);
	} while (ways[_i] != WAY_ALONE && clock_ns() < until_ns &&
		 (found.with == 0 || found.without == 0));
	ck_assert_uint_gt(found.without, 0);
	ck_assert_int_eq(found.with > 0, ways[_i] != WAY_ALONE);

	for (uint32_t node = 1; node < memory.replica_count; node++)
		memset(memory.replicas[node].address, 0, memory.tables_offset);
	for (uint32_t turn = 0; turn < 50; turn++) {
		run(engine, y);
		ck_assert_uint_eq(compare(y, wanted).without, ROWS * WIDTH / BLOCK);
	}
	engine_free(engine);
	workers_free(options.workers);
	free(wanted);
}
END_TEST

START_TEST(tables_are_there_once)
{
	struct engine_options options = options_of(ways[_i]);
	struct engine *engine = load(&options);
	struct engine_memory memory = engine_memory(engine);
	static float y[ROWS * WIDTH], zero[ROWS * WIDTH];

	memset(memory.weights->address, 0, memory.weights->bytes);
	for (uint32_t node = 1; node < memory.replica_count; node++) {
		ck_assert_uint_eq(memory.replicas[node].bytes, memory.tables_offset);
		memset(memory.replicas[node].address, 0, memory.tables_offset);
	}
	for (uint32_t turn = 0; turn < 50; turn++) {
		run(engine, y);
		ck_assert_int_eq(memcmp(y, zero, sizeof(y)), 0);
	}
	engine_free(engine);
	workers_free(options.workers);
}
END_TEST

START_TEST(adopted_weights_are_copied_again)
{
	struct engine_options options = options_of(WAY_ROWS);
	struct wanted *wanted = wanted_new();
	struct engine *heir = NULL;
	static float y[ROWS * WIDTH];
	struct engine_memory memory;
	struct engine *engine;

	options.keeps = true;
	engine = load(&options);
	ck_assert_msg(engine_kept(engine) != NULL, "%s", engine_unkept(engine));
	options.kept = engine_kept(engine);
	ck_assert_msg(engine_new(-1, "model", &options, &heir) == 0, "%s", err_message());
	engine_free(engine);
	memory = engine_memory(heir);
	ck_assert_uint_eq(memory.replica_count, WORKERS);
	for (uint32_t node = 1; node < memory.replica_count; node++)
		ck_assert_int_eq(memcmp(memory.replicas[node].address, memory.weights->address,
					memory.tables_offset), 0);
	run(heir, y);
	ck_assert_uint_eq(compare(y, wanted).with, ROWS * WIDTH / BLOCK);
	engine_free(heir);
	workers_free(options.workers);
	free(wanted);
}
END_TEST

START_TEST(nobody_gets_a_replica_in_vain)
{
	struct engine_options options = options_of(WAY_ROWS);
	struct engine *engine = fixture_engine(model(false), &options);

	ck_assert_msg(engine != NULL, "%s", err_message());
	ck_assert_uint_eq(engine_memory(engine).replica_count, 0); /* it has but a table */
	engine_free(engine);
	options.replicates = false;
	engine = load(&options);
	ck_assert_uint_eq(engine_memory(engine).replica_count, 0);
	engine_free(engine);
	workers_free(options.workers);
	options.replicates = true;
	options.workers = fixture_workers(2); /* of one node */
	engine = load(&options);
	ck_assert_uint_eq(engine_memory(engine).replica_count, 0);
	ck_assert_uint_eq(engine_memory(engine).activation_count, 1);
	engine_free(engine);
	workers_free(options.workers);
}
END_TEST

START_TEST(a_replica_that_cannot_be_is_foreseen_and_refused)
{
	struct engine_options options = options_of(WAY_ROWS);
	struct span_budget budget;
	struct engine *engine;

	ck_assert_int_eq(span_budget_read(NULL, &budget), 0);
	options.budget = &budget;
	engine = load(&options);
	ck_assert_uint_eq(engine_memory(engine).replica_count, WORKERS);
	ck_assert_uint_ge(engine_memory(engine).replicas[2].bytes, WIDTH * WIDTH * sizeof(float));
	ck_assert_ptr_null(engine_memory(engine).replicas[2].address);
	engine_free(engine);

	options.budget = NULL;
	options.node = 0; /* and the others are not there */
	ck_assert_ptr_null(fixture_engine(model(true), &options));
	ck_assert_msg(strstr(err_message(), "a replica of its weights on node 62: node 62 has no "
					    "memory to bind to"), "%s", err_message());
	workers_free(options.workers);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("replicas");
	TCase *tests = tcase_create("replicas");

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, replicas_give_each_row_the_same_bits, 0, WAY_CASES);
	tcase_add_loop_test(tests, a_worker_reads_the_replica_of_its_node_and_the_caller_the_weights,
			    0, WAY_CASES);
	tcase_add_loop_test(tests, tables_are_there_once, 0, WAY_CASES);
	tcase_add_test(tests, adopted_weights_are_copied_again);
	tcase_add_test(tests, nobody_gets_a_replica_in_vain);
	tcase_add_test(tests, a_replica_that_cannot_be_is_foreseen_and_refused);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_cold.c - a model whose tables are cold has the bits of the same model in memory
 *
 * Two bags and a single row, ids of one table shared with another, ids outside of their tables and
 * padding; caches so small that rows come and go all the time; several batches that wait at once; a
 * file that shrinks.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exec/cold.h"
#include "tests/exec/cold_model.h"
#include "tests/exec/engine_fixture.h"
#include "tests/exec/loop_model.h"
#include "tests/suite.h"

#define BATCH 16
#define HOT COLD_HISTORY
#define USERS COLD_USERS
#define ITEMS COLD_ITEMS
#define DIM COLD_DIM
#define WIDTH COLD_WIDTH
#define STAGES 3
#define FILE_PATTERN "/proc/self/fd/%d"

static struct row_reader reader;

struct batch {
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];
	int64_t history[BATCH * HOT];
	int32_t item[BATCH];
	float y[BATCH * WIDTH];
	struct row_status status[BATCH];
	const void *inputs[ENGINE_INPUTS_MAX];
};

static void batch_draw(struct batch *batch, uint32_t *seed, bool has_strangers)
{
	int64_t ids[BATCH];

	memset(batch, 0, sizeof(*batch));
	fixture_ids(ids, 1, BATCH, seed);
	batch->symbols[0] = 1 + ids[0];
	fixture_ids(batch->history, BATCH * HOT, USERS, seed);
	fixture_ids(ids, BATCH, ITEMS, seed);
	for (uint32_t row = 0; row < BATCH; row++)
		batch->item[row] = (int32_t)ids[row];
	if (has_strangers) {
		batch->history[1] = -1;
		batch->history[3] = USERS;
		batch->history[5] = INT64_MIN;
		batch->item[0] = -ITEMS;
		batch->item[1] = ITEMS;
		batch->item[2] = INT32_MIN;
	}
	batch->inputs[0] = batch->history;
	batch->inputs[1] = batch->item;
}

static void batch_run(struct engine *engine, struct batch *batch)
{
	void *outputs[] = { batch->y };

	memset(batch->y, 0xee, sizeof(batch->y));
	memset(batch->status, 0, sizeof(batch->status));
	engine_run(engine, batch->symbols, batch->inputs, outputs, batch->status);
}

static void batch_bind(struct batch *batch, struct engine *engine, struct cold_stage *stage)
{
	for (uint32_t index = 0; index < cold_ids_count(engine_cold(engine)); index++)
		batch->inputs[3 + index] = cold_stage_ids(stage, index);
}

/* Waits for one read at least. */
static void reads_await(void)
{
	struct pollfd ring = { .fd = row_reader_fd(&reader), .events = POLLIN };
	struct row_end end;

	if (row_reader_fd(&reader) >= 0)
		ck_assert_int_ge(poll(&ring, 1, 10000), 1);
	while (row_reader_take(&reader, &end))
		cold_arrive(&end);
}

static void batch_run_cold(struct engine *engine, struct batch *batch, uint32_t number)
{
	struct cold_stage *stage = cold_stage(engine_cold(engine), number);

	batch_bind(batch, engine, stage);
	cold_begin(stage, batch->symbols, batch->inputs);
	while (!cold_go_on(stage, &reader))
		reads_await();
	batch_run(engine, batch);
	cold_end(stage);
}

static void batches_compare(const struct batch *one, const struct batch *other)
{
	size_t rows = (size_t)one->symbols[0];

	ck_assert_mem_eq(one->status, other->status, rows * sizeof(one->status[0]));
	for (size_t row = 0; row < rows; row++)
		if (one->status[row].error == 0)
			ck_assert_mem_eq(one->y + row * WIDTH, other->y + row * WIDTH,
					 WIDTH * sizeof(float));
}

/* --- bits ---------------------------------------------------------------------------------------- */

static const struct table_policy policies[][1] = {
	{ { "*", MISSING_WRAP, 0 } },
	{ { "*", MISSING_ERROR, 0 } },
	{ { "*", MISSING_ZERO, 0 } },
	{ { "*", MISSING_ROW, 77 } },
};

static const char *const every[] = { "*" };

static struct engine_options cold_options(uint64_t bytes)
{
	return (struct engine_options){
		.rows_max = BATCH,
		.node = -1,
		.cold = every,
		.cold_count = 1,
		.cold_bytes = bytes,
		.cold_stages = STAGES,
	};
}

/* The same model twice. */
static void check_bits(struct onnx_writer *cold, struct onnx_writer *warm,
		       const struct table_policy policy[1])
{
	struct engine_options options = cold_options(0);
	struct engine_options warm_options = { .rows_max = BATCH, .node = -1 };
	struct engine *engine, *reference;
	const struct cold_counters *counters;
	uint32_t seed = 7;

	options.policies = warm_options.policies = policy;
	options.policy_count = warm_options.policy_count = 1;
	engine = fixture_engine(cold, &options);
	ck_assert_msg(engine, "%s", err_message());
	reference = fixture_engine(warm, &warm_options);
	ck_assert_msg(reference, "%s", err_message());
	ck_assert_ptr_null(engine_cold(reference));
	ck_assert_uint_eq(cold_ids_count(engine_cold(engine)), 3);
	row_reader_init(&reader, true);
	ck_assert_int_eq(row_reader_populate(&reader, NULL, -1), 0);
	for (uint32_t turn = 0; turn < 200; turn++) {
		struct batch batch, twin;

		batch_draw(&batch, &seed, turn % 3 == 0);
		twin = batch;
		twin.inputs[0] = twin.history;
		twin.inputs[1] = twin.item;
		batch_run_cold(engine, &batch, turn % STAGES);
		batch_run(reference, &twin);
		batches_compare(&batch, &twin);
	}
	counters = cold_counters(engine_cold(engine));
	ck_assert_uint_gt(counter_read(&counters->evictions), 100);
	ck_assert_uint_gt(counter_read(&counters->hits), 100);
	ck_assert_uint_eq(counter_read(&counters->failures), 0);
	row_reader_deinit(&reader);
	engine_free(engine);
	engine_free(reference);
}

START_TEST(cold_tables_have_the_bits_of_those_in_memory)
{
	check_bits(cold_model(), cold_model(), policies[_i]);
}
END_TEST

START_TEST(cold_tables_within_model_onnx_have_the_bits_of_those_in_memory)
{
	uint32_t shift = (uint32_t)_i;

	check_bits(cold_model_within(shift), cold_model_within(shift), policies[1]);
}
END_TEST

START_TEST(several_batches_wait_at_once_and_a_row_is_read_once)
{
	struct engine_options options = cold_options(0);
	struct engine *engine = fixture_engine(cold_model(), &options);
	struct engine *reference = fixture_engine(cold_model(), NULL);
	const struct cold_counters *counters = cold_counters(engine_cold(engine));
	struct batch batches[STAGES], twin;
	uint32_t seed = 3;
	void *outputs[] = { twin.y };

	row_reader_init(&reader, _i);
	ck_assert_int_eq(row_reader_populate(&reader, NULL, -1), 0);
	batch_draw(&batches[0], &seed, false);
	for (uint32_t number = 0; number < STAGES; number++) {
		struct cold_stage *stage = cold_stage(engine_cold(engine), number);

		if (number > 0) {
			batches[number] = batches[0];
			batches[number].inputs[0] = batches[number].history;
			batches[number].inputs[1] = batches[number].item;
		}
		batch_bind(&batches[number], engine, stage);
		cold_begin(stage, batches[number].symbols, batches[number].inputs);
	}
	/* The first one asks for all of them, and the others find them coming. */
	ck_assert_uint_le(counter_read(&counters->misses), (HOT + 2) * BATCH);
	for (uint32_t number = STAGES; number-- > 0;) {
		struct cold_stage *stage = cold_stage(engine_cold(engine), number);

		if (number > 0)
			ck_assert(!cold_go_on(stage, &reader));
	}
	for (uint32_t number = 0; number < STAGES; number++) {
		struct cold_stage *stage = cold_stage(engine_cold(engine), number);

		while (!cold_go_on(stage, &reader))
			reads_await();
		batch_run(engine, &batches[number]);
		cold_end(stage);
	}
	ck_assert_uint_ge(counter_read(&counters->read_bytes),
			  counter_read(&counters->misses) * WIDTH * sizeof(float));
	twin = batches[0];
	twin.inputs[0] = twin.history;
	twin.inputs[1] = twin.item;
	memset(twin.status, 0, sizeof(twin.status));
	engine_run(reference, twin.symbols, twin.inputs, outputs, twin.status);
	for (uint32_t number = 0; number < STAGES; number++)
		batches_compare(&batches[number], &twin);
	row_reader_deinit(&reader);
	engine_free(engine);
	engine_free(reference);
}
END_TEST

/* --- requests that share a batch ------------------------------------------------------------------ */

#define REQUESTS 3
#define REQUEST_ROWS 5
#define JOINED_ROWS (REQUESTS * REQUEST_ROWS)
#define VALUES 40

/* y [batch, 16] = sum of `users` by a bag or by three ids, and `items` by item, and `users` by user
 * [1], of which a request has one. */
static struct onnx_writer *joined_model(bool is_jagged)
{
	static const struct loop_variant sum = {.opset = 13, .reduce = "ReduceSum"};
	static float users[USERS * DIM], items[ITEMS * DIM];
	struct onnx_writer *writer = onnx_writer_new(13);
	uint32_t seed = 21;
	int64_t one = 1;

	fixture_floats(users, USERS * DIM, &seed);
	fixture_floats(items, ITEMS * DIM, &seed);
	onnx_writer_input(writer, "ids", DTYPE_I64, is_jagged ? "values" : "batch,3");
	onnx_writer_input(writer, "user", DTYPE_I64, "1");
	onnx_writer_input(writer, "item", DTYPE_I32, "batch");
	if (is_jagged)
		onnx_writer_input(writer, "offsets", DTYPE_I64, "batch");
	onnx_writer_external(writer, "users", DTYPE_F32, "5000,16", users, sizeof(users),
			     "users.bin", 64);
	onnx_writer_external(writer, "items", DTYPE_F32, "1100,16", items, sizeof(items),
			     "items.bin", 64);
	onnx_writer_tensor(writer, "axis", DTYPE_I64, "1", &one, sizeof(one));
	if (is_jagged) {
		loop_model_bag(writer, &sum, "a_", "users", "ids", "offsets", NULL, "pooled");
	} else {
		onnx_writer_node(writer, "Gather", "users,ids", "rows");
		onnx_writer_node(writer, "ReduceSum", "rows,axis", "pooled");
		onnx_writer_int(writer, "keepdims", 0);
	}
	onnx_writer_node(writer, "Gather", "items,item", "row");
	onnx_writer_node(writer, "Gather", "users,user", "who");
	onnx_writer_node(writer, "Add", "pooled,row", "both");
	onnx_writer_node(writer, "Add", "both,who", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	return writer;
}

struct joined {
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];
	int64_t ids[JOINED_ROWS * HOT > VALUES ? JOINED_ROWS * HOT : VALUES];
	int64_t user[REQUESTS];
	int32_t item[JOINED_ROWS];
	int64_t offsets[JOINED_ROWS];
	int32_t row_requests[JOINED_ROWS];
	float y[JOINED_ROWS * DIM];
	struct row_status status[JOINED_ROWS + REQUESTS];
	const void *inputs[ENGINE_INPUTS_MAX];
};

static void joined_draw(struct joined *joined, const struct signature *signature, uint32_t *seed)
{
	int64_t ids[JOINED_ROWS];
	bool is_jagged = signature->input_count == 4;

	memset(joined, 0, sizeof(*joined));
	joined->symbols[signature->row_symbol] = JOINED_ROWS;
	joined->symbols[signature->request_symbol] = REQUESTS;
	if (is_jagged)
		joined->symbols[signature->inputs[0].dims[0].symbol] = VALUES;
	fixture_ids(joined->ids, is_jagged ? VALUES : JOINED_ROWS * HOT, USERS, seed);
	fixture_ids(joined->user, REQUESTS, USERS, seed);
	fixture_ids(ids, JOINED_ROWS, ITEMS, seed);
	joined->ids[7] = USERS; /* of nobody */
	joined->user[1] = -1;
	for (int32_t row = 0; row < JOINED_ROWS; row++) {
		joined->item[row] = (int32_t)ids[row];
		joined->offsets[row] = row * VALUES / JOINED_ROWS;
		joined->row_requests[row] = row / REQUEST_ROWS;
	}
	joined->inputs[0] = joined->ids;
	joined->inputs[1] = joined->user;
	joined->inputs[2] = joined->item;
	joined->inputs[3] = is_jagged ? (const void *)joined->offsets : joined->row_requests;
	if (is_jagged)
		joined->inputs[4] = joined->row_requests;
}

static void joined_run(struct engine *engine, struct joined *joined)
{
	struct cold *cold = engine_cold(engine);
	struct cold_stage *stage = cold ? cold_stage(cold, 0) : NULL;
	uint32_t first = engine_signature(engine)->input_count + 1;
	void *outputs[] = { joined->y };

	for (uint32_t index = 0; cold && index < cold_ids_count(cold); index++)
		joined->inputs[first + index] = cold_stage_ids(stage, index);
	if (cold)
		cold_begin(stage, joined->symbols, joined->inputs);
	while (cold && !cold_go_on(stage, &reader))
		reads_await();
	memset(joined->status, 0, sizeof(joined->status));
	engine_run(engine, joined->symbols, joined->inputs, outputs, joined->status);
	if (cold)
		cold_end(stage);
}

START_TEST(joined_requests_have_the_same_bits_over_any_workers)
{
	struct engine_options options = cold_options(0);
	struct engine_options warm = { .rows_max = 64, .node = -1 };
	struct engine *engine, *reference;
	uint32_t seed = 31;
	bool is_jagged = _i & 1;

	options.rows_max = 64;
	options.workers = _i & 2 ? fixture_workers(2) : NULL;
	options.chunk_rows = 4;
	options.way = _i & 2 ? WAY_ROWS : WAY_AUTO;
	engine = fixture_engine(joined_model(is_jagged), &options);
	ck_assert_msg(engine, "%s", err_message());
	reference = fixture_engine(joined_model(is_jagged), &warm);
	ck_assert_msg(reference, "%s", err_message());
	ck_assert_int_ge(engine_signature(engine)->request_symbol, 0);
	ck_assert_uint_eq(cold_ids_count(engine_cold(engine)), 3);
	row_reader_init(&reader, true);
	ck_assert_int_eq(row_reader_populate(&reader, NULL, -1), 0);
	for (uint32_t turn = 0; turn < 50; turn++) {
		struct joined joined, twin;

		joined_draw(&joined, engine_signature(engine), &seed);
		twin = joined;
		joined_run(engine, &joined);
		joined_run(reference, &twin);
		ck_assert_mem_eq(joined.status, twin.status, sizeof(twin.status));
		for (uint32_t row = 0; row < JOINED_ROWS; row++)
			if (twin.status[row].error == 0)
				ck_assert_mem_eq(joined.y + row * DIM, twin.y + row * DIM,
						 DIM * sizeof(float));
	}
	row_reader_deinit(&reader);
	engine_free(engine);
	engine_free(reference);
	workers_free(options.workers);
}
END_TEST

/* --- files --------------------------------------------------------------------------------------- */

/* The engine's own description of a file that it has open. */
static int file_find(const char *name)
{
	for (int fd = 3; fd < 200; fd++) {
		char link[64], path[512];
		ssize_t bytes;

		snprintf(link, sizeof(link), FILE_PATTERN, fd);
		bytes = readlink(link, path, sizeof(path) - 1);
		if (bytes <= 0)
			continue;
		path[bytes] = '\0';
		if (strstr(path, name))
			return open(link, O_RDWR | O_CLOEXEC);
	}
	return -1;
}

START_TEST(a_row_that_cannot_be_read_is_an_error_of_who_wants_it)
{
	struct engine_options options = cold_options(0);
	struct engine *engine;
	struct batch batch;
	uint32_t seed = 11;
	int fd;

	options.policies = policies[_i];
	options.policy_count = 1;
	engine = fixture_engine(cold_model(), &options);
	row_reader_init(&reader, true);
	ck_assert_int_eq(row_reader_populate(&reader, NULL, -1), 0);
	fd = file_find("users.bin");
	ck_assert_int_ge(fd, 0);
	ck_assert(!cold_has_changed(engine_cold(engine)));
	ck_assert_int_eq(ftruncate(fd, 1000 * DIM * 4), 0);
	ck_assert(cold_has_changed(engine_cold(engine)));
	close(fd);
	batch_draw(&batch, &seed, false);
	batch.symbols[0] = BATCH;
	for (uint32_t row = 0; row < BATCH; row++)
		for (uint32_t place = 0; place < HOT; place++)
			batch.history[row * HOT + place] %= 1000;
	batch.history[4 * HOT + 1] = 3000;
	batch.history[9 * HOT] = 4999;
	for (uint32_t turn = 0; turn < 3; turn++) {
		batch_run_cold(engine, &batch, turn);
		for (uint32_t row = 0; row < BATCH; row++)
			ck_assert_uint_eq(batch.status[row].error,
					  row == 4 || row == 9 ? ROW_UNREAD : 0);
	}
	ck_assert_uint_eq(counter_read(&cold_counters(engine_cold(engine))->failures), 6);
	row_reader_deinit(&reader);
	engine_free(engine);
}
END_TEST

/* --- refusals ------------------------------------------------------------------------------------ */

static void expect_refusal(struct onnx_writer *writer, struct engine_options options,
			   const char *name, const char *sentence)
{
	const char *const names[] = { name };
	struct engine *engine;

	options.cold = names;
	engine = fixture_engine(writer, &options);
	ck_assert_msg(!engine, "not refused: %s", sentence);
	ck_assert_msg(strstr(err_message(), sentence), "%s", err_message());
}

START_TEST(what_cannot_be_cold_is_refused_by_name)
{
	static const float table[700 * DIM];
	struct onnx_writer *writer;

	expect_refusal(cold_model(), cold_options(0), "nobody", "no embedding bag reads");
	expect_refusal(cold_model(), cold_options(4096), "*", "give it more");

	writer = onnx_writer_new(17);
	onnx_writer_input(writer, "item", DTYPE_I64, "batch");
	onnx_writer_tensor(writer, "items", DTYPE_F32, "700,16", table, sizeof(table));
	onnx_writer_node(writer, "Gather", "items,item", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,16");
	expect_refusal(writer, cold_options(0), "items", "in model.onnx itself");

	writer = onnx_writer_new(17);
	onnx_writer_input(writer, "item", DTYPE_I64, "batch");
	onnx_writer_external(writer, "items", DTYPE_F32, "700,16", table, sizeof(table), "items.bin", 64);
	onnx_writer_node(writer, "Add", "item,item", "twice");
	onnx_writer_node(writer, "Gather", "items,twice", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,16");
	expect_refusal(writer, cold_options(0), "items", "its ids are computed");

	writer = onnx_writer_new(17);
	onnx_writer_input(writer, "item", DTYPE_I64, "batch");
	onnx_writer_input(writer, "x", DTYPE_F32, "batch,700");
	onnx_writer_external(writer, "items", DTYPE_F32, "700,16", table, sizeof(table), "items.bin", 64);
	onnx_writer_node(writer, "Gather", "items,item", "row");
	onnx_writer_node(writer, "MatMul", "x,items", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,16");
	onnx_writer_output(writer, "row", DTYPE_F32, "batch,16");
	expect_refusal(writer, cold_options(0), "items", "it is read whole");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cold");
	TCase *tests = tcase_create("cold");

	tcase_add_loop_test(tests, cold_tables_have_the_bits_of_those_in_memory, 0, 4);
	tcase_add_loop_test(tests, cold_tables_within_model_onnx_have_the_bits_of_those_in_memory,
			    0, 4);
	tcase_add_loop_test(tests, several_batches_wait_at_once_and_a_row_is_read_once, 0, 2);
	tcase_add_loop_test(tests, joined_requests_have_the_same_bits_over_any_workers, 0, 4);
	tcase_add_loop_test(tests, a_row_that_cannot_be_read_is_an_error_of_who_wants_it, 0, 4);
	tcase_add_test(tests, what_cannot_be_cold_is_refused_by_name);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

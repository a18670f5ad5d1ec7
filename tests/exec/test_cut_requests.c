/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_cut_requests.c - a user's candidates in several chunks have the bits of one
 *
 * What a request has once is computed by each chunk with rows of it; whoever computes it, and however
 * often, everything is compared with one engine that computes each request alone and whole.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/exec/engine_fixture.h"
#include "tests/exec/user_model.h"
#include "tests/suite.h"
#include "tests/system/crowd.h"

#define SEED 20261128
#define ROWS 300
#define WIDE 320
#define TURNS (200 / CROWD_SLOWDOWN)

static const char *const isas[] = { "v3", "v4" };
static const enum way ways[] = { WAY_AUTO, WAY_ALONE, WAY_ROWS, WAY_COLUMNS };
static const uint32_t worker_counts[] = { 1, 2, 3 };

#define WAY_CASES 4
#define WORKER_CASES 3

struct users {
	float users[ROWS * USER_WIDTH];
	int64_t cities[ROWS];
	float candidates[ROWS * USER_WIDTH];
	int32_t row_requests[ROWS];
	uint32_t first_rows[ROWS + 1]; /* of each request, and of one more */
	uint32_t count;
};

/* Many requests of a few rows among some of many; the city of every fifth is none. */
static void users_fill(struct users *users)
{
	unsigned int draw = SEED;
	uint32_t seed = SEED;
	uint32_t row = 0;

	fixture_floats(users->users, ROWS * USER_WIDTH, &seed);
	fixture_ids(users->cities, ROWS, USER_CITIES, &seed);
	fixture_floats(users->candidates, ROWS * USER_WIDTH, &seed);
	for (users->count = 0; row < ROWS; users->count++) {
		uint32_t number = users->count;
		uint32_t rows = number % 7 == 3 ? 50 : 1 + (uint32_t)rand_r(&draw) % 3;

		if (number % 5 == 4)
			users->cities[number] = USER_CITIES + number;
		users->first_rows[number] = row;
		for (; rows > 0 && row < ROWS; rows--)
			users->row_requests[row++] = (int32_t)number;
	}
	users->first_rows[users->count] = ROWS;
}

/* Requests [first, first + count) as one batch; their scores, the status of rows and of requests. */
static void users_run(struct engine *engine, const struct users *users, uint32_t first,
		      uint32_t count, float *ret_scores, struct row_status ret_status[])
{
	const struct signature *signature = engine_signature(engine);
	uint32_t row = users->first_rows[first];
	uint32_t rows = users->first_rows[first + count] - row;
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { 0 };
	int32_t row_requests[ROWS];
	const void *inputs[ENGINE_INPUTS_MAX] = {
		users->users + first * USER_WIDTH,
		users->cities + first,
		users->candidates + row * USER_WIDTH,
		row_requests,
	};
	void *outputs[] = { ret_scores };

	for (uint32_t index = 0; index < rows; index++)
		row_requests[index] = users->row_requests[row + index] - (int32_t)first;
	symbols[signature->row_symbol] = rows;
	symbols[signature->request_symbol] = count;
	memset(ret_status, 0, (rows + count) * sizeof(*ret_status));
	ck_assert(engine_fits(engine, symbols));
	engine_run(engine, symbols, inputs, outputs, ret_status);
}

static void check_users(struct engine *engine, const struct users *users, uint32_t first,
			uint32_t count, const float wanted[ROWS],
			const struct row_status wanted_rows[ROWS],
			const struct row_status wanted_requests[ROWS])
{
	uint32_t row = users->first_rows[first];
	uint32_t rows = users->first_rows[first + count] - row;
	struct row_status status[2 * ROWS];
	float scores[ROWS];

	users_run(engine, users, first, count, scores, status);
	ck_assert_msg(memcmp(scores, wanted + row, rows * sizeof(*scores)) == 0,
		      "scores of %u requests from %u", count, first);
	ck_assert_msg(memcmp(status, wanted_rows + row, rows * sizeof(*status)) == 0,
		      "status of the rows of %u requests from %u", count, first);
	ck_assert_msg(memcmp(status + rows, wanted_requests + first, count * sizeof(*status)) == 0,
		      "status of %u requests from %u", count, first);
}

static struct engine *users_load(const struct engine_options *options)
{
	struct engine *engine = fixture_engine(user_model(), options);

	ck_assert_msg(engine != NULL, "%s", err_message());
	ck_assert_int_ge(engine_signature(engine)->request_symbol, 0);
	return engine;
}

START_TEST(a_request_that_is_cut_has_the_bits_that_it_has_whole)
{
	struct engine_options options = {
		.device = cpu_device_by_name(isas[_i]),
		.rows_max = ROWS,
		.node = -1,
		.chunk_rows = ROWS,
	};
	static struct row_status status[2 * ROWS], rows_status[ROWS], requests_status[ROWS];
	static float wanted[ROWS];
	static struct users users;
	unsigned int seed = SEED;
	struct engine *engine;

	if (!options.device) {
		printf("SKIP: this processor lacks %s\n", isas[_i]);
		return;
	}
	users_fill(&users);
	engine = users_load(&options);
	for (uint32_t number = 0; number < users.count; number++) {
		uint32_t row = users.first_rows[number], rows = users.first_rows[number + 1] - row;

		users_run(engine, &users, number, 1, wanted + row, status);
		memcpy(rows_status + row, status, rows * sizeof(*status));
		requests_status[number] = status[rows];
		ck_assert((status[rows].error != 0) == (number % 5 == 4));
	}
	engine_free(engine);
	for (uint32_t index = 0; index < WAY_CASES * WORKER_CASES; index++) {
		options.way = ways[index % WAY_CASES];
		options.chunk_rows = index % WAY_CASES ? 1 + (uint32_t)rand_r(&seed) % 40 : 0;
		options.workers = fixture_workers(worker_counts[index / WAY_CASES]);
		engine = users_load(&options);
		for (uint32_t turn = 0; turn < TURNS; turn++) {
			uint32_t first = (uint32_t)rand_r(&seed) % users.count;
			uint32_t count = 1 + (uint32_t)rand_r(&seed) % (users.count - first);

			check_users(engine, &users, first, count, wanted, rows_status,
				    requests_status);
		}
		engine_free(engine);
		workers_free(options.workers);
	}
}
END_TEST

/* A wide user of whom a narrow candidate sees one number: each chunk would compute him again. */
static struct engine *heavy_user_load(const struct engine_options *options)
{
	static float weights[WIDE * WIDE];
	struct onnx_writer *writer = onnx_writer_new(13);
	uint32_t seed = SEED;

	fixture_floats(weights, WIDE * WIDE, &seed);
	onnx_writer_input(writer, "user", DTYPE_F32, "1,320");
	onnx_writer_input(writer, "x", DTYPE_F32, "batch,1");
	onnx_writer_tensor(writer, "w0", DTYPE_F32, "320,320", weights, sizeof(weights));
	onnx_writer_tensor(writer, "w1", DTYPE_F32, "320,1", weights, WIDE * sizeof(float));
	onnx_writer_node(writer, "MatMul", "user,w0", "tower");
	onnx_writer_node(writer, "MatMul", "tower,w1", "asks");
	onnx_writer_node(writer, "Mul", "x,asks", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,1");
	return fixture_engine(writer, options);
}

START_TEST(chunks_are_large_where_a_request_has_much_work_once)
{
	const struct engine_options options = { .rows_max = 4096, .node = -1 };
	const int64_t one[SIGNATURE_SYMBOLS_MAX] = { 1 };
	struct engine *light = users_load(&options);
	struct engine *heavy = heavy_user_load(&options);

	ck_assert_msg(heavy != NULL, "%s", err_message());
	ck_assert_uint_eq(engine_choice(heavy, one).chunk_rows, 4096);
	ck_assert_uint_lt(engine_choice(light, one).chunk_rows, 4096);
	engine_free(light);
	engine_free(heavy);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cut requests");
	TCase *tests = tcase_create("cut requests");

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, a_request_that_is_cut_has_the_bits_that_it_has_whole, 0, 2);
	tcase_add_test(tests, chunks_are_large_where_a_request_has_much_work_once);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_jagged.c - bags of several requests in one run have the bits that each has alone,
 * whoever computes which of their rows
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/offsets.h"
#include "tests/exec/engine_fixture.h"
#include "tests/exec/jagged_model.h"
#include "tests/suite.h"
#include "tests/system/crowd.h"

#define REQUESTS 24
#define ROWS_MAX 9
#define BAG_MAX 5
#define TRIALS 200

static const char *const isas[] = {"v3", "v4"};
static const enum way ways[] = {WAY_AUTO, WAY_ALONE, WAY_ROWS, WAY_COLUMNS};

#define WAY_CASES 4
#define WORKER_CASES 3

struct request {
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];
	void *inputs[ENGINE_INPUTS_MAX];
	float y[ROWS_MAX * LOOP_DIM]; /* alone */
	struct row_status status[ROWS_MAX + 1];
};

static uint64_t tensor_bytes(const struct signature_tensor *tensor, const int64_t symbols[])
{
	return (uint64_t)signature_elements(tensor, symbols) * dtype_bytes(tensor->dtype);
}

/* Exactly so many bytes, so that a sanitizer sees who reads beyond. */
static void *memory_new(uint64_t bytes)
{
	void *memory = NULL;

	ck_assert_int_eq(posix_memalign(&memory, 64, bytes ? bytes : 1), 0);
	return memory;
}

static void integer_put(const struct signature_tensor *tensor, void *memory, int64_t index,
			int64_t value)
{
	if (tensor->dtype == DTYPE_I64)
		((int64_t *)memory)[index] = value;
	else
		((int32_t *)memory)[index] = (int32_t)value;
}

/* Bags of up to BAG_MAX values; in every third request the first and the last are empty, in every
 * fifth all are. */
static void *offsets_new(const struct signature_tensor *tensor, struct request *request,
			 int64_t rows, uint32_t number, uint64_t *random)
{
	void *offsets = memory_new(tensor_bytes(tensor, request->symbols));
	int64_t at = 0;

	for (int64_t row = 0; row < rows; row++) {
		bool is_empty = number % 5 == 4 ||
				(number % 3 == 1 && (row == 0 || row == rows - 1));

		integer_put(tensor, offsets, row, at);
		at += is_empty ? 0 : (int64_t)(crowd_random(random) % (BAG_MAX + 1));
	}
	if (tensor->dims[0].constant > 0)
		integer_put(tensor, offsets, rows, at);
	request->symbols[tensor->values_symbol] = at;
	return offsets;
}

static void request_fill(const struct signature *signature, struct request *request,
			 uint32_t number, uint64_t *random)
{
	int64_t rows = 1 + (int64_t)(crowd_random(random) % ROWS_MAX);
	uint32_t seed = number + 1;

	memset(request, 0, sizeof(*request));
	request->symbols[signature->row_symbol] = rows;
	for (uint32_t input = 0; input < signature->input_count; input++) {
		const struct signature_tensor *tensor = &signature->inputs[input];

		if (tensor->is_offsets)
			request->inputs[input] =
				offsets_new(tensor, request, rows, number, random);
	}
	for (uint32_t input = 0; input < signature->input_count; input++) {
		const struct signature_tensor *tensor = &signature->inputs[input];
		int64_t elements = signature_elements(tensor, request->symbols);

		if (tensor->is_offsets)
			continue;
		request->inputs[input] = memory_new(tensor_bytes(tensor, request->symbols));
		if (tensor->dtype == DTYPE_F32)
			fixture_floats(request->inputs[input], elements, &seed);
		for (int64_t index = 0; tensor->dtype != DTYPE_F32 && index < elements; index++)
			integer_put(tensor, request->inputs[input], index,
				    number % 7 == 6 && index == elements / 2
					    ? LOOP_ROWS
					    : (int64_t)(crowd_random(random) % LOOP_ROWS));
	}
}

static void request_deinit(const struct signature *signature, struct request *request)
{
	for (uint32_t input = 0; input < signature->input_count; input++)
		free(request->inputs[input]);
}

/* Input `input` of all the requests, one behind the other. */
static void *inputs_join(const struct signature *signature, uint32_t input,
			 const struct request requests[], uint32_t count, const int64_t totals[])
{
	const struct signature_tensor *tensor = &signature->inputs[input];
	bool is_of_request = signature_is_of_request(signature, input);
	char *memory = memory_new(tensor_bytes(tensor, totals) * (is_of_request ? count : 1));
	int64_t first = 0;
	char *at = memory;

	for (uint32_t number = 0; number < count; number++) {
		const int64_t *symbols = requests[number].symbols;
		uint64_t bytes = tensor_bytes(tensor, symbols);

		memcpy(at, requests[number].inputs[input], bytes);
		if (tensor->is_offsets) {
			struct offsets offsets = {
				.data = at,
				.dtype = tensor->dtype,
				.count = (uint32_t)dim_value(tensor->dims[0], symbols),
				.has_end = tensor->dims[0].constant > 0,
				.values = symbols[tensor->values_symbol],
			};

			ck_assert(offsets_join(&offsets, first) || count == 1);
			first += offsets.values;
			at -= offsets.has_end ? dtype_bytes(tensor->dtype) : 0;
		}
		at += bytes;
	}
	return memory;
}

/* Requests one behind the other in one run. */
static void run(struct engine *engine, const struct request requests[], uint32_t count, float *y,
		struct row_status *status)
{
	const struct signature *signature = engine_signature(engine);
	int64_t totals[SIGNATURE_SYMBOLS_MAX] = {0};
	const void *inputs[ENGINE_INPUTS_MAX];
	void *outputs[] = {y};
	int32_t row_requests[REQUESTS * ROWS_MAX];
	int64_t row = 0;

	for (uint32_t number = 0; number < count; number++) {
		for (uint32_t symbol = 0; symbol < signature->symbol_count; symbol++)
			totals[symbol] += requests[number].symbols[symbol];
		while (row < totals[signature->row_symbol])
			row_requests[row++] = (int32_t)number;
	}
	for (uint32_t input = 0; input < signature->input_count; input++)
		inputs[input] = inputs_join(signature, input, requests, count, totals);
	inputs[signature->input_count] = row_requests;
	if (signature->request_symbol >= 0)
		totals[signature->request_symbol] = count;
	memset(status, 0, ((size_t)row + count) * sizeof(*status));
	ck_assert(engine_fits(engine, totals));
	engine_run(engine, totals, inputs, outputs, status);
	for (uint32_t input = 0; input < signature->input_count; input++)
		free((void *)(uintptr_t)inputs[input]);
}

static void check_group(struct engine *engine, const struct request requests[], uint32_t first,
			uint32_t count)
{
	int32_t row_symbol = engine_signature(engine)->row_symbol;
	float y[REQUESTS * ROWS_MAX * LOOP_DIM];
	struct row_status status[REQUESTS * (ROWS_MAX + 1)];
	int64_t row = 0;

	run(engine, requests + first, count, y, status);
	for (uint32_t number = first; number < first + count; number++) {
		const struct request *request = &requests[number];
		int64_t rows = request->symbols[row_symbol];

		ck_assert_msg(memcmp(y + row * LOOP_DIM, request->y,
				     (size_t)rows * LOOP_DIM * sizeof(float)) == 0,
			      "request %u, among %u from %u", number, count, first);
		ck_assert_msg(memcmp(status + row, request->status,
				     (size_t)rows * sizeof(*status)) == 0,
			      "status of request %u, among %u from %u", number, count, first);
		row += rows;
	}
}

static struct engine *jagged_load(enum jagged_kind kind, const struct engine_options *options)
{
	struct engine *engine = fixture_engine(jagged_model(kind), options);

	ck_assert_msg(engine != NULL, "%s", err_message());
	ck_assert_int_ge(engine_signature(engine)->row_symbol, 0);
	return engine;
}

/* Offsets of no order, and far outside. */
static void offsets_spoil(const struct signature_tensor *tensor, struct request *request,
			  uint32_t input, uint64_t *random)
{
	static const int64_t far[] = {INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX, -1};
	int64_t values = request->symbols[tensor->values_symbol];
	int64_t count = signature_elements(tensor, request->symbols);

	for (int64_t index = 0; index < count; index++) {
		uint64_t choice = crowd_random(random) % 10;

		if (choice < sizeof(far) / sizeof(far[0]))
			integer_put(tensor, request->inputs[input], index, far[choice]);
		else if (choice < 8)
			integer_put(tensor, request->inputs[input], index,
				    (int64_t)(crowd_random(random) % (uint64_t)(values + 2)));
	}
}

/* Requests, and what each is answered alone and in one piece. The offsets of some lie. */
static void requests_fill(struct engine *engine, struct request requests[REQUESTS], bool lie,
			  uint64_t *random)
{
	const struct signature *signature = engine_signature(engine);
	uint32_t errors = 0;

	for (uint32_t number = 0; number < REQUESTS; number++) {
		struct request *request = &requests[number];

		request_fill(signature, request, number, random);
		for (uint32_t input = 0; lie && input < signature->input_count; input++)
			if (signature->inputs[input].is_offsets &&
			    crowd_random(random) % signature->input_count < 2)
				offsets_spoil(&signature->inputs[input], request, input, random);
		run(engine, request, 1, request->y, request->status);
		for (int64_t row = 0; row < ROWS_MAX; row++)
			errors += request->status[row].error != 0;
	}
	ck_assert_uint_gt(errors, 0);
}

static void requests_free(const struct signature *signature, struct request requests[REQUESTS])
{
	for (uint32_t number = 0; number < REQUESTS; number++)
		request_deinit(signature, &requests[number]);
}

/* All of them, in runs of many sizes. */
static void check_groups(struct engine *engine, const struct request requests[REQUESTS],
			 uint64_t *random)
{
	uint32_t first = 0;

	while (first < REQUESTS) {
		uint32_t count = 1 + (uint32_t)(crowd_random(random) % (REQUESTS - first));

		check_group(engine, requests, first, count);
		first += count;
	}
}

/* _i: the kind of model, times the instruction sets. */
START_TEST(joined_in_any_way_they_have_the_bits_that_each_has_alone)
{
	struct engine_options options = {
		.device = cpu_device_by_name(isas[_i / JAGGED_KINDS]),
		.rows_max = 256,
		.node = -1,
		.chunk_rows = 256,
	};
	uint64_t random = crowd_seed("jagged");
	static struct request requests[REQUESTS];
	struct engine *engine;

	if (!options.device) {
		printf("SKIP: this processor lacks %s\n", isas[_i / JAGGED_KINDS]);
		return;
	}
	engine = jagged_load((enum jagged_kind)(_i % JAGGED_KINDS), &options);
	requests_fill(engine, requests, false, &random);
	check_group(engine, requests, 0, REQUESTS);
	for (uint32_t trial = 0; trial < TRIALS / CROWD_SLOWDOWN; trial++)
		check_groups(engine, requests, &random);
	requests_free(engine_signature(engine), requests);
	engine_free(engine);
}
END_TEST

/* Those whose offsets lie are never joined. */
static void check_cut(struct engine *engine, const struct request honest[REQUESTS],
		      const struct request lying[REQUESTS], uint64_t *random)
{
	for (uint32_t trial = 0; trial < TRIALS / 10 / CROWD_SLOWDOWN; trial++)
		check_groups(engine, honest, random);
	for (uint32_t number = 0; number < REQUESTS; number++)
		check_group(engine, lying, number, 1);
}

/* _i: the kind of model, of those whose values are read as they are, times the instruction sets. */
START_TEST(cut_among_workers_they_have_the_bits_and_the_errors_of_one_piece)
{
	struct engine_options options = {
		.device = cpu_device_by_name(isas[_i / (JAGGED_KINDS - JAGGED_READ)]),
		.rows_max = 256,
		.node = -1,
		.chunk_rows = 256,
	};
	enum jagged_kind kind = JAGGED_READ + (enum jagged_kind)(_i % (JAGGED_KINDS - JAGGED_READ));
	const int64_t one[SIGNATURE_SYMBOLS_MAX] = {1};
	static struct request honest[REQUESTS], lying[REQUESTS];
	uint64_t random = crowd_seed("jagged chunks");
	struct engine *whole, *engine;

	if (!options.device) {
		printf("SKIP: this processor lacks %s\n", isas[_i / (JAGGED_KINDS - JAGGED_READ)]);
		return;
	}
	whole = jagged_load(kind, &options);
	requests_fill(whole, honest, false, &random);
	requests_fill(whole, lying, true, &random);
	for (uint32_t index = 0; index < WAY_CASES * WORKER_CASES; index++) {
		options.way = ways[index % WAY_CASES];
		options.chunk_rows = 1 + (uint32_t)(crowd_random(&random) % (index % 2 ? 40 : 4));
		options.workers = fixture_workers(1 + index / WAY_CASES);
		engine = jagged_load(kind, &options);
		ck_assert_uint_eq(engine_choice(engine, one).chunk_rows, options.chunk_rows);
		check_cut(engine, honest, lying, &random);
		engine_free(engine);
		workers_free(options.workers);
	}
	requests_free(engine_signature(whole), honest);
	requests_free(engine_signature(whole), lying);
	engine_free(whole);
}
END_TEST

START_TEST(values_that_are_computed_are_computed_once)
{
	const int64_t one[SIGNATURE_SYMBOLS_MAX] = {1};
	struct engine_options options = {.node = -1, .chunk_rows = 16};
	struct engine *engine = jagged_load(JAGGED_BESIDE, &options);

	ck_assert_uint_eq(engine_choice(engine, one).chunk_rows, 0);
	engine_free(engine);
}
END_TEST

START_TEST(the_signature_tells_offsets_and_their_values)
{
	struct engine *engine = fixture_engine(jagged_model(JAGGED_BESIDE), NULL);
	const struct signature *signature;

	ck_assert_msg(engine != NULL, "%s", err_message());
	signature = engine_signature(engine);
	ck_assert_int_eq(signature->row_symbol, JAGGED_ROWS);
	ck_assert_uint_eq(signature->symbol_count, JAGGED_SIZES);
	for (uint32_t input = 0; input < signature->input_count; input++)
		ck_assert_int_eq(signature->inputs[input].is_offsets,
				 input == JAGGED_OFFSETS || input == JAGGED_STARTS);
	ck_assert_int_eq(signature->inputs[JAGGED_OFFSETS].values_symbol, JAGGED_VALUES);
	ck_assert_int_eq(signature->inputs[JAGGED_STARTS].values_symbol, JAGGED_MORE);
	ck_assert(signature_is_of_request(signature, JAGGED_USER));
	engine_free(engine);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("jagged");
	TCase *tests = tcase_create("jagged");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, joined_in_any_way_they_have_the_bits_that_each_has_alone, 0,
			    2 * JAGGED_KINDS);
	tcase_add_loop_test(tests, cut_among_workers_they_have_the_bits_and_the_errors_of_one_piece,
			    0, 2 * (JAGGED_KINDS - JAGGED_READ));
	tcase_add_test(tests, values_that_are_computed_are_computed_once);
	tcase_add_test(tests, the_signature_tells_offsets_and_their_values);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

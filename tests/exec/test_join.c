/* SPDX-License-Identifier: MIT */
/* tests/exec/test_join.c - requests of one user and many candidates each run as one */
#include <check.h>
#include <string.h>

#include "tests/exec/engine_fixture.h"
#include "tests/exec/user_model.h"
#include "tests/graph/graph_fixture.h"
#include "tests/suite.h"

#define REQUESTS 4

static const int64_t counts[REQUESTS] = {3, 1, 17, 6};

#define ROWS 27

struct batch {
	float users[REQUESTS * USER_WIDTH];
	int64_t cities[REQUESTS];
	float candidates[ROWS * USER_WIDTH];
	int32_t row_requests[ROWS];
};

static void batch_fill(struct batch *batch)
{
	uint32_t seed = 3;
	int64_t row = 0;

	fixture_floats(batch->users, REQUESTS * USER_WIDTH, &seed);
	fixture_ids(batch->cities, REQUESTS, USER_CITIES, &seed);
	fixture_floats(batch->candidates, ROWS * USER_WIDTH, &seed);
	for (int32_t request = 0; request < REQUESTS; request++)
		for (int64_t index = 0; index < counts[request]; index++)
			batch->row_requests[row++] = request;
	ck_assert_int_eq(row, ROWS);
}

/* Requests [first, first + count) of the batch, whose rows begin at `row`. */
static void batch_run(struct engine *engine, const struct batch *batch, int32_t first, int32_t count,
		      int64_t row, int64_t rows, float *scores, struct row_status *status)
{
	const struct signature *signature = engine_signature(engine);
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {0};
	int32_t row_requests[ROWS];
	const void *inputs[ENGINE_INPUTS_MAX] = {
		batch->users + first * USER_WIDTH,
		batch->cities + first,
		batch->candidates + row * USER_WIDTH,
		row_requests,
	};
	void *outputs[] = {scores};

	for (int64_t index = 0; index < rows; index++)
		row_requests[index] = batch->row_requests[row + index] - first;
	symbols[signature->row_symbol] = rows;
	symbols[signature->request_symbol] = count;
	memset(status, 0, (size_t)(rows + count) * sizeof(*status));
	ck_assert(engine_fits(engine, symbols));
	engine_run(engine, symbols, inputs, outputs, status);
}

START_TEST(the_signature_tells_one_row_of_a_request)
{
	struct engine *engine = fixture_engine(user_model(), NULL);
	const struct signature *signature;

	ck_assert_msg(engine != NULL, "%s", err_message());
	signature = engine_signature(engine);
	ck_assert_int_eq(signature->row_symbol, 0);
	ck_assert_uint_eq(signature->symbol_count, 1);
	ck_assert_int_eq(signature->request_symbol, 1);
	ck_assert(signature_is_of_request(signature, 0));
	ck_assert(signature_is_of_request(signature, 1));
	ck_assert(!signature_is_of_request(signature, 2));
	ck_assert_int_eq(signature->inputs[0].dims[0].constant, 1);
	engine_free(engine);
}
END_TEST

START_TEST(together_they_have_the_bits_that_each_has_alone)
{
	struct engine *engine = fixture_engine(user_model(), NULL);
	struct row_status status[ROWS + REQUESTS];
	float together[ROWS], alone[ROWS];
	struct batch batch;
	int64_t row = 0;

	ck_assert_msg(engine != NULL, "%s", err_message());
	batch_fill(&batch);
	batch_run(engine, &batch, 0, REQUESTS, 0, ROWS, together, status);
	for (int32_t request = 0; request < REQUESTS; request++) {
		batch_run(engine, &batch, request, 1, row, counts[request], alone + row, status);
		row += counts[request];
	}
	ck_assert_mem_eq(together, alone, sizeof(alone));
	ck_assert(memcmp(alone, alone + 3, sizeof(float)) != 0);
	engine_free(engine);
}
END_TEST

START_TEST(a_bad_id_of_a_user_is_told_of_its_request_alone)
{
	struct engine *engine = fixture_engine(user_model(), NULL);
	struct row_status status[ROWS + REQUESTS];
	float scores[ROWS], sound[ROWS];
	struct batch batch;

	ck_assert_msg(engine != NULL, "%s", err_message());
	batch_fill(&batch);
	batch_run(engine, &batch, 0, REQUESTS, 0, ROWS, sound, status);
	batch.cities[2] = USER_CITIES;
	batch_run(engine, &batch, 0, REQUESTS, 0, ROWS, scores, status);
	for (int index = 0; index < ROWS + REQUESTS; index++)
		ck_assert_msg((status[index].error != 0) == (index == ROWS + 2), "status %d", index);
	ck_assert_int_eq(engine_error_input(engine, status[ROWS + 2].error), 1);
	for (int row = 0; row < ROWS; row++)
		ck_assert(batch.row_requests[row] == 2 ||
			  memcmp(&scores[row], &sound[row], sizeof(float)) == 0);
	engine_free(engine);
}
END_TEST

START_TEST(one_gather_serves_all_readers_and_the_users_tower_runs_once_a_user)
{
	struct built built;
	uint32_t gathers;

	ck_assert_msg(built_init(&built, user_model()), "%s", err_message());
	ck_assert_int_eq(built.proof.symbol, 0);
	ck_assert_int_eq(built.proof.request_symbol, 1);
	ck_assert_str_eq(built.proof.why, "");
	/* The rows of `asks` meet candidates twice. */
	gathers = 0;
	for (uint32_t node = 0; node < built.graph.node_count; node++)
		gathers += strcmp(built.graph.nodes[node].source->name, "row_requests") == 0 &&
			   !built.graph.nodes[node].dead;
	ck_assert_uint_eq(gathers, 1);
	ck_assert_int_eq(built_value(&built, "user_tower")->dims[0].symbol, 1);
	built_deinit(&built);
}
END_TEST

/* x [batch, 4] and one [1, 4]: what the request has once must not come out, nor sum over rows. */
static struct onnx_writer *pair(const char *op, const char *operands, const char *shape)
{
	static const int64_t axis = 0;
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,4");
	onnx_writer_input(writer, "one", DTYPE_F32, "1,4");
	onnx_writer_tensor(writer, "axis", DTYPE_I64, "1", &axis, sizeof(axis));
	onnx_writer_node(writer, op, operands, "y");
	onnx_writer_output(writer, "y", DTYPE_F32, shape);
	return writer;
}

START_TEST(what_has_one_row_as_its_output_is_not_joined)
{
	struct built built;

	ck_assert(built_init(&built, pair("Relu", "one", "1,4")));
	ck_assert_int_eq(built.proof.symbol, -1);
	ck_assert_ptr_nonnull(strstr(built.proof.why, "has one row whatever"));
	built_deinit(&built);
	ck_assert(built_init(&built, pair("ReduceSum", "one,axis", "1,4")));
	ck_assert_int_eq(built.proof.symbol, -1);
	built_deinit(&built);
	ck_assert(built_init(&built, pair("Add", "x,one", "batch,4")));
	ck_assert_int_eq(built.proof.symbol, 0);
	built_deinit(&built);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("join");
	TCase *tests = tcase_create("join");

	tcase_add_test(tests, the_signature_tells_one_row_of_a_request);
	tcase_add_test(tests, together_they_have_the_bits_that_each_has_alone);
	tcase_add_test(tests, a_bad_id_of_a_user_is_told_of_its_request_alone);
	tcase_add_test(tests, one_gather_serves_all_readers_and_the_users_tower_runs_once_a_user);
	tcase_add_test(tests, what_has_one_row_as_its_output_is_not_joined);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/system/test_looking.c - a daemon whose next request comes at once does not sleep in between */
#include <check.h>
#include <stdio.h>

#include "appliance.h"
#include "client/hearth.h"
#include "crowd.h"
#include "measure.h"
#include "tests/exec/engine_fixture.h"

#define WIDTH 1024
#define ROWS 256
#define REQUESTS 20
#define TRIES 50 /* others may have the CPUs meanwhile */
#define TIMEOUT_S 100

/* It takes longer than any daemon looks for requests. */
static struct onnx_writer *slow_model(void)
{
	static float weights[WIDTH * WIDTH];
	struct onnx_writer *writer = onnx_writer_new(13);
	uint32_t seed = 1;

	fixture_floats(weights, WIDTH * WIDTH, &seed);
	onnx_writer_input(writer, "x", DTYPE_F32, "batch,1024");
	onnx_writer_tensor(writer, "w", DTYPE_F32, "1024,1024", weights, sizeof(weights));
	onnx_writer_node(writer, "MatMul", "x,w", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,1024");
	return writer;
}

static void ask(struct hearth *hearth, struct hearth_request *request)
{
	const struct hearth_completion *completion = NULL;
	int r;

	r = hearth_submit(hearth, request);
	must(r == 0, "submit: %s", hearth_strerror(r));
	r = hearth_wait(hearth, CROWD_PATIENCE_NS, &completion);
	must(r == 0 && completion->status == 0, "no answer: %d", r);
}

/* Of so many requests, each as soon as the answer before it is there: the daemon's sleeps. */
static uint64_t sleeps_between(const struct appliance *appliance, struct hearth *hearth,
			       const struct hearth_model_info *model)
{
	struct hearth_request *requests[REQUESTS];
	uint32_t seed = 2;
	uint64_t before;
	uint64_t sleeps;
	uint32_t index;

	for (index = 0; index < REQUESTS; index++) {
		must(hearth_acquire(hearth, model, ROWS, requests + index) == 0, "no request");
		fixture_floats(requests[index]->inputs[0].data, ROWS * WIDTH, &seed);
	}
	ask(hearth, requests[0]);
	before = appliance_number(appliance, "sleeps_total");
	for (index = 1; index < REQUESTS; index++)
		ask(hearth, requests[index]);
	sleeps = appliance_number(appliance, "sleeps_total") - before;
	for (index = 0; index < REQUESTS; index++)
		hearth_release(hearth, requests[index]->id);
	return sleeps;
}

START_TEST(however_long_a_request_takes_the_next_one_finds_it_awake)
{
	struct hearth_options options = { .size = sizeof(options), .spin_ns = CROWD_PATIENCE_NS,
					  .request_area_bytes = 64U << 20,
					  .response_area_bytes = 64U << 20 };
	const struct hearth_model_info *model;
	struct appliance appliance;
	struct hearth *hearth = NULL;
	uint64_t sleeps = REQUESTS;
	uint32_t attempt;

	if (cpu_allowed(1) < 0) {
		puts("SKIP: on one CPU it never looks");
		return;
	}
	appliance_init(&appliance);
	appliance_save(&appliance, "slow", slow_model());
	appliance_start(&appliance, NULL);
	ck_assert_int_eq(hearth_open(appliance.socket, &options, &hearth), 0);
	ck_assert_int_eq(hearth_model(hearth, "slow", 0, &model), 0);
	for (attempt = 0; attempt < TRIES && sleeps > REQUESTS / 2; attempt++)
		sleeps = sleeps_between(&appliance, hearth, model);
	ck_assert_uint_le(sleeps, REQUESTS / 2);
	ck_assert_int_eq(hearth_close(hearth), 0);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("looking");
	TCase *cases = tcase_create("looking");

	tcase_set_timeout(cases, TIMEOUT_S);
	tcase_add_test(cases, however_long_a_request_takes_the_next_one_finds_it_awake);
	suite_add_tcase(suite, cases);
	return appliance_check(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/system/test_deadlines.c - what cannot be ready in time is not computed */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "appliance.h"
#include "client/hearth.h"
#include "crowd.h"
#include "tests/exec/engine_fixture.h"

#define WIDTH 1024
#define LAYERS 4
#define ROWS 256
#define WARM 8
#define TIMEOUT_S 100

/* A perceptron that takes milliseconds on any machine. */
static struct onnx_writer *slow_model(void)
{
	static float weights[WIDTH * WIDTH];
	struct onnx_writer *writer = onnx_writer_new(13);
	char input[16] = "x", output[16], name[16];
	char operands[40];
	uint32_t seed = 1;

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,1024");
	for (int layer = 0; layer < LAYERS; layer++) {
		fixture_floats(weights, WIDTH * WIDTH, &seed);
		for (int weight = 0; weight < WIDTH * WIDTH; weight++)
			weights[weight] /= WIDTH;
		snprintf(name, sizeof(name), "w%d", layer);
		snprintf(output, sizeof(output), "y%d", layer);
		snprintf(operands, sizeof(operands), "%s,%s", input, name);
		onnx_writer_tensor(writer, name, DTYPE_F32, "1024,1024", weights, sizeof(weights));
		onnx_writer_node(writer, "MatMul", operands, output);
		snprintf(input, sizeof(input), "%s", output);
	}
	onnx_writer_output(writer, output, DTYPE_F32, "batch,1024");
	return writer;
}

/* Returns the answer's status, and how long the kernels took. */
static int ask(struct hearth *hearth, const struct hearth_model_info *model, int64_t patience_ns,
	       uint32_t *ret_execute_ns)
{
	const struct hearth_completion *completion = NULL;
	struct hearth_request *request = NULL;
	uint32_t seed = 2;
	int r, status;

	r = hearth_acquire(hearth, model, ROWS, &request);
	must(r == 0, "acquire: %s", hearth_strerror(r));
	fixture_floats(request->inputs[0].data, ROWS * WIDTH, &seed);
	if (patience_ns > 0)
		request->deadline_ns = hearth_deadline(hearth, patience_ns);
	r = hearth_submit(hearth, request);
	must(r == 0, "submit: %s", hearth_strerror(r));
	r = hearth_wait(hearth, CROWD_PATIENCE_NS, &completion);
	must(r == 0, "wait: %s", hearth_strerror(r));
	status = completion->status;
	*ret_execute_ns = completion->execute_ns;
	r = hearth_release(hearth, completion->id);
	must(r == 0, "release: %s", hearth_strerror(r));
	return status;
}

START_TEST(a_deadline_nearer_than_the_work_takes_costs_no_work)
{
	const struct hearth_model_info *model;
	struct appliance appliance;
	struct hearth *hearth = NULL;
	uint32_t execute_ns = 0, unused_ns;
	uint64_t batches;
	json_t *rows;

	appliance_init(&appliance);
	appliance_save(&appliance, "slow", slow_model());
	appliance_start(&appliance, NULL);
	ck_assert_int_eq(hearth_open(appliance.socket, NULL, &hearth), 0);
	ck_assert_int_eq(hearth_model(hearth, "slow", 0, &model), 0);
	for (int turn = 0; turn < WARM; turn++)
		ck_assert_int_eq(ask(hearth, model, 0, &execute_ns), 0);
	batches = appliance_number(&appliance, "batches_total");
	ck_assert_uint_eq(batches, WARM);
	/* It would be over long before the work is done, and has time enough to be admitted. */
	ck_assert_int_eq(ask(hearth, model, execute_ns / 8, &unused_ns), -ETIME);
	ck_assert_uint_eq(appliance_number(&appliance, "batches_total"), batches);
	/* Estimates that let nothing pass would end when they are halved often enough. */
	ck_assert_int_eq(ask(hearth, model, INT64_C(100) * execute_ns, &unused_ns), 0);
	ck_assert_int_eq(ask(hearth, model, 0, &unused_ns), 0);
	ck_assert_uint_eq(appliance_number(&appliance, "batches_total"), batches + 2);
	rows = appliance_rows(&appliance, "models");
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(rows, 1), "errors_total")), 1);
	json_decref(rows);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("deadlines");
	TCase *tests = tcase_create("deadlines");

	tcase_set_timeout(tests, TIMEOUT_S);
	tcase_add_test(tests, a_deadline_nearer_than_the_work_takes_costs_no_work);
	suite_add_tcase(suite, tests);
	return appliance_check(suite);
}

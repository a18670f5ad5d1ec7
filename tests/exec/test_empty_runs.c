/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_empty_runs.c - a free size of 0 costs no kernel, whatever the other sizes are
 *
 * A request whose values are none is a few bytes; were its kernels called, each would walk the
 * product of the sizes that are left.
 */
#include <check.h>

#include "tests/exec/engine_fixture.h"
#include "tests/suite.h"

static uint32_t kernel_calls;

static void kernel_count(const void *args)
{
	(void)args;
	kernel_calls++;
}

/* picked = data[:, ids], pooled over the free size; y = softmax(picked) */
static struct onnx_writer *pick_model(void)
{
	static const int64_t axes[1] = { 2 };
	struct onnx_writer *writer = onnx_writer_new(11);

	onnx_writer_input(writer, "data", DTYPE_F32, "65535,3,free,127");
	onnx_writer_input(writer, "ids", DTYPE_I64, "4095");
	onnx_writer_node(writer, "Gather", "data,ids", "picked");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "Sigmoid", "data", "y");
	onnx_writer_node(writer, "ReduceSum", "data", "z");
	onnx_writer_ints(writer, "axes", axes, 1);
	onnx_writer_output(writer, "picked", DTYPE_F32, NULL);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	onnx_writer_output(writer, "z", DTYPE_F32, NULL);
	return writer;
}

START_TEST(kernels_that_would_write_nothing_are_not_called)
{
	struct device counting = *cpu_device();
	struct engine_options options = { .device = &counting, .rows_max = 1, .node = -1 };
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { 0 };
	const void *inputs[2] = { &counting, &counting }; /* nobody reads them */
	void *outputs[3] = { &counting, &counting, &counting };
	struct row_status status[1] = { { 0, 0 } };
	struct engine *engine;

	for (uint32_t kernel = 0; kernel < KERNEL_COUNT; kernel++)
		counting.kernels[kernel] = kernel_count;
	engine = fixture_engine(pick_model(), &options);
	ck_assert_msg(engine != NULL, "%s", err_message());
	kernel_calls = 0;
	engine_run(engine, symbols, inputs, outputs, status);
	/* The sum over nothing is there all the same: zeros. */
	ck_assert_uint_eq(kernel_calls, 1);
	symbols[0] = 1;
	ck_assert(engine_fits(engine, symbols));
	kernel_calls = 0;
	engine_run(engine, symbols, inputs, outputs, status);
	ck_assert_uint_eq(kernel_calls, 3);
	engine_free(engine);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("empty_runs");
	TCase *tests = tcase_create("empty_runs");

	tcase_add_test(tests, kernels_that_would_write_nothing_are_not_called);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_softmax.c - accuracy, sums of one, neighbours and special values */
#include <stdlib.h>
#include <string.h>

#include "kernels/ref/ref.h"
#include "kernels/softmax.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define INPUTS 60000
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static float *x_values;

static void setup(void)
{
	random_begin(71);
	x_values = malloc(INPUTS * sizeof(float));
	for (int index = 0; index < INPUTS; index++)
		x_values[index] = random_f32(-60.0f, 30.0f);
}

static void teardown(void)
{
	free(x_values);
}

static void run_softmax(struct softmax_args *args)
{
	size_t count = (size_t)(args->outer * args->axis * args->inner);
	double *expected = malloc((count + 1) * sizeof(double));
	struct kernel_outputs outputs;

	ref_softmax(args, expected);
	kernel_outputs_init(&outputs, count * sizeof(float));
	for (int device = 0; device < outputs.count; device++) {
		const float *y = args->y = outputs.y[device];

		outputs.devices[device]->kernels[KERNEL_SOFTMAX](args);
		for (size_t index = 0; index < count; index++)
			expect_msg(fabs(y[index] - expected[index]) <=
					      (args->logarithm ?
						       1e-6 * (1 + fabs(expected[index])) :
						       2e-6 * expected[index] + 1e-30),
				      "%s [%ld, %ld, %ld]: element %zu is %a, not %a",
				      outputs.devices[device]->name, (long)args->outer,
				      (long)args->axis, (long)args->inner, index,
				      (double)y[index], expected[index]);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
	free(expected);
}

START_TEST(every_size_stays_within_the_stated_error)
{
	const int64_t axis_sweep[] = { 1, 2, 3, 15, 16, 17, 31, 32, 33, 50, 300 };
	const int64_t inner_sweep[] = { 1, 2, 15, 16, 17, 33 };

	for (int64_t outer = 0; outer <= 5; outer += 5)
		for (size_t axis = 0; axis < COUNT(axis_sweep); axis++)
			for (size_t inner = 0; inner < COUNT(inner_sweep); inner++) {
				struct softmax_args args = {
					.x = x_values,
					.outer = outer,
					.axis = axis_sweep[axis],
					.inner = inner_sweep[inner],
				};

				run_softmax(&args);
				args.logarithm = true;
				run_softmax(&args);
			}
}
END_TEST

/* Differences between 32 and 64 round by up to 1.9e-6 each: the worst place for exp. */
START_TEST(small_shares_beside_a_large_one_keep_their_digits)
{
	struct softmax_args args = { .x = x_values, .outer = 1, .axis = 4001, .inner = 1 };

	x_values[0] = 0.7f;
	for (int index = 1; index < args.axis; index++)
		x_values[index] = 0.7f - random_f32(0.0f, 90.0f);
	run_softmax(&args);
	args.outer = 100;
	args.axis = 2;
	args.inner = 7;
	run_softmax(&args);
}
END_TEST

START_TEST(a_row_has_the_same_bits_alone_in_any_batch_and_in_place)
{
	const int64_t axis = 37;

	for (int64_t inner = 1; inner <= 21; inner += 5)
		for (int name = 0; name < 3; name++) {
			const char *const names[] = { "baseline", "v3", "v4" };
			const struct device *device = cpu_device_by_name(names[name]);
			float all[6 * 37 * 21], part[37 * 21];
			struct softmax_args args = { .x = x_values, .y = all, .outer = 6,
						     .axis = axis, .inner = inner };

			if (device == NULL)
				continue;
			device->kernels[KERNEL_SOFTMAX](&args);
			for (int64_t outer = 0; outer < 6; outer++) {
				memcpy(part, x_values + outer * axis * inner,
				       (size_t)(axis * inner) * sizeof(float));
				args.x = args.y = part;
				args.outer = 1;
				device->kernels[KERNEL_SOFTMAX](&args);
				expect(same_run(part, all + outer * axis * inner, axis * inner));
			}
		}
}
END_TEST

START_TEST(minus_infinity_has_no_share_and_nan_spoils_only_its_row)
{
	const float x[4][3] = {
		{ 1.0f, -INFINITY, 1.0f },
		{ 1.0f, NAN, 1.0f },
		{ -INFINITY, -INFINITY, -INFINITY },
		{ 0x1.fffffep127f, -0x1.fffffep127f, 0.0f },
	};

	for (int name = 0; name < 3; name++) {
		const char *const names[] = { "baseline", "v3", "v4" };
		const struct device *device = cpu_device_by_name(names[name]);
		struct softmax_args args = { .x = x[0], .outer = 4, .axis = 3, .inner = 1 };
		float y[4][3];

		if (device == NULL)
			continue;
		args.y = y[0];
		device->kernels[KERNEL_SOFTMAX](&args);
		expect(y[0][0] == 0.5f && y[0][1] == 0.0f && y[0][2] == 0.5f);
		for (int index = 0; index < 3; index++)
			expect(isnan(y[1][index]) && isnan(y[2][index]));
		expect(y[3][0] == 1.0f && y[3][1] == 0.0f && y[3][2] == 0.0f);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("softmax");
	TCase *tcase = tcase_create("softmax");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, every_size_stays_within_the_stated_error);
	tcase_add_test(tcase, small_shares_beside_a_large_one_keep_their_digits);
	tcase_add_test(tcase, a_row_has_the_same_bits_alone_in_any_batch_and_in_place);
	tcase_add_test(tcase, minus_infinity_has_no_share_and_nan_spoils_only_its_row);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_layernorm.c - rows with mean 0 and deviation 1, scaled and shifted */
#include <stdlib.h>
#include <string.h>

#include "kernels/layernorm.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define COLS_MAX 600
#define ROWS_MAX 9
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static float x_values[ROWS_MAX * COLS_MAX];
static float scale[COLS_MAX];
static float bias[COLS_MAX];

static void setup(void)
{
	random_begin(81);
	for (int index = 0; index < ROWS_MAX * COLS_MAX; index++)
		x_values[index] = random_f32(-3.0f, 5.0f);
	random_fill(scale, COLS_MAX);
	random_fill(bias, COLS_MAX);
}

static void run_layernorm(struct layernorm_args *args)
{
	size_t count = (size_t)(args->rows * args->cols);
	double *expected = malloc((count + 1) * sizeof(double));
	double expected_mean[ROWS_MAX], expected_inv_std[ROWS_MAX];
	float *mean = guarded_new((size_t)args->rows * sizeof(float));
	float *inv_std = guarded_new((size_t)args->rows * sizeof(float));
	struct kernel_outputs outputs;

	ref_layernorm(args, expected, expected_mean, expected_inv_std);
	kernel_outputs_init(&outputs, count * sizeof(float));
	for (int device = 0; device < outputs.count; device++) {
		const float *y = args->y = outputs.y[device];

		args->mean = mean;
		args->inv_std = inv_std;
		outputs.devices[device]->kernels[KERNEL_LAYERNORM](args);
		for (size_t index = 0; index < count; index++)
			expect_msg(fabs(y[index] - expected[index]) <= 4e-6,
				      "%s cols %ld: element %zu is %g, not %g",
				      outputs.devices[device]->name, (long)args->cols, index,
				      (double)y[index], expected[index]);
		for (int64_t row = 0; row < args->rows; row++) {
			expect(fabs(mean[row] - expected_mean[row]) <= 1e-6);
			expect(fabs(inv_std[row] / expected_inv_std[row] - 1) <= 2e-6);
		}
		guarded_check(mean, (size_t)args->rows * sizeof(float));
		guarded_check(inv_std, (size_t)args->rows * sizeof(float));
		args->mean = NULL;
		args->inv_std = NULL;
		memset(args->y, KERNEL_FILLER, count * sizeof(float));
		outputs.devices[device]->kernels[KERNEL_LAYERNORM](args);
		for (size_t index = 0; index < count; index++)
			expect(fabs(y[index] - expected[index]) <= 4e-6);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
	guarded_free(mean);
	guarded_free(inv_std);
	free(expected);
}

START_TEST(every_width_agrees_with_the_oracle)
{
	const int64_t cols_sweep[] = { 1, 2, 7, 15, 16, 17, 31, 32, 33, 64, 100, 513, COLS_MAX };

	for (int64_t rows = 0; rows <= ROWS_MAX; rows++)
		for (size_t cols = 0; cols < COUNT(cols_sweep); cols++)
			for (int has_bias = 0; has_bias < 2; has_bias++) {
				struct layernorm_args args = {
					.x = x_values,
					.scale = scale,
					.bias = has_bias ? bias : NULL,
					.rows = rows,
					.cols = cols_sweep[cols],
					.epsilon = 1e-3f,
				};

				run_layernorm(&args);
			}
}
END_TEST

/* _i is the activation. */
START_TEST(an_activation_is_applied_to_the_result)
{
	for (int64_t cols = 1; cols <= 40; cols += 3) {
		struct layernorm_args args = {
			.x = x_values,
			.scale = scale,
			.bias = bias,
			.rows = 3,
			.cols = cols,
			.epsilon = 1e-3f,
			.activation = (enum activation)_i,
			.low = 0.2f,
			.high = 0.7f,
		};

		run_layernorm(&args);
	}
}
END_TEST

START_TEST(a_row_has_the_same_bits_alone_in_any_batch_and_in_place)
{
	for (int64_t cols = 1; cols <= 70; cols++)
		for (int name = 0; name < 3; name++) {
			const char *const names[] = { "baseline", "v3", "v4" };
			const struct device *device = cpu_device_by_name(names[name]);
			float all[ROWS_MAX * 70], part[70];
			struct layernorm_args args = { .x = x_values, .y = all, .scale = scale,
						       .bias = bias, .rows = ROWS_MAX,
						       .cols = cols, .epsilon = 1e-5f };

			if (device == NULL)
				continue;
			device->kernels[KERNEL_LAYERNORM](&args);
			args.rows = 1;
			args.x = args.y = part;
			for (int row = 0; row < ROWS_MAX; row++) {
				memcpy(part, x_values + row * cols, (size_t)cols * sizeof(float));
				device->kernels[KERNEL_LAYERNORM](&args);
				expect(same_run(part, all + row * cols, cols));
			}
		}
}
END_TEST

START_TEST(nan_spoils_only_its_row_and_equal_values_give_the_bias)
{
	float x[3 * 20], y[3 * 20];
	struct layernorm_args args = { .x = x, .y = y, .scale = scale, .bias = bias, .rows = 3,
				       .cols = 20, .epsilon = 1e-5f };

	for (int index = 0; index < 60; index++)
		x[index] = 4.0f;
	x[25] = NAN;
	for (int name = 0; name < 3; name++) {
		const char *const names[] = { "baseline", "v3", "v4" };
		const struct device *device = cpu_device_by_name(names[name]);

		if (device == NULL)
			continue;
		device->kernels[KERNEL_LAYERNORM](&args);
		for (int col = 0; col < 20; col++) {
			expect(y[col] == bias[col]);
			expect(isnan(y[20 + col]));
			expect(y[40 + col] == bias[col]);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("layernorm");
	TCase *tcase = tcase_create("layernorm");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, every_width_agrees_with_the_oracle);
	tcase_add_loop_test(tcase, an_activation_is_applied_to_the_result, 0, ACTIVATION_COUNT);
	tcase_add_test(tcase, a_row_has_the_same_bits_alone_in_any_batch_and_in_place);
	tcase_add_test(tcase, nan_spoils_only_its_row_and_equal_values_give_the_bias);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

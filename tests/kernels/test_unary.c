/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_unary.c - accuracy over all magnitudes, special values, places */
#include <stdlib.h>
#include <string.h>

#include "kernels/ref/ref.h"
#include "kernels/unary.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define CURVE_ERROR 4e-7
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static struct unary_args f32_args(const float *x, int64_t count, enum unary op)
{
	return (struct unary_args){
		.x = x,
		.count = count,
		.op = op,
		.dtype = DTYPE_F32,
		.low = -0.25f,
		.high = 1.5f,
	};
}

static bool close_enough(enum unary op, float x, float y, double expected)
{
	if (isnan(expected))
		return isnan(y);
	switch (op) {
	case UNARY_SIGMOID:
	case UNARY_TANH:
	case UNARY_HARD_SIGMOID:
	case UNARY_ERF:
		return fabs(y - expected) <= CURVE_ERROR;
	case UNARY_ELU:
		return y == (float)expected || fabs(y - expected) <= CURVE_ERROR;
	case UNARY_SIN:
	case UNARY_COS:
		return fabs(y - expected) <= 2 * CURVE_ERROR;
	case UNARY_EXP:
	case UNARY_LOG:
	case UNARY_SOFTPLUS:
		return y == (float)expected ||
		       fabs(y - expected) <= CURVE_ERROR * fabs(expected) + 0x1p-148;
	case UNARY_SILU:
	case UNARY_GELU:
	case UNARY_GELU_TANH:
		if (op == UNARY_GELU && x >= 0x1p127f)
			return isinf(y);
		return fabs(y - expected) <= 6e-7 * fmax(1, fabs(x)) || y == (float)expected;
	default:
		return y == (float)expected;
	}
}

static void run_f32(struct unary_args *args)
{
	double *expected = malloc((size_t)(args->count + 1) * sizeof(double));
	struct kernel_outputs outputs;

	ref_unary_f32(args, expected);
	kernel_outputs_init(&outputs, (size_t)args->count * sizeof(float));
	for (int device = 0; device < outputs.count; device++) {
		const float *y = args->y = outputs.y[device];

		outputs.devices[device]->kernels[KERNEL_UNARY](args);
		for (int64_t index = 0; index < args->count; index++)
			expect_msg(close_enough(args->op, ((const float *)args->x)[index], y[index],
						expected[index]),
				      "%s op %d: x %a gives %a, not %a",
				      outputs.devices[device]->name, (int)args->op,
				      (double)((const float *)args->x)[index], (double)y[index],
				      expected[index]);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
	free(expected);
}

/* _i is the operation. Every exponent and sign, many mantissas. */
START_TEST(floats_of_every_magnitude_stay_within_the_stated_error)
{
	const uint32_t step = 40009;
	const int64_t count = UINT32_MAX / step;
	float *x = malloc((size_t)count * sizeof(float));
	struct unary_args args = f32_args(x, count, (enum unary)_i);

	for (int64_t index = 0; index < count; index++) {
		uint32_t bits = (uint32_t)index * step;

		memcpy(&x[index], &bits, sizeof(bits));
	}
	run_f32(&args);
	random_begin(31);
	for (int64_t index = 0; index < count; index++)
		x[index] = random_f32(-20.0f, 20.0f);
	run_f32(&args);
	free(x);
}
END_TEST

/* _i is the operation. */
START_TEST(special_values_give_their_limits)
{
	const float x[] = {
		NAN, -NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 0x1p-149f, -0x1p-149f, 0x1p-126f,
		88.8f, -88.8f, 104.0f, -104.0f, 0x1.fffffep127f, -0x1.fffffep127f, 0.625f,
		-0.625f, 0x1.3ffffep-1f,
	};
	struct unary_args args = f32_args(x, COUNT(x), (enum unary)_i);

	run_f32(&args);
}
END_TEST

START_TEST(small_results_of_the_curves_keep_their_digits)
{
	float x[2000];
	struct kernel_outputs outputs;

	for (int index = 0; index < 2000; index++)
		x[index] = -0x1p-20f * (float)(1 + index * index * 20);
	kernel_outputs_init(&outputs, sizeof(x));
	for (int device = 0; device < outputs.count; device++) {
		struct unary_args args = f32_args(x, 2000, UNARY_TANH);
		const float *y = args.y = outputs.y[device];

		outputs.devices[device]->kernels[KERNEL_UNARY](&args);
		for (int index = 0; index < 2000; index++)
			expect(fabs(y[index] / tanh(x[index]) - 1) < CURVE_ERROR);
		args.op = UNARY_SIGMOID;
		outputs.devices[device]->kernels[KERNEL_UNARY](&args);
		for (int index = 0; index < 2000; index++)
			expect(fabs(y[index] * (1 + exp(-(double)x[index])) - 1) < CURVE_ERROR);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
}
END_TEST

/* _i is the operation. */
START_TEST(an_element_has_the_same_bits_in_any_place_and_in_place)
{
	float x[70], all[70], part[70];

	random_begin(32);
	for (int index = 0; index < 70; index++)
		x[index] = random_f32(-8.0f, 8.0f);
	for (int64_t count = 0; count <= 70; count++) {
		struct unary_args args = f32_args(x, count, (enum unary)_i);

		run_f32(&args);
	}
	for (int name = 0; name < 3; name++) {
		const char *const names[] = { "baseline", "v3", "v4" };
		const struct device *device = cpu_device_by_name(names[name]);
		struct unary_args args = f32_args(x, 70, (enum unary)_i);

		if (device == NULL)
			continue;
		args.y = all;
		device->kernels[KERNEL_UNARY](&args);
		for (int64_t first = 0; first < 70; first++) {
			memcpy(part, x, sizeof(x));
			args.x = part + first;
			args.y = part + first;
			args.count = 70 - first;
			device->kernels[KERNEL_UNARY](&args);
			expect(same_run(part + first, all + first, 70 - first));
			expect(same_run(part, x, first));
		}
	}
}
END_TEST

START_TEST(clip_with_low_above_high_gives_high)
{
	const float x[] = { -5.0f, 0.0f, 5.0f, NAN };
	float y[4];
	struct unary_args args = f32_args(x, 4, UNARY_CLIP);

	args.low = 2.0f;
	args.high = 1.0f;
	args.y = y;
	cpu_device()->kernels[KERNEL_UNARY](&args);
	expect(y[0] == 1.0f && y[1] == 1.0f && y[2] == 1.0f && isnan(y[3]));
}
END_TEST

static void run_integers(struct unary_args *args)
{
	int64_t expected[64];
	struct kernel_outputs outputs;

	ref_unary_integer(args, expected);
	kernel_outputs_init(&outputs, (size_t)args->count * dtype_bytes(args->dtype));
	for (int device = 0; device < outputs.count; device++) {
		args->y = outputs.y[device];
		outputs.devices[device]->kernels[KERNEL_UNARY](args);
		for (int64_t index = 0; index < args->count; index++)
			expect_int(args->dtype == DTYPE_I32 ? ((int32_t *)args->y)[index] :
								    ((int64_t *)args->y)[index],
					 expected[index]);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
}

START_TEST(integers_are_clipped_exactly)
{
	const enum unary ops[] = { UNARY_RELU, UNARY_CLIP, UNARY_NEG, UNARY_ABS, UNARY_SIGN };
	int64_t wide[64];
	int32_t narrow[64];

	random_begin(33);
	for (int index = 0; index < 64; index++) {
		wide[index] = index == 0 ? INT64_MIN :
			      index == 1 ? INT64_MAX :
					   (int64_t)(random_u64() % 41) - 20;
		narrow[index] = index == 0 ? INT32_MIN :
				index == 1 ? INT32_MAX :
					     (int32_t)wide[index];
	}
	for (int64_t count = 0; count <= 64; count++)
		for (size_t op = 0; op < COUNT(ops); op++) {
			struct unary_args args = {
				.x = wide,
				.count = count,
				.op = ops[op],
				.dtype = DTYPE_I64,
				.low_i64 = -7,
				.high_i64 = 9,
			};

			run_integers(&args);
			args.x = narrow;
			args.dtype = DTYPE_I32;
			run_integers(&args);
			args.low_i64 = INT64_MIN;
			args.high_i64 = INT64_MAX;
			run_integers(&args);
		}
}
END_TEST

START_TEST(not_of_a_byte_is_0_or_1)
{
	const uint8_t x[] = { 0, 1, 1, 0, 2, 255 };
	uint8_t y[6];
	struct unary_args args = { .x = x, .y = y, .count = 6, .op = UNARY_NOT,
				   .dtype = DTYPE_BOOL };

	cpu_device()->kernels[KERNEL_UNARY](&args);
	for (int index = 0; index < 6; index++)
		expect_int(y[index], x[index] == 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("unary");
	TCase *tcase = tcase_create("unary");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, floats_of_every_magnitude_stay_within_the_stated_error,
			    UNARY_RELU, UNARY_NOT);
	tcase_add_loop_test(tcase, special_values_give_their_limits, UNARY_RELU, UNARY_NOT);
	tcase_add_test(tcase, small_results_of_the_curves_keep_their_digits);
	tcase_add_loop_test(tcase, an_element_has_the_same_bits_in_any_place_and_in_place,
			    UNARY_RELU, UNARY_NOT);
	tcase_add_test(tcase, clip_with_low_above_high_gives_high);
	tcase_add_test(tcase, integers_are_clipped_exactly);
	tcase_add_test(tcase, not_of_a_byte_is_0_or_1);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

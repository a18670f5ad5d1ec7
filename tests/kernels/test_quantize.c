/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_quantize.c - to integers and back, by one scale or one an index of an axis */
#include "kernels/quantize.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define INPUTS 4000
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static float floats[INPUTS];
static int32_t integers[INPUTS];
static float scales[16];
static const int64_t inners[] = { 1, 7, 8, 15, 16, 17, 65 };
static const int64_t axes[] = { 1, 3, 16 };

static void setup(void)
{
	random_begin(151);
	for (int index = 0; index < INPUTS; index++) {
		floats[index] = random_f32(-30.0f, 30.0f);
		integers[index] = (int32_t)random_u64() >> 8;
	}
	floats[5] = NAN;
	floats[6] = INFINITY;
	floats[7] = -INFINITY;
	for (int index = 0; index < 16; index++)
		scales[index] = random_f32(0.01f, 0.5f);
}

/* _i: 0 without a zero */
START_TEST(levels_are_rounded_and_saturate)
{
	const enum dtype dtypes[] = { DTYPE_U8, DTYPE_I8 };

	for (size_t dtype = 0; dtype < COUNT(dtypes); dtype++)
		for (size_t axis = 0; axis < COUNT(axes); axis++)
			for (size_t inner = 0; inner < COUNT(inners); inner++) {
				struct quantize_args args = {
					.x = floats, .scale = scales,
					.zero = _i ? integers : NULL, .outer = 2,
					.axis = axes[axis], .inner = inners[inner],
					.dtype = dtypes[dtype],
				};
				int64_t count = args.outer * args.axis * args.inner;
				int64_t expected[INPUTS];
				struct kernel_outputs outputs;

				ref_quantize(&args, expected);
				kernel_outputs_init(&outputs, (size_t)count);
				for (int device = 0; device < outputs.count; device++) {
					args.y = outputs.y[device];
					outputs.devices[device]->kernels[KERNEL_QUANTIZE](&args);
					for (int64_t index = 0; index < count; index++)
						expect_int(ref_read_integer(args.y, args.dtype,
									    index),
							   expected[index]);
				}
				kernel_outputs_check(&outputs);
				kernel_outputs_deinit(&outputs);
			}
}
END_TEST

/* _i: 0 without a zero */
START_TEST(numbers_come_back_rounded_once)
{
	const enum dtype dtypes[] = { DTYPE_U8, DTYPE_I8, DTYPE_I32 };

	for (size_t dtype = 0; dtype < COUNT(dtypes); dtype++)
		for (size_t axis = 0; axis < COUNT(axes); axis++)
			for (size_t inner = 0; inner < COUNT(inners); inner++) {
				struct quantize_args args = {
					.x = integers, .scale = scales,
					.zero = _i ? integers + 40 : NULL, .outer = 2,
					.axis = axes[axis], .inner = inners[inner],
					.dtype = dtypes[dtype],
				};
				int64_t count = args.outer * args.axis * args.inner;
				double expected[INPUTS];
				struct kernel_outputs outputs;

				ref_dequantize(&args, expected);
				kernel_outputs_init(&outputs, (size_t)count * sizeof(float));
				for (int device = 0; device < outputs.count; device++) {
					const float *y = args.y = outputs.y[device];

					outputs.devices[device]->kernels[KERNEL_DEQUANTIZE](&args);
					for (int64_t index = 0; index < count; index++)
						expect(y[index] == (float)expected[index]);
				}
				kernel_outputs_check(&outputs);
				kernel_outputs_deinit(&outputs);
			}
}
END_TEST

/* _i: 0 both signs, 1 none below 0, 2 none above, 3 nothing but 0, 4 with NaN, 5 with an infinity,
 * 6 a range too small for a scale */
START_TEST(the_range_is_that_of_the_numbers)
{
	static float x[INPUTS];

	for (int index = 0; index < INPUTS; index++) {
		float number = random_f32(-3.0f, 5.0f);

		x[index] = _i == 1   ? fabsf(number)
			   : _i == 2 ? -fabsf(number)
			   : _i == 3 ? 0.0f
			   : _i == 6 ? 0x1p-149f
				     : number;
	}
	for (size_t inner = 0; inner < COUNT(inners); inner++) {
		struct quantize_dynamic_args args = { .x = x, .count = inners[inner] * 3 };
		int64_t expected[INPUTS], zero;
		struct kernel_outputs outputs;
		float scale;

		if (_i == 4)
			x[args.count / 2] = NAN;
		if (_i == 5)
			x[args.count - 1] = INFINITY;
		ref_quantize_dynamic(&args, expected, &scale, &zero);
		kernel_outputs_init(&outputs, (size_t)args.count);
		for (int device = 0; device < outputs.count; device++) {
			float found_scale = 0;
			uint8_t found_zero = 0;

			args.y = outputs.y[device];
			args.scale = &found_scale;
			args.zero = &found_zero;
			outputs.devices[device]->kernels[KERNEL_QUANTIZE_DYNAMIC](&args);
			expect(same_f32(found_scale, scale));
			expect_int(found_zero, zero);
			for (int64_t index = 0; index < args.count; index++)
				expect_int(args.y[index], expected[index]);
		}
		kernel_outputs_check(&outputs);
		kernel_outputs_deinit(&outputs);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quantize");
	TCase *tcase = tcase_create("quantize");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_loop_test(tcase, levels_are_rounded_and_saturate, 0, 2);
	tcase_add_loop_test(tcase, numbers_come_back_rounded_once, 0, 2);
	tcase_add_loop_test(tcase, the_range_is_that_of_the_numbers, 0, 7);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

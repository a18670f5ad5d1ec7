/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_scan.c - running sums, extremes along an axis, and ranges */
#include <stdlib.h>
#include <string.h>

#include "kernels/arg.h"
#include "kernels/range.h"
#include "kernels/ref/ref.h"
#include "kernels/scan.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define INPUTS 4096
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static float floats[INPUTS];
static int32_t narrow[INPUTS];
static int64_t wide[INPUTS];
static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_I32, DTYPE_I64 };

static void setup(void)
{
	random_begin(141);
	for (int index = 0; index < INPUTS; index++) {
		wide[index] = (int64_t)(random_u64() % 19) - 9;
		narrow[index] = (int32_t)wide[index];
		floats[index] = (float)wide[index] / 8;
	}
}

static const void *inputs(enum dtype dtype)
{
	return dtype == DTYPE_F32   ? (const void *)floats :
	       dtype == DTYPE_I32 ? (const void *)narrow :
				    wide;
}

/* Every axis and inner size of the sweep. */
static const int64_t axes[] = { 1, 2, 7, 16, 33 };
static const int64_t inners[] = { 1, 3, 15, 16, 17 };

static void run_scan(struct scan_args *args)
{
	size_t count = (size_t)(args->outer * args->axis * args->inner);
	double expected[INPUTS], magnitude[INPUTS];
	struct kernel_outputs outputs;

	ref_scan(args, expected, magnitude);
	kernel_outputs_init(&outputs, count * dtype_bytes(args->dtype));
	for (int device = 0; device < outputs.count; device++) {
		args->y = outputs.y[device];
		outputs.devices[device]->kernels[KERNEL_SCAN](args);
		for (size_t index = 0; index < count; index++)
			expect(fabs(ref_read(args->y, args->dtype, (int64_t)index) -
				    expected[index]) <=
			       (double)args->axis * 0x1p-24 * magnitude[index]);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
}

/* _i: bit 0 exclusive, bit 1 reverse */
START_TEST(sums_run_along_any_axis)
{
	for (size_t dtype = 0; dtype < COUNT(dtypes); dtype++)
		for (size_t axis = 0; axis < COUNT(axes); axis++)
			for (size_t inner = 0; inner < COUNT(inners); inner++) {
				struct scan_args args = {
					.x = inputs(dtypes[dtype]),
					.outer = 3,
					.axis = axes[axis],
					.inner = inners[inner],
					.is_exclusive = _i & 1,
					.is_reverse = _i & 2,
					.dtype = dtypes[dtype],
				};

				run_scan(&args);
			}
}
END_TEST

static void run_arg(struct arg_args *args)
{
	size_t count = (size_t)(args->outer * args->inner);
	int64_t expected[INPUTS];
	struct kernel_outputs outputs;

	ref_arg(args, expected);
	kernel_outputs_init(&outputs, count * sizeof(int64_t));
	for (int device = 0; device < outputs.count; device++) {
		args->y = outputs.y[device];
		outputs.devices[device]->kernels[KERNEL_ARG](args);
		expect(memcmp(args->y, expected, count * sizeof(int64_t)) == 0);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
}

/* _i: bit 0 smallest, bit 1 last */
START_TEST(the_largest_and_smallest_are_found)
{
	for (size_t dtype = 0; dtype < COUNT(dtypes); dtype++)
		for (size_t axis = 0; axis < COUNT(axes); axis++)
			for (size_t inner = 0; inner < COUNT(inners); inner++) {
				struct arg_args args = {
					.x = inputs(dtypes[dtype]),
					.outer = 2,
					.axis = axes[axis],
					.inner = inners[inner],
					.is_smallest = _i & 1,
					.takes_last = _i & 2,
					.dtype = dtypes[dtype],
				};

				run_arg(&args);
				floats[40] = NAN;
				floats[57] = NAN;
				run_arg(&args);
			}
}
END_TEST

START_TEST(a_range_counts_up_and_down)
{
	for (int64_t count = 0; count < 40; count++)
		for (size_t dtype = 0; dtype < COUNT(dtypes); dtype++) {
			struct range_args args = {
				.count = count, .start_i64 = 5, .delta_i64 = -3,
				.start = 0.1f, .delta = 0.3f, .dtype = dtypes[dtype],
			};
			double expected[40];
			struct kernel_outputs outputs;

			ref_range(&args, expected);
			kernel_outputs_init(&outputs, (size_t)count * dtype_bytes(args.dtype));
			for (int device = 0; device < outputs.count; device++) {
				args.y = outputs.y[device];
				outputs.devices[device]->kernels[KERNEL_RANGE](&args);
				for (int64_t index = 0; index < count; index++)
					expect(ref_read(args.y, args.dtype, index) ==
					       ref_round(expected[index], DTYPE_F32));
			}
			kernel_outputs_check(&outputs);
			kernel_outputs_deinit(&outputs);
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scan");
	TCase *tcase = tcase_create("scan");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_loop_test(tcase, sums_run_along_any_axis, 0, 4);
	tcase_add_loop_test(tcase, the_largest_and_smallest_are_found, 0, 4);
	tcase_add_test(tcase, a_range_counts_up_and_down);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

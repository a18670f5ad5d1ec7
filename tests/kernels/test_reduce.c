/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_reduce.c - sums and means along any dimensions */
#include <stdlib.h>
#include <string.h>

#include "kernels/reduce.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define INPUTS 60000
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static float *floats;
static int32_t *narrow;
static int64_t *wide;

static void setup(void)
{
	random_begin(61);
	floats = malloc(INPUTS * sizeof(float));
	narrow = malloc(INPUTS * sizeof(int32_t));
	wide = malloc(INPUTS * sizeof(int64_t));
	random_fill(floats, INPUTS);
	for (int index = 0; index < INPUTS; index++) {
		wide[index] = (int64_t)random_u64() >> (random_u64() % 64);
		narrow[index] = (int32_t)wide[index];
	}
}

static void teardown(void)
{
	free(floats);
	free(narrow);
	free(wide);
}

static int64_t dims_count(const int64_t *dims, uint32_t rank)
{
	int64_t count = 1;

	for (uint32_t dim = 0; dim < rank; dim++)
		count *= dims[dim];
	return count;
}

static void check_f32(const struct reduce_args *args, const char *name, const double *expected,
		      const double *magnitude)
{
	const int64_t terms = dims_count(args->reduced, args->reduced_rank);
	const float *y = args->y;

	for (int64_t index = 0; index < dims_count(args->kept, args->kept_rank); index++) {
		double bound = (double)terms * 0x1p-24 * magnitude[index];

		expect_msg(y[index] == expected[index] ||
				      fabs(y[index] - expected[index]) <= bound + 0x1p-149 ||
				      (isnan(y[index]) && isnan(expected[index])),
			      "%s: element %ld is %g, not %g", name, (long)index,
			      (double)y[index], expected[index]);
	}
}

static void run_reduce(struct reduce_args *args)
{
	int64_t count = dims_count(args->kept, args->kept_rank);
	double *expected = malloc((size_t)(count + 1) * sizeof(double));
	double *magnitude = malloc((size_t)(count + 1) * sizeof(double));
	int64_t *integers = malloc((size_t)(count + 1) * sizeof(int64_t));
	struct kernel_outputs outputs;

	if (args->dtype == DTYPE_F32)
		ref_reduce_f32(args, expected, magnitude);
	else
		ref_reduce_integer(args, integers);
	kernel_outputs_init(&outputs, (size_t)count * dtype_bytes(args->dtype));
	for (int device = 0; device < outputs.count; device++) {
		args->y = outputs.y[device];
		outputs.devices[device]->kernels[KERNEL_REDUCE](args);
		if (args->dtype == DTYPE_F32)
			check_f32(args, outputs.devices[device]->name, expected, magnitude);
		else
			for (int64_t index = 0; index < count; index++)
				expect_int(args->dtype == DTYPE_I32 ?
							 ((int32_t *)args->y)[index] :
							 ((int64_t *)args->y)[index],
						 integers[index]);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
	free(expected);
	free(magnitude);
	free(integers);
}

static void run_every_type(struct reduce_args args)
{
	for (int op = REDUCE_SUM; op < REDUCE_COUNT; op++) {
		args.op = (enum reduce)op;
		args.x = floats;
		args.dtype = DTYPE_F32;
		run_reduce(&args);
		args.x = narrow;
		args.dtype = DTYPE_I32;
		run_reduce(&args);
		args.x = wide;
		args.dtype = DTYPE_I64;
		run_reduce(&args);
	}
}

/* x [outer, axis, inner], reduced along the axis. */
static struct reduce_args axis_args(int64_t outer, int64_t axis, int64_t inner)
{
	return (struct reduce_args){
		.kept = { outer, inner },
		.kept_strides = { axis * inner, 1 },
		.reduced = { axis },
		.reduced_strides = { inner },
		.kept_rank = 2,
		.reduced_rank = 1,
	};
}

START_TEST(sums_along_one_axis_are_right_for_every_size)
{
	const int64_t axis_sweep[] = { 0, 1, 2, 15, 16, 17, 26, 33, 64 };
	const int64_t inner_sweep[] = { 1, 2, 7, 15, 16, 17, 63, 64, 65, 100 };

	for (int64_t outer = 0; outer <= 4; outer += 2)
		for (size_t axis = 0; axis < COUNT(axis_sweep); axis++)
			for (size_t inner = 0; inner < COUNT(inner_sweep); inner++)
				run_every_type(axis_args(outer, axis_sweep[axis],
							 inner_sweep[inner]));
}
END_TEST

START_TEST(several_axes_scalars_and_any_strides_are_right)
{
	struct reduce_args all = { .reduced = { 3, 5, 40 }, .reduced_strides = { 200, 40, 1 },
				   .reduced_rank = 3 };
	struct reduce_args ends = { .kept = { 5 }, .kept_strides = { 40 }, .kept_rank = 1,
				    .reduced = { 3, 40 }, .reduced_strides = { 200, 1 },
				    .reduced_rank = 2 };
	struct reduce_args outside = { .kept = { 6, 7 }, .kept_strides = { 1, 6 }, .kept_rank = 2,
				       .reduced = { 4, 3 }, .reduced_strides = { 126, 42 },
				       .reduced_rank = 2 };
	struct reduce_args nothing = { .kept = { 4, 9 }, .kept_strides = { 9, 1 }, .kept_rank = 2 };
	struct reduce_args backwards = { .kept = { 3 }, .kept_strides = { 20 }, .kept_rank = 1,
					 .reduced = { 20, 1 }, .reduced_strides = { 1, 7 },
					 .reduced_rank = 2 };

	run_every_type(all);
	run_every_type(ends);
	run_every_type(outside);
	run_every_type(nothing);
	run_every_type(backwards);
}
END_TEST

/* _i is the size of the axis. */
START_TEST(an_element_has_the_same_bits_alone_and_beside_others)
{
	const int64_t inner_sweep[] = { 1, 20, 150 };

	for (size_t inner = 0; inner < COUNT(inner_sweep); inner++) {
		struct kernel_outputs outputs;
		struct reduce_args args = axis_args(5, _i, inner_sweep[inner]);
		size_t count = (size_t)(5 * inner_sweep[inner]);

		kernel_outputs_init(&outputs, count * sizeof(float));
		for (int device = 0; device < outputs.count; device++) {
			const float *y = args.y = outputs.y[device];

			args.x = floats;
			args.dtype = DTYPE_F32;
			outputs.devices[device]->kernels[KERNEL_REDUCE](&args);
			for (int64_t index = 0; index < (int64_t)count; index++) {
				struct reduce_args one = args;
				float alone;

				one.x = floats + index / args.kept[1] * args.kept_strides[0] +
					index % args.kept[1];
				one.y = &alone;
				one.kept_rank = 0;
				outputs.devices[device]->kernels[KERNEL_REDUCE](&one);
				expect(same_f32(alone, y[index]));
			}
		}
		kernel_outputs_check(&outputs);
		kernel_outputs_deinit(&outputs);
	}
}
END_TEST

START_TEST(overlapping_windows_have_the_bits_of_each_alone)
{
	struct kernel_outputs outputs;

	kernel_outputs_init(&outputs, 30 * sizeof(float));
	for (int device = 0; device < outputs.count; device++) {
		struct reduce_args args = { .x = floats, .kept = { 30 }, .kept_strides = { 1 },
					    .kept_rank = 1, .reduced = { 40 },
					    .reduced_strides = { 1 }, .reduced_rank = 1,
					    .dtype = DTYPE_F32 };
		const float *y = args.y = outputs.y[device];

		outputs.devices[device]->kernels[KERNEL_REDUCE](&args);
		for (int window = 0; window < 30; window++) {
			float alone;

			args.x = floats + window;
			args.y = &alone;
			args.kept_rank = 0;
			outputs.devices[device]->kernels[KERNEL_REDUCE](&args);
			expect(same_f32(alone, y[window]));
		}
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
}
END_TEST

START_TEST(nan_and_infinity_stay_in_their_element)
{
	struct reduce_args args = axis_args(3, 26, 40);

	floats[5 * 40 + 7] = NAN;
	floats[26 * 40 + 9] = INFINITY;
	args.x = floats;
	args.dtype = DTYPE_F32;
	for (int device = 0; device < 3; device++) {
		const char *const names[] = { "baseline", "v3", "v4" };
		const struct device *table = cpu_device_by_name(names[device]);
		float y[3 * 40];

		if (table == NULL)
			continue;
		args.y = y;
		table->kernels[KERNEL_REDUCE](&args);
		for (int index = 0; index < 120; index++) {
			expect_int(isnan(y[index]) != 0, index == 7);
			expect_int(isinf(y[index]) != 0, index == 49);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reduce");
	TCase *tcase = tcase_create("reduce");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, sums_along_one_axis_are_right_for_every_size);
	tcase_add_test(tcase, several_axes_scalars_and_any_strides_are_right);
	tcase_add_loop_test(tcase, an_element_has_the_same_bits_alone_and_beside_others, 1, 40);
	tcase_add_test(tcase, overlapping_windows_have_the_bits_of_each_alone);
	tcase_add_test(tcase, nan_and_infinity_stay_in_their_element);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

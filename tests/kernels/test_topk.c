/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_topk.c - the best k along any axis, in order, ties and NaN included */
#include <stdlib.h>
#include <string.h>

#include "kernels/ref/ref.h"
#include "kernels/topk.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define INPUTS 8192
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static float floats[INPUTS];
static int32_t narrow[INPUTS];
static int64_t wide[INPUTS];
static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_I32, DTYPE_I64 };

/* Few values, so that there are ties. */
static void setup(void)
{
	random_begin(171);
	for (int index = 0; index < INPUTS; index++) {
		wide[index] = (int64_t)(random_u64() % 23) - 11;
		narrow[index] = (int32_t)wide[index];
		floats[index] = (float)wide[index] / 8;
		if (random_u64() % 16 == 0)
			floats[index] = -0.0f;
	}
}

static const void *inputs(enum dtype dtype)
{
	return dtype == DTYPE_F32   ? (const void *)floats :
	       dtype == DTYPE_I32 ? (const void *)narrow :
				    wide;
}

static void values_check(const struct topk_args *args)
{
	size_t bytes = dtype_bytes(args->dtype);

	for (int64_t place = 0; place < args->outer * args->k * args->inner; place++) {
		int64_t outer = place / (args->k * args->inner);
		int64_t source = (outer * args->axis + args->indices[place]) * args->inner +
				 place % args->inner;

		expect(memcmp((const char *)args->y + (size_t)place * bytes,
			      (const char *)args->x + (size_t)source * bytes, bytes) == 0);
	}
}

static void run_topk(struct topk_args *args)
{
	size_t count = (size_t)(args->outer * args->k * args->inner);
	int64_t *expected = malloc((count + 1) * sizeof(*expected));
	void *y = guarded_new(count * dtype_bytes(args->dtype));
	struct kernel_outputs outputs;

	ref_topk(args, expected);
	kernel_outputs_init(&outputs, count * sizeof(int64_t));
	for (int device = 0; device < outputs.count; device++) {
		args->indices = outputs.y[device];
		args->y = y;
		outputs.devices[device]->kernels[KERNEL_TOPK](args);
		expect(memcmp(args->indices, expected, count * sizeof(int64_t)) == 0);
		values_check(args);
		guarded_check(y, count * dtype_bytes(args->dtype));

		memset(args->indices, KERNEL_FILLER, count * sizeof(int64_t));
		args->y = NULL;
		outputs.devices[device]->kernels[KERNEL_TOPK](args);
		expect(memcmp(args->indices, expected, count * sizeof(int64_t)) == 0);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
	guarded_free(y);
	free(expected);
}

static void sweep(bool is_smallest)
{
	static const int64_t axes[] = { 1, 2, 3, 16, 17, 100 };
	static const int64_t inners[] = { 1, 3, 16 };

	for (size_t dtype = 0; dtype < COUNT(dtypes); dtype++)
		for (size_t axis = 0; axis < COUNT(axes); axis++)
			for (size_t inner = 0; inner < COUNT(inners); inner++)
				for (int64_t k = 0; k <= axes[axis]; k += 1 + k / 4) {
					struct topk_args args = {
						.x = inputs(dtypes[dtype]),
						.outer = 2,
						.axis = axes[axis],
						.inner = inners[inner],
						.k = k,
						.is_smallest = is_smallest,
						.dtype = dtypes[dtype],
					};

					run_topk(&args);
					args.k = axes[axis];
					run_topk(&args);
				}
}

/* _i: smallest */
START_TEST(the_best_are_in_order_and_the_first_of_equals_comes_first)
{
	sweep(_i);
}
END_TEST

/* _i: smallest */
START_TEST(nan_is_larger_than_all_numbers)
{
	static const float special[] = { NAN, INFINITY, -INFINITY, NAN, 0.0f, -0.0f, 1e-45f };

	floats[1] = -NAN;
	for (int index = 0; index < INPUTS; index += 11)
		floats[index] = special[(index / 11) % (int)COUNT(special)];
	sweep(_i);
}
END_TEST

START_TEST(the_ends_of_int64_are_numbers_like_others)
{
	const int64_t ends[] = { INT64_MAX, 0, INT64_MIN, INT64_MAX, -1, INT64_MIN };
	int64_t indices[6];
	struct topk_args args = {
		.x = ends, .indices = indices, .outer = 1, .axis = 6, .inner = 1, .k = 6,
		.dtype = DTYPE_I64,
	};

	cpu_device()->kernels[KERNEL_TOPK](&args);
	ck_assert_mem_eq(indices, ((const int64_t[]){ 0, 3, 1, 4, 2, 5 }), sizeof(indices));
	args.is_smallest = true;
	cpu_device()->kernels[KERNEL_TOPK](&args);
	ck_assert_mem_eq(indices, ((const int64_t[]){ 2, 5, 4, 1, 0, 3 }), sizeof(indices));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("topk");
	TCase *tcase = tcase_create("topk");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_loop_test(tcase, the_best_are_in_order_and_the_first_of_equals_comes_first, 0, 2);
	tcase_add_loop_test(tcase, nan_is_larger_than_all_numbers, 0, 2);
	tcase_add_test(tcase, the_ends_of_int64_are_numbers_like_others);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_points.c - slices and elements by ids, and what is told about ids outside */
#include <stdlib.h>
#include <string.h>

#include "kernels/gather_elements.h"
#include "kernels/points.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define DIM_MAX 7
#define IDS 1024
#define DATA_BYTES (1 << 19)
#define SLICE_MAX 40
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static char *data;
static int64_t ids64[IDS];
static int32_t ids32[IDS];
static const int64_t dims[KERNEL_RANK_MAX] = { 5, 7, 1, 3, 2, 2 };

/* Ids within the smallest dim that is not 1 and its negatives, one in eight outside of some. */
static void setup(void)
{
	static const int64_t strange[] = { 5, 7, -8, -6, INT32_MAX, INT32_MIN, 3, -3 };

	random_begin(181);
	data = malloc(DATA_BYTES);
	for (size_t word = 0; word < DATA_BYTES / sizeof(float); word++)
		((float *)(void *)data)[word] = random_f32(-4.0f, 4.0f);
	for (int id = 0; id < IDS; id++) {
		ids64[id] = (int64_t)(random_u64() % 4) - 2;
		if (random_u64() % 8 == 0)
			ids64[id] = strange[random_u64() % COUNT(strange)];
		ids32[id] = (int32_t)ids64[id];
	}
}

static void teardown(void)
{
	free(data);
}

static struct points plain_points(uint32_t depth, int64_t count, int64_t inner)
{
	struct points points = {
		.ids = ids64,
		.batch = 1,
		.count = count,
		.inner = inner,
		.ids_per_row = 2 * depth,
		.depth = depth,
		.element_bytes = 4,
		.site = 6,
		.ids_dtype = DTYPE_I64,
	};

	memcpy(points.dims, dims, sizeof(dims));
	return points;
}

static size_t status_bytes_of(const struct points *points)
{
	return (size_t)(points->batch * points->count * points->depth / points->ids_per_row + 1) *
	       sizeof(struct row_status);
}

static void run_gather_nd(struct gather_nd_args *args)
{
	size_t bytes = (size_t)(args->points.batch * args->points.count * args->points.inner) *
		       args->points.element_bytes;
	size_t status_bytes = status_bytes_of(&args->points);
	struct row_status *expected_status = calloc(1, status_bytes);
	struct row_status *status = guarded_new(status_bytes);
	void *expected = malloc(bytes + 1);
	struct kernel_outputs outputs;

	ref_gather_nd(args, expected, expected_status);
	kernel_outputs_init(&outputs, bytes);
	for (int device = 0; device < outputs.count; device++) {
		args->y = outputs.y[device];
		args->points.status = status;
		memset(status, 0, status_bytes);
		outputs.devices[device]->kernels[KERNEL_GATHER_ND](args);
		expect(memcmp(args->y, expected, bytes) == 0);
		expect(memcmp(status, expected_status, status_bytes) == 0);
		guarded_check(status, status_bytes);

		memset(args->y, KERNEL_FILLER, bytes);
		args->points.status = NULL;
		outputs.devices[device]->kernels[KERNEL_GATHER_ND](args);
		expect(memcmp(args->y, expected, bytes) == 0);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
	guarded_free(status);
	free(expected_status);
	free(expected);
}

/* _i is the depth. */
START_TEST(slices_are_gathered_by_their_coordinates)
{
	static const int64_t inners[] = { 1, 2, 3, 8, 17, SLICE_MAX };
	static const int64_t counts[] = { 0, 1, 2, 9, 50 };
	static const uint32_t widths[] = { 1, 2, 4, 8 };

	for (size_t inner = 0; inner < COUNT(inners); inner++)
		for (size_t count = 0; count < COUNT(counts); count++)
			for (size_t width = 0; width < COUNT(widths); width++)
				for (int64_t batch = 1; batch <= 3; batch++) {
					struct gather_nd_args args = {
						.points = plain_points((uint32_t)_i, counts[count],
								       inners[inner]),
						.x = data,
					};

					args.points.element_bytes = widths[width];
					args.points.batch = batch;
					run_gather_nd(&args);
					args.points.ids = ids32;
					args.points.ids_dtype = DTYPE_I32;
					run_gather_nd(&args);
				}
}
END_TEST

static void scatter_check(const struct scatter_nd_args *args, const double *expected,
			  const double *magnitude, int64_t count)
{
	for (int64_t index = 0; index < count; index++) {
		double y = ref_read(args->y, args->dtype, index);

		if (isnan(y) && isnan(expected[index]))
			continue;
		expect_msg(fabs(y - expected[index]) <=
				   (double)args->points.count * 0x1p-24 * magnitude[index],
			   "element %lld is %g, not %g", (long long)index, y, expected[index]);
	}
}

static void run_scatter_nd(struct scatter_nd_args *args)
{
	struct points *points = &args->points;
	size_t status_bytes = status_bytes_of(points);
	struct row_status *expected_status = calloc(1, status_bytes);
	struct row_status *status = guarded_new(status_bytes);
	struct kernel_outputs outputs;
	double *expected, *magnitude;
	int64_t elements = points->inner;

	for (uint32_t axis = 0; axis < points->depth; axis++)
		elements *= points->dims[axis];
	expected = calloc((size_t)elements, sizeof(double));
	magnitude = calloc((size_t)elements, sizeof(double));
	for (int64_t index = 0; index < elements; index++) {
		expected[index] = ref_read(data, args->dtype, index);
		magnitude[index] = fabs(expected[index]);
	}
	ref_scatter_nd(args, expected, magnitude, expected_status);
	kernel_outputs_init(&outputs, (size_t)elements * points->element_bytes);
	for (int device = 0; device < outputs.count; device++) {
		args->y = outputs.y[device];
		points->status = status;
		memset(status, 0, status_bytes);
		memcpy(args->y, data, outputs.bytes);
		outputs.devices[device]->kernels[KERNEL_SCATTER_ND](args);
		scatter_check(args, expected, magnitude, elements);
		expect(memcmp(status, expected_status, status_bytes) == 0);
		guarded_check(status, status_bytes);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
	guarded_free(status);
	free(expected_status);
	free(expected);
	free(magnitude);
}

/* Small numbers, which a double has exactly; the updates are behind what is scattered into. */
static void data_fill(enum dtype dtype)
{
	for (int64_t index = 0; index < 16384; index++) {
		int64_t number = (int64_t)(random_u64() % 5) - 2;

		if (dtype == DTYPE_I32)
			((int32_t *)(void *)data)[index] = (int32_t)number;
		else if (dtype == DTYPE_I64)
			((int64_t *)(void *)data)[index] = number;
		else if (dtype == DTYPE_F32 && index % 97 == 0)
			((float *)(void *)data)[index] = NAN;
	}
}

/* _i is the operation. Many points name one slice. */
START_TEST(updates_are_scattered_in_their_order)
{
	static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_I32, DTYPE_I64, DTYPE_U8, DTYPE_F16 };
	static const int64_t inners[] = { 1, 3, 8, 17 };
	static const int64_t counts[] = { 0, 1, 6, 60 };

	for (size_t dtype = 0; dtype < (_i == SCATTER_SET ? COUNT(dtypes) : 3); dtype++)
		for (size_t inner = 0; inner < COUNT(inners); inner++)
			for (size_t count = 0; count < COUNT(counts); count++)
				for (uint32_t depth = 1; depth <= 4; depth++) {
					struct scatter_nd_args args = {
						.points = plain_points(depth, counts[count],
								       inners[inner]),
						.updates = data + DATA_BYTES / 16,
						.op = (enum scatter)_i,
						.dtype = dtypes[dtype],
					};

					args.points.element_bytes = dtype_bytes(dtypes[dtype]);
					data_fill(dtypes[dtype]);
					run_scatter_nd(&args);
				}
}
END_TEST

static void run_gather_elements(struct gather_elements_args *args)
{
	size_t count = 1, status_bytes;
	struct row_status *expected_status, *status;
	struct kernel_outputs outputs;
	void *expected;

	for (uint32_t dim = 0; dim < args->rank; dim++)
		count *= (size_t)args->dims[dim];
	status_bytes = (count / (size_t)args->ids_per_row + 1) * sizeof(*status);
	expected = malloc(count * args->element_bytes + 1);
	expected_status = calloc(1, status_bytes);
	status = guarded_new(status_bytes);
	ref_gather_elements(args, expected, expected_status);
	kernel_outputs_init(&outputs, count * args->element_bytes);
	for (int device = 0; device < outputs.count; device++) {
		args->y = outputs.y[device];
		args->status = device == 0 ? NULL : status;
		memset(status, 0, status_bytes);
		outputs.devices[device]->kernels[KERNEL_GATHER_ELEMENTS](args);
		expect(memcmp(args->y, expected, outputs.bytes) == 0);
		expect(device == 0 || memcmp(status, expected_status, status_bytes) == 0);
		guarded_check(status, status_bytes);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
	guarded_free(status);
	free(expected_status);
	free(expected);
}

/* _i is the axis of three. */
START_TEST(elements_are_picked_along_any_axis)
{
	static const int64_t lengths[] = { 0, 1, 2, 7, 16 };
	static const uint32_t widths[] = { 1, 2, 4, 8 };

	for (size_t length = 0; length < COUNT(lengths); length++)
		for (size_t width = 0; width < COUNT(widths); width++) {
			const int64_t strides[] = { DIM_MAX * DIM_MAX, DIM_MAX, 1 };
			struct gather_elements_args args = {
				.x = data,
				.ids = ids64,
				.dims = { 3, 7, 4 },
				.axis = DIM_MAX,
				.axis_stride = strides[_i],
				.ids_per_row = 5,
				.rank = 3,
				.element_bytes = widths[width],
				.site = 2,
				.ids_dtype = DTYPE_I64,
			};

			memcpy(args.x_strides, strides, sizeof(strides));
			args.x_strides[_i] = 0;
			args.dims[_i] = lengths[length];
			run_gather_elements(&args);
			args.ids = ids32;
			args.ids_dtype = DTYPE_I32;
			run_gather_elements(&args);
			args.rank = 0;
			run_gather_elements(&args);
		}
}
END_TEST

START_TEST(huge_ids_name_nothing)
{
	const int64_t huge[] = {
		INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1, 1ll << 32, -(1ll << 32),
		(1ll << 62) + 3, (1ll << 32) + 1, 4, -5, -6, 5,
	};
	struct gather_nd_args gather = { .points = plain_points(1, COUNT(huge), 3), .x = data };
	struct scatter_nd_args scatter = {
		.points = plain_points(1, COUNT(huge), 3),
		.updates = data + DATA_BYTES / 16,
		.dtype = DTYPE_F32,
	};
	struct gather_elements_args elements = {
		.x = data, .ids = huge, .dims = { COUNT(huge) }, .axis = 5, .axis_stride = 1,
		.ids_per_row = 1, .rank = 1, .element_bytes = 4, .ids_dtype = DTYPE_I64,
	};

	gather.points.ids = huge;
	run_gather_nd(&gather);
	scatter.points.ids = huge;
	run_scatter_nd(&scatter);
	run_gather_elements(&elements);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("points");
	TCase *tcase = tcase_create("points");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, slices_are_gathered_by_their_coordinates, 1,
			    KERNEL_RANK_MAX + 1);
	tcase_add_loop_test(tcase, updates_are_scattered_in_their_order, SCATTER_SET,
			    SCATTER_MIN + 1);
	tcase_add_loop_test(tcase, elements_are_picked_along_any_axis, 0, 3);
	tcase_add_test(tcase, huge_ids_name_nothing);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

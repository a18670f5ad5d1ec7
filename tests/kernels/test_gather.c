/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_gather.c - rows by id, and what is told about ids outside the table */
#include <stdlib.h>
#include <string.h>

#include "kernels/gather.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define AXIS 37
#define DATA_WORDS (3 * AXIS * 300 * 2)
#define COUNT_MAX 400
#define STRIDE_MAX 3
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static uint32_t *data;
static int64_t ids64[COUNT_MAX * STRIDE_MAX];
static int32_t ids32[COUNT_MAX * STRIDE_MAX];

static const int64_t strange_ids[] = {
	-1, -AXIS, -AXIS - 1, AXIS, AXIS - 1, INT32_MAX, INT32_MIN,
};

static void setup(void)
{
	random_begin(21);
	data = malloc(DATA_WORDS * sizeof(uint32_t));
	for (int64_t word = 0; word < DATA_WORDS; word++)
		data[word] = (uint32_t)random_u64();
	for (int id = 0; id < COUNT_MAX * STRIDE_MAX; id++) {
		uint64_t choice = random_u64() % 20;

		ids64[id] = (int64_t)(random_u64() % AXIS);
		if (choice < COUNT(strange_ids))
			ids64[id] = strange_ids[choice];
		ids32[id] = (int32_t)ids64[id];
	}
}

static void teardown(void)
{
	free(data);
}

static struct gather_args plain_args(int64_t count, int64_t inner)
{
	return (struct gather_args){
		.data = data,
		.ids = ids64,
		.outer = 1,
		.axis = AXIS,
		.inner = inner,
		.count = count,
		.ids_stride = 1,
		.ids_per_row = 1,
		.missing_row = 5,
		.element_bytes = 4,
		.site = 6,
		.ids_dtype = DTYPE_I64,
		.missing = MISSING_WRAP,
	};
}

static void run_gather(struct gather_args *args)
{
	size_t bytes = (size_t)(args->outer * args->count * args->inner) * args->element_bytes;
	size_t status_bytes = (size_t)args->count * sizeof(struct row_status);
	struct row_status *expected_status =
		calloc((size_t)args->count + 1, sizeof(*expected_status));
	struct row_status *status = guarded_new(status_bytes);
	void *expected = malloc(bytes + 1);
	struct kernel_outputs outputs;

	ref_gather(args, expected, expected_status);
	kernel_outputs_init(&outputs, bytes);
	for (int device = 0; device < outputs.count; device++) {
		args->y = outputs.y[device];
		args->status = status;
		memset(status, 0, status_bytes);
		outputs.devices[device]->kernels[KERNEL_GATHER](args);
		expect(memcmp(outputs.y[device], expected, bytes) == 0);
		expect(memcmp(status, expected_status, status_bytes) == 0);
		guarded_check(status, status_bytes);

		memset(outputs.y[device], KERNEL_FILLER, bytes);
		args->status = NULL;
		outputs.devices[device]->kernels[KERNEL_GATHER](args);
		expect(memcmp(outputs.y[device], expected, bytes) == 0);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
	guarded_free(status);
	free(expected_status);
	free(expected);
}

/* _i is the policy. */
START_TEST(every_policy_is_right_for_every_width_and_count)
{
	const int64_t inner_sweep[] = { 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 32, 33, 64, 129, 300 };
	const int64_t count_sweep[] = { 0, 1, 2, 23, 24, 25, 127, 128, 129, 400 };

	for (size_t inner = 0; inner < COUNT(inner_sweep); inner++)
		for (size_t count = 0; count < COUNT(count_sweep); count++)
			for (uint32_t element_bytes = 4; element_bytes <= 8; element_bytes += 4) {
				struct gather_args args =
					plain_args(count_sweep[count], inner_sweep[inner]);

				args.element_bytes = element_bytes;
				args.missing = (enum missing)_i;
				args.ids_per_row = 1 + (int64_t)inner;
				run_gather(&args);
				args.ids = ids32;
				args.ids_dtype = DTYPE_I32;
				run_gather(&args);
			}
}
END_TEST

/* _i is the policy. */
START_TEST(strided_ids_and_outer_dimensions_are_right)
{
	for (int64_t stride = 0; stride <= STRIDE_MAX; stride++)
		for (int64_t outer = 0; outer <= 3; outer++) {
			struct gather_args args = plain_args(150, 5);

			args.ids_stride = stride;
			args.outer = outer;
			args.ids_per_row = 15;
			args.missing = (enum missing)_i;
			run_gather(&args);
		}
}
END_TEST

/* _i is the policy. */
START_TEST(huge_ids_never_leave_the_table)
{
	const int64_t huge[] = {
		INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1, 1ll << 32, -(1ll << 32),
		(1ll << 62) + 3, (1ll << 32) + 1, AXIS, -AXIS, -AXIS - 1,
	};
	struct gather_args args = plain_args(COUNT(huge), 16);

	args.ids = huge;
	args.missing = (enum missing)_i;
	run_gather(&args);
}
END_TEST

START_TEST(a_status_belongs_to_the_batch_row_of_the_id)
{
	const int64_t ids[] = { 1, 2, 3, 4, AXIS, 5, -1, AXIS, 6, 7, 8, 9 };
	struct kernel_outputs outputs;

	kernel_outputs_init(&outputs, COUNT(ids) * 4 * sizeof(float));
	for (int device = 0; device < outputs.count; device++) {
		struct row_status status[4] = { { 0, 0 }, { 0, 0 }, { 0, 3 }, { 0, 0 } };
		struct gather_args args = plain_args(COUNT(ids), 4);

		args.ids = ids;
		args.ids_per_row = 3;
		args.y = outputs.y[device];
		args.status = status;
		args.missing = MISSING_ERROR;
		outputs.devices[device]->kernels[KERNEL_GATHER](&args);
		ck_assert_uint_eq(status[0].error, 0);
		ck_assert_uint_eq(status[1].error, 7);
		ck_assert_uint_eq(status[2].error, 3);
		ck_assert_uint_eq(status[3].error, 0);
		args.missing = MISSING_ROW;
		outputs.devices[device]->kernels[KERNEL_GATHER](&args);
		ck_assert_uint_eq(status[1].substituted, 1);
		ck_assert_uint_eq(status[2].substituted, 2);
		ck_assert_uint_eq(status[3].substituted, 0);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gather");
	TCase *tcase = tcase_create("gather");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, every_policy_is_right_for_every_width_and_count, MISSING_WRAP,
			    MISSING_ROW + 1);
	tcase_add_loop_test(tcase, strided_ids_and_outer_dimensions_are_right, MISSING_WRAP,
			    MISSING_ROW + 1);
	tcase_add_loop_test(tcase, huge_ids_never_leave_the_table, MISSING_WRAP, MISSING_ROW + 1);
	tcase_add_test(tcase, a_status_belongs_to_the_batch_row_of_the_id);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_compare.c - comparisons, logic and choices, by every type and layout */
#include <stdlib.h>
#include <string.h>

#include "kernels/compare.h"
#include "kernels/ref/ref.h"
#include "kernels/where.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define INPUTS 1024
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static float floats[2][INPUTS];
static int32_t narrow[2][INPUTS];
static int64_t wide[2][INPUTS];
static uint8_t bools[3][INPUTS];

/* Shapes and strides of three operands. */
static const struct {
	uint32_t rank;
	int64_t dims[3];
	int64_t strides[3][3];
} layouts[] = {
	{ 0, { 0 }, { { 0 }, { 0 }, { 0 } } },
	{ 1, { 0 }, { { 1 }, { 1 }, { 1 } } },
	{ 1, { 1 }, { { 1 }, { 0 }, { 1 } } },
	{ 1, { 15 }, { { 1 }, { 1 }, { 1 } } },
	{ 1, { 16 }, { { 1 }, { 0 }, { 1 } } },
	{ 1, { 17 }, { { 0 }, { 1 }, { 0 } } },
	{ 1, { 129 }, { { 1 }, { 1 }, { 1 } } },
	{ 2, { 5, 13 }, { { 13, 1 }, { 13, 1 }, { 0, 1 } } },
	{ 2, { 5, 13 }, { { 13, 1 }, { 0, 1 }, { 1, 0 } } },
	{ 2, { 7, 9 }, { { 1, 7 }, { 9, 1 }, { 0, 0 } } },
	{ 3, { 4, 6, 16 }, { { 96, 16, 1 }, { 6, 1, 0 }, { 0, 16, 1 } } },
	{ 3, { 2, 0, 3 }, { { 0, 3, 1 }, { 0, 3, 1 }, { 0, 3, 1 } } },
};

static void setup(void)
{
	random_begin(131);
	for (int side = 0; side < 2; side++)
		for (int index = 0; index < INPUTS; index++) {
			wide[side][index] = (int64_t)(random_u64() % 7) - 3;
			narrow[side][index] = (int32_t)wide[side][index];
			floats[side][index] = index % 50 == 7 ? NAN : (float)wide[side][index];
		}
	for (int side = 0; side < 3; side++)
		for (int index = 0; index < INPUTS; index++)
			bools[side][index] = random_u64() & 1;
}

static const void *inputs(enum dtype dtype, int side)
{
	if (dtype == DTYPE_BOOL)
		return bools[side];
	if (dtype == DTYPE_F32)
		return floats[side];
	return dtype == DTYPE_I32 ? (const void *)narrow[side] : wide[side];
}

static size_t layout_count(size_t layout)
{
	size_t count = 1;

	for (uint32_t dim = 0; dim < layouts[layout].rank; dim++)
		count *= (size_t)layouts[layout].dims[dim];
	return count;
}

static void run_compare(size_t layout, enum compare op, enum dtype dtype)
{
	struct compare_args args = {
		.a = inputs(dtype, 0), .b = inputs(dtype, 1), .rank = layouts[layout].rank,
		.op = op, .dtype = dtype,
	};
	size_t count = layout_count(layout);
	uint8_t expected[INPUTS];
	struct kernel_outputs outputs;

	memcpy(args.dims, layouts[layout].dims, sizeof(layouts[layout].dims));
	memcpy(args.a_strides, layouts[layout].strides[0], sizeof(layouts[layout].strides[0]));
	memcpy(args.b_strides, layouts[layout].strides[1], sizeof(layouts[layout].strides[1]));
	ref_compare(&args, expected);
	kernel_outputs_init(&outputs, count);
	for (int device = 0; device < outputs.count; device++) {
		args.y = outputs.y[device];
		outputs.devices[device]->kernels[KERNEL_COMPARE](&args);
		expect(memcmp(args.y, expected, count) == 0);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
}

START_TEST(every_comparison_type_and_layout_is_right)
{
	const enum dtype dtypes[] = { DTYPE_F32, DTYPE_I32, DTYPE_I64 };

	for (size_t layout = 0; layout < COUNT(layouts); layout++) {
		for (int op = COMPARE_EQUAL; op <= COMPARE_GREATER_OR_EQUAL; op++)
			for (size_t dtype = 0; dtype < COUNT(dtypes); dtype++)
				run_compare(layout, (enum compare)op, dtypes[dtype]);
		for (int op = COMPARE_AND; op <= COMPARE_XOR; op++)
			run_compare(layout, (enum compare)op, DTYPE_BOOL);
		run_compare(layout, COMPARE_EQUAL, DTYPE_BOOL);
	}
}
END_TEST

START_TEST(every_width_and_layout_is_chosen_right)
{
	for (size_t layout = 0; layout < COUNT(layouts); layout++)
		for (uint32_t bytes = 1; bytes <= 8; bytes *= 2) {
			struct where_args args = {
				.condition = bools[2], .a = wide[0], .b = wide[1],
				.rank = layouts[layout].rank, .element_bytes = bytes,
			};
			size_t count = layout_count(layout);
			uint64_t expected[INPUTS];
			struct kernel_outputs outputs;

			memcpy(args.dims, layouts[layout].dims, sizeof(layouts[layout].dims));
			memcpy(args.condition_strides, layouts[layout].strides[0],
			       sizeof(layouts[layout].strides[0]));
			memcpy(args.a_strides, layouts[layout].strides[1],
			       sizeof(layouts[layout].strides[1]));
			memcpy(args.b_strides, layouts[layout].strides[2],
			       sizeof(layouts[layout].strides[2]));
			ref_where(&args, expected);
			kernel_outputs_init(&outputs, count * bytes);
			for (int device = 0; device < outputs.count; device++) {
				args.y = outputs.y[device];
				outputs.devices[device]->kernels[KERNEL_WHERE](&args);
				expect(memcmp(args.y, expected, count * bytes) == 0);
			}
			kernel_outputs_check(&outputs);
			kernel_outputs_deinit(&outputs);
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("compare");
	TCase *tcase = tcase_create("compare");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, every_comparison_type_and_layout_is_right);
	tcase_add_test(tcase, every_width_and_layout_is_chosen_right);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

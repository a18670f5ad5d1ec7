/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_binary.c - every operation, type and way to broadcast */
#include <stdlib.h>
#include <string.h>

#include "kernels/binary.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define INPUTS 4096
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static float floats[2][INPUTS];
static int32_t narrow[2][INPUTS];
static int64_t wide[2][INPUTS];

static const float strange_floats[] = {
	NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 0x1p-149f, 2.0f, 0.5f,
};
static const int64_t strange_integers[] = { 0, -1, 1, INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX };

static void setup(void)
{
	random_begin(41);
	for (int side = 0; side < 2; side++)
		for (int index = 0; index < INPUTS; index++) {
			uint64_t choice = random_u64() % 32;

			floats[side][index] = random_f32(-3.0f, 3.0f);
			wide[side][index] = (int64_t)random_u64() >> (random_u64() % 64);
			if (choice < COUNT(strange_floats))
				floats[side][index] = strange_floats[choice];
			if (choice < COUNT(strange_integers))
				wide[side][index] = strange_integers[choice];
			narrow[side][index] = (int32_t)wide[side][index];
		}
}

static const void *inputs(enum dtype dtype, int side)
{
	if (dtype == DTYPE_F32)
		return floats[side];
	return dtype == DTYPE_I32 ? (const void *)narrow[side] : wide[side];
}

/* One unit in the last place for pow, the very value otherwise. */
static bool close_enough(enum binary op, float y, double expected)
{
	float rounded = (float)expected;

	if (op != BINARY_POW || isinf(rounded) || isnan(rounded))
		return y == rounded || (isnan(y) && isnan(rounded));
	return y == rounded || y == nextafterf(rounded, INFINITY) ||
	       y == nextafterf(rounded, -INFINITY);
}

static void check_f32(const struct binary_args *args, const char *name, int64_t count,
		      const double *expected)
{
	const float *y = args->y;

	for (int64_t index = 0; index < count; index++)
		expect_msg(close_enough(args->op, y[index], expected[index]),
			      "%s op %d: element %ld is %a, not %a", name, (int)args->op,
			      (long)index, (double)y[index], expected[index]);
}

static void run_binary(struct binary_args *args)
{
	struct kernel_outputs outputs;
	int64_t count = 1;
	int64_t *integers;
	double *numbers;

	for (uint32_t dim = 0; dim < args->rank; dim++)
		count *= args->dims[dim];
	integers = malloc((size_t)(count + 1) * sizeof(int64_t));
	numbers = malloc((size_t)(count + 1) * sizeof(double));
	if (args->dtype == DTYPE_F32)
		ref_binary_f32(args, numbers);
	else
		ref_binary_integer(args, integers);
	kernel_outputs_init(&outputs, (size_t)count * dtype_bytes(args->dtype));
	for (int device = 0; device < outputs.count; device++) {
		args->y = outputs.y[device];
		outputs.devices[device]->kernels[KERNEL_BINARY](args);
		if (args->dtype == DTYPE_F32)
			check_f32(args, outputs.devices[device]->name, count, numbers);
		else
			for (int64_t index = 0; index < count; index++)
				expect_int(args->dtype == DTYPE_I32 ?
							 ((int32_t *)args->y)[index] :
							 ((int64_t *)args->y)[index],
						 integers[index]);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
	free(integers);
	free(numbers);
}

/* Shapes and strides of both operands; every dimension, then a's, then b's strides. */
static const struct {
	uint32_t rank;
	int64_t dims[4];
	int64_t a_strides[4];
	int64_t b_strides[4];
} layouts[] = {
	{ 0, { 0 }, { 0 }, { 0 } },
	{ 1, { 0 }, { 1 }, { 1 } },
	{ 1, { 1 }, { 1 }, { 0 } },
	{ 1, { 15 }, { 1 }, { 1 } },
	{ 1, { 16 }, { 1 }, { 0 } },
	{ 1, { 17 }, { 0 }, { 1 } },
	{ 1, { 33 }, { 0 }, { 0 } },
	{ 2, { 5, 13 }, { 13, 1 }, { 13, 1 } },
	{ 2, { 5, 13 }, { 13, 1 }, { 0, 1 } },
	{ 2, { 5, 13 }, { 13, 1 }, { 1, 0 } },
	{ 2, { 5, 13 }, { 1, 0 }, { 0, 1 } },
	{ 2, { 13, 1 }, { 1, 1 }, { 1, 0 } },
	{ 2, { 7, 9 }, { 1, 7 }, { 9, 1 } },
	{ 2, { 3, 100 }, { 120, 1 }, { 0, 0 } },
	{ 3, { 4, 6, 16 }, { 96, 16, 1 }, { 6, 1, 0 } },
	{ 3, { 4, 6, 16 }, { 96, 16, 1 }, { 16, 0, 1 } },
	{ 3, { 2, 0, 3 }, { 0, 3, 1 }, { 0, 3, 1 } },
	{ 4, { 2, 3, 4, 5 }, { 60, 20, 5, 1 }, { 0, 20, 0, 1 } },
	{ 4, { 2, 1, 1, 33 }, { 33, 7, 5, 1 }, { 0, 0, 0, 2 } },
};

static void layout_fill(struct binary_args *args, size_t layout)
{
	args->rank = layouts[layout].rank;
	memcpy(args->dims, layouts[layout].dims, sizeof(layouts[layout].dims));
	memcpy(args->a_strides, layouts[layout].a_strides, sizeof(layouts[layout].a_strides));
	memcpy(args->b_strides, layouts[layout].b_strides, sizeof(layouts[layout].b_strides));
}

/* Powers of any numbers take the reference too long; they have tests of their own. */
static bool is_for_every_type(int op, enum dtype dtype)
{
	return op != BINARY_POW && (op != BINARY_PRELU || dtype == DTYPE_F32);
}

START_TEST(every_operation_type_and_layout_is_right)
{
	const enum dtype dtypes[] = { DTYPE_F32, DTYPE_I32, DTYPE_I64 };

	setup();
	for (size_t layout = 0; layout < COUNT(layouts); layout++)
		for (size_t dtype = 0; dtype < COUNT(dtypes); dtype++)
			for (int op = BINARY_ADD; op < BINARY_COUNT; op++) {
				struct binary_args args = {
					.a = inputs(dtypes[dtype], 0),
					.b = inputs(dtypes[dtype], 1),
					.op = (enum binary)op,
					.dtype = dtypes[dtype],
					.b_dtype = dtypes[dtype],
				};

				layout_fill(&args, layout);
				if (is_for_every_type(op, dtypes[dtype]))
					run_binary(&args);
			}
}
END_TEST

START_TEST(many_pairs_of_values_are_right)
{
	const enum dtype dtypes[] = { DTYPE_F32, DTYPE_I32, DTYPE_I64 };

	setup();
	for (size_t dtype = 0; dtype < COUNT(dtypes); dtype++)
		for (int op = BINARY_ADD; op < BINARY_COUNT; op++) {
			struct binary_args args = {
				.a = inputs(dtypes[dtype], 0),
				.b = inputs(dtypes[dtype], 1),
				.dims = { INPUTS },
				.a_strides = { 1 },
				.b_strides = { 1 },
				.rank = 1,
				.op = (enum binary)op,
				.dtype = dtypes[dtype],
				.b_dtype = dtypes[dtype],
			};

			if (is_for_every_type(op, dtypes[dtype]))
				run_binary(&args);
		}
}
END_TEST

START_TEST(division_by_zero_is_zero_and_of_the_minimum_by_minus_one_wraps)
{
	const int32_t a32[] = { 7, -7, 0, INT32_MIN, INT32_MIN, -7 };
	const int32_t b32[] = { 0, 0, 0, -1, 0, 2 };
	const int64_t a64[] = { 7, -7, 0, INT64_MIN, INT64_MIN, -7 };
	const int64_t b64[] = { 0, 0, 0, -1, 0, 2 };
	struct kernel_outputs outputs;

	kernel_outputs_init(&outputs, sizeof(a64));
	for (int device = 0; device < outputs.count; device++) {
		struct binary_args args = {
			.a = a32, .b = b32, .y = outputs.y[device], .dims = { 6 },
			.a_strides = { 1 }, .b_strides = { 1 }, .rank = 1, .op = BINARY_DIV,
			.dtype = DTYPE_I32, .b_dtype = DTYPE_I32,
		};
		const int32_t *y32 = args.y;
		const int64_t *y64 = args.y;

		outputs.devices[device]->kernels[KERNEL_BINARY](&args);
		for (int index = 0; index < 3; index++)
			expect_int(y32[index], 0);
		expect_int(y32[3], INT32_MIN);
		expect_int(y32[4], 0);
		expect_int(y32[5], -3);
		args.a = a64;
		args.b = b64;
		args.dtype = args.b_dtype = DTYPE_I64;
		outputs.devices[device]->kernels[KERNEL_BINARY](&args);
		expect_int(y64[0], 0);
		expect_int(y64[3], INT64_MIN);
		expect_int(y64[5], -3);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
}
END_TEST

START_TEST(pow_of_floats_is_within_one_unit_for_every_exponent_type)
{
	const float bases[] = { NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1.0f, -1.0f, 0x1p-149f };
	const float exponents[] = { 2.0f, 0.5f, 1.0f, 0.0f, -1.0f, -0.5f, 3.0f, NAN };

	setup();
	memcpy(floats[0], bases, sizeof(bases));
	memcpy(floats[1], exponents, sizeof(exponents));
	for (int index = 0; index < INPUTS; index++) {
		narrow[1][index] = index % 7 - 3;
		wide[1][index] = index % 7 - 3;
	}
	for (int exponent = 0; exponent < 8; exponent++)
		for (int dtype = 0; dtype < 3; dtype++) {
			const enum dtype dtypes[] = { DTYPE_F32, DTYPE_I32, DTYPE_I64 };
			struct binary_args args = {
				.a = floats[0], .dims = { 300, 2 }, .a_strides = { 2, 1 },
				.b_strides = { 0, 0 }, .rank = 2, .op = BINARY_POW,
				.dtype = DTYPE_F32, .b_dtype = dtypes[dtype],
			};

			args.b = (const char *)inputs(dtypes[dtype], 1) +
				 (size_t)exponent * dtype_bytes(dtypes[dtype]);
			run_binary(&args);
			args.b_strides[1] = 1;
			run_binary(&args);
			args.b_strides[0] = 2;
			run_binary(&args);
		}
}
END_TEST

START_TEST(pow_of_integers_wraps_and_truncates)
{
	const int64_t bases[] = { 0, 1, -1, 2, -2, 3, 10, -7, INT32_MAX, INT64_MAX, INT64_MIN };
	const float halves[] = { 2.0f, 0.5f, 3.0f };
	const enum dtype dtypes[] = { DTYPE_I32, DTYPE_I64 };

	memcpy(wide[0], bases, sizeof(bases));
	for (int index = 0; index < 70; index++) {
		wide[1][index] = index - 4;
		narrow[1][index] = index - 4;
		narrow[0][index] = (int32_t)wide[0][index];
	}
	for (int base = 0; base < 2; base++)
		for (int exponent = 0; exponent < 2; exponent++) {
			struct binary_args args = {
				.a = inputs(dtypes[base], 0),
				.b = inputs(dtypes[exponent], 1),
				.dims = { COUNT(bases), 70 },
				.a_strides = { 1, 0 },
				.b_strides = { 0, 1 },
				.rank = 2,
				.op = BINARY_POW,
				.dtype = dtypes[base],
				.b_dtype = dtypes[exponent],
			};

			run_binary(&args);
			args.dims[0] = 4;
			args.dims[1] = COUNT(halves);
			args.a = base == 0 ? (const void *)(narrow[0] + 5) : wide[0] + 5;
			args.dims[0] = 2;
			args.b = halves;
			args.b_dtype = DTYPE_F32;
			run_binary(&args);
		}
}
END_TEST

START_TEST(y_may_be_an_operand)
{
	for (int name = 0; name < 3; name++) {
		const char *const names[] = { "baseline", "v3", "v4" };
		const struct device *device = cpu_device_by_name(names[name]);
		float a[45], b[45], y[45];

		if (device == NULL)
			continue;
		random_begin(42);
		random_fill(a, 45);
		random_fill(b, 45);
		for (int op = BINARY_ADD; op < BINARY_COUNT; op++) {
			struct binary_args args = {
				.a = a, .b = b, .y = y, .dims = { 3, 15 },
				.a_strides = { 15, 1 }, .b_strides = { 15, 1 }, .rank = 2,
				.op = (enum binary)op, .dtype = DTYPE_F32, .b_dtype = DTYPE_F32,
			};
			float in_place[45];

			device->kernels[KERNEL_BINARY](&args);
			memcpy(in_place, a, sizeof(a));
			args.a = args.y = in_place;
			device->kernels[KERNEL_BINARY](&args);
			expect(same_run(in_place, y, 45));
			memcpy(in_place, b, sizeof(b));
			args.a = a;
			args.b = in_place;
			device->kernels[KERNEL_BINARY](&args);
			expect(same_run(in_place, y, 45));
		}
	}
}
END_TEST

START_TEST(an_element_has_the_same_bits_however_it_is_broadcast)
{
	struct kernel_outputs outputs;

	setup();
	kernel_outputs_init(&outputs, 64 * sizeof(float));
	for (int device = 0; device < outputs.count; device++)
		for (int op = BINARY_ADD; op < BINARY_COUNT; op++)
			for (int right = 0; right < 40; right++) {
				struct binary_args args = {
					.a = floats[0], .b = floats[1] + right,
					.y = outputs.y[device], .dims = { 64 },
					.a_strides = { 1 }, .b_strides = { 0 }, .rank = 1,
					.op = (enum binary)op, .dtype = DTYPE_F32,
					.b_dtype = DTYPE_F32,
				};
				const float *y = args.y;
				float copies[64], alone[64];

				outputs.devices[device]->kernels[KERNEL_BINARY](&args);
				for (int index = 0; index < 64; index++)
					copies[index] = floats[1][right];
				args.b = copies;
				args.b_strides[0] = 1;
				args.y = alone;
				outputs.devices[device]->kernels[KERNEL_BINARY](&args);
				expect(same_run(alone, y, 64));
				for (int index = 0; index < 64; index++) {
					args.a = floats[0] + index;
					args.y = alone + index;
					args.rank = 0;
					outputs.devices[device]->kernels[KERNEL_BINARY](&args);
				}
				expect(same_run(alone, y, 64));
			}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("binary");
	TCase *tcase = tcase_create("binary");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, every_operation_type_and_layout_is_right);
	tcase_add_test(tcase, many_pairs_of_values_are_right);
	tcase_add_test(tcase, division_by_zero_is_zero_and_of_the_minimum_by_minus_one_wraps);
	tcase_add_test(tcase, pow_of_floats_is_within_one_unit_for_every_exponent_type);
	tcase_add_test(tcase, pow_of_integers_wraps_and_truncates);
	tcase_add_test(tcase, y_may_be_an_operand);
	tcase_add_test(tcase, an_element_has_the_same_bits_however_it_is_broadcast);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

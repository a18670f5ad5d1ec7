/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_cast.c - every pair of types, and the ends of their ranges */
#include <string.h>

#include "kernels/cast.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define INPUTS 600
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static float floats[INPUTS];
static int32_t narrow[INPUTS];
static int64_t wide[INPUTS];
static uint8_t bytes[INPUTS];
static uint8_t truths[INPUTS];
static uint16_t halves[INPUTS];

static const float edges[] = {
	NAN, -NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 0x1p-149f, 0.99999994f, -0.99999994f,
	1.5f, -1.5f, 2.5f, 0x1p31f, -0x1p31f, 0x1.fffffep30f, -0x1.000002p31f, 0x1p63f,
	-0x1p63f, 0x1.fffffep62f, -0x1.000002p63f, 0x1p127f, -0x1p127f,
};

static void setup(void)
{
	random_begin(51);
	for (int index = 0; index < INPUTS; index++) {
		wide[index] = (int64_t)random_u64() >> (random_u64() % 64);
		narrow[index] = (int32_t)wide[index];
		floats[index] = ldexpf(random_f32(-1.0f, 1.0f), (int)(random_u64() % 80));
	}
	for (int index = 0; index < INPUTS; index++) {
		bytes[index] = (uint8_t)random_u64();
		truths[index] = bytes[index] & 1;
		halves[index] = (uint16_t)random_u64();
	}
	memcpy(floats + 20, edges, sizeof(edges));
	wide[3] = INT64_MAX;
	wide[4] = INT64_MIN;
	narrow[5] = INT32_MAX;
	narrow[6] = INT32_MIN;
}

static const void *inputs(enum dtype dtype)
{
	if (dtype == DTYPE_F32)
		return floats;
	if (dtype_bytes(dtype) == 2)
		return halves;
	if (dtype == DTYPE_BOOL)
		return truths;
	if (dtype_bytes(dtype) == 1)
		return bytes;
	return dtype == DTYPE_I32 ? (const void *)narrow : wide;
}

static void run_cast(struct cast_args *args)
{
	struct kernel_outputs outputs;
	int64_t integers[INPUTS];
	double numbers[INPUTS];

	if (dtype_is_float(args->to))
		ref_cast_f32(args, numbers);
	else
		ref_cast_integer(args, integers);
	kernel_outputs_init(&outputs, (size_t)args->count * dtype_bytes(args->to));
	for (int device = 0; device < outputs.count; device++) {
		args->y = outputs.y[device];
		outputs.devices[device]->kernels[KERNEL_CAST](args);
		for (int64_t index = 0; index < args->count; index++) {
			if (dtype_is_float(args->to))
				expect(same_f32((float)ref_read(args->y, args->to, index),
						(float)numbers[index]));
			else
				expect_int(ref_read_integer(args->y, args->to, index),
					   integers[index]);
		}
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
}

START_TEST(every_pair_of_types_converts_saturates_and_maps_nan_to_zero)
{
	const enum dtype dtypes[] = { DTYPE_F32, DTYPE_I32, DTYPE_I64,  DTYPE_U8,
				      DTYPE_I8,  DTYPE_BOOL, DTYPE_F16, DTYPE_BF16 };
	const int64_t counts[] = { 0, 1, 7, 8, 9, 15, 16, 17, 31, 42, INPUTS };

	for (size_t from = 0; from < COUNT(dtypes); from++)
		for (size_t to = 0; to < COUNT(dtypes); to++)
			for (size_t count = 0; count < COUNT(counts); count++) {
				struct cast_args args = {
					.x = inputs(dtypes[from]),
					.count = counts[count],
					.from = dtypes[from],
					.to = dtypes[to],
				};

				run_cast(&args);
			}
}
END_TEST

/* Every f16 and bf16, and the f32 halfway to the next one. */
START_TEST(every_half_survives_and_ties_go_to_even)
{
	static float x[2 * 65536];
	static uint16_t all[65536];
	const enum dtype dtypes[] = { DTYPE_F16, DTYPE_BF16 };

	for (size_t type = 0; type < COUNT(dtypes); type++) {
		struct cast_args widen = { .x = all, .y = x, .count = 65536,
					   .from = dtypes[type], .to = DTYPE_F32 };
		static uint16_t back[2 * 65536];
		struct cast_args narrowing = { .x = x, .y = back, .count = 2 * 65536,
					       .from = DTYPE_F32, .to = dtypes[type] };

		for (int half = 0; half < 65536; half++)
			all[half] = (uint16_t)half;
		for (int name = 0; name < 3; name++) {
			const char *const names[] = { "baseline", "v3", "v4" };
			const struct device *device = cpu_device_by_name(names[name]);

			if (device == NULL)
				continue;
			device->kernels[KERNEL_CAST](&widen);
			for (int half = 0; half < 65536; half++) {
				double here = ref_read(all, dtypes[type], half);
				double next = ref_read(all, dtypes[type], half == 65535 ? 0 :
										half + 1);

				expect(same_f32(x[half], (float)here));
				x[65536 + half] = (float)((here + next) / 2);
			}
			device->kernels[KERNEL_CAST](&narrowing);
			for (int index = 0; index < 2 * 65536; index++)
				expect(same_f32((float)ref_read(back, dtypes[type], index),
						(float)ref_round(x[index], dtypes[type])));
		}
	}
}
END_TEST

START_TEST(each_edge_converts_alike_alone)
{
	for (size_t edge = 0; edge < COUNT(edges); edge++) {
		struct cast_args args = {
			.x = edges + edge, .count = 1, .from = DTYPE_F32, .to = DTYPE_I32,
		};

		run_cast(&args);
		args.to = DTYPE_I64;
		run_cast(&args);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cast");
	TCase *tcase = tcase_create("cast");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, every_pair_of_types_converts_saturates_and_maps_nan_to_zero);
	tcase_add_test(tcase, every_half_survives_and_ties_go_to_even);
	tcase_add_test(tcase, each_edge_converts_alike_alone);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/kernels/kernel_test.h - the same arguments on every CPU table, into guarded memory
 *
 *     kernel_outputs_init(&outputs, bytes);
 *     for (int device = 0; device < outputs.count; device++) {
 *             args.y = outputs.y[device];
 *             outputs.devices[device]->kernels[KERNEL_UNARY](&args);
 *     }
 *     kernel_outputs_check(&outputs);
 *     kernel_outputs_deinit(&outputs);
 */
#ifndef HEARTH_TESTS_KERNELS_KERNEL_TEST_H
#define HEARTH_TESTS_KERNELS_KERNEL_TEST_H

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/device.h"

/* ck_assert writes to a pipe every time; in a loop over elements only failures may. */
#define expect_msg(condition, ...)                      \
	do {                                            \
		if (!(condition))                       \
			ck_abort_msg(__VA_ARGS__);      \
	} while (0)
#define expect(condition) expect_msg(condition, "%s", #condition)
#define expect_int(a, b) \
	expect_msg((a) == (b), "%s is %jd, not %jd", #a, (intmax_t)(a), (intmax_t)(b))

#define KERNEL_DEVICES_MAX 4
#define KERNEL_FILLER 0xa5 /* every byte of an output, and of its guards, beforehand */

struct kernel_outputs {
	const struct device *devices[KERNEL_DEVICES_MAX];
	void *y[KERNEL_DEVICES_MAX]; /* each of `bytes`, aligned to 4 or 8, not to a vector */
	int count;
	size_t bytes;
};

void kernel_outputs_init(struct kernel_outputs *outputs, size_t bytes);

/* Guards are untouched, and tables of one numerics class wrote the same bits. */
void kernel_outputs_check(const struct kernel_outputs *outputs);
void kernel_outputs_deinit(struct kernel_outputs *outputs);

/* One byte range of its own with guards, for inputs or a second output. */
void *guarded_new(size_t bytes);
void guarded_check(const void *start, size_t bytes);
void guarded_free(void *start);

/* Numbers from a seed, which is printed. */
void random_begin(uint64_t seed);
uint64_t random_u64(void);
float random_f32(float low, float high);
void random_fill(float *x, int64_t count); /* in [-1, 1) */

/* The same bits; any NaN equals any NaN. */
bool same_f32(float a, float b);
bool same_run(const float *a, const float *b, int64_t count);

/* c + a * b in one or two roundings, as the device's numerics say. */
float multiply_add(enum numerics numerics, float a, float b, float c);

#endif

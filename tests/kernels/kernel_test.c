/* SPDX-License-Identifier: MIT */
/* tests/kernels/kernel_test.c - the same arguments on every CPU table, into guarded memory */
#include "tests/kernels/kernel_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUARD_BYTES 72 /* not a multiple of a vector, so that outputs are not aligned */

static uint64_t random_state;

void *guarded_new(size_t bytes)
{
	unsigned char *block = malloc(bytes + 2 * GUARD_BYTES);

	ck_assert_ptr_nonnull(block);
	memset(block, KERNEL_FILLER, bytes + 2 * GUARD_BYTES);
	return block + GUARD_BYTES;
}

void guarded_check(const void *start, size_t bytes)
{
	const unsigned char *before = (const unsigned char *)start - GUARD_BYTES;
	const unsigned char *after = (const unsigned char *)start + bytes;

	for (int byte = 0; byte < GUARD_BYTES; byte++) {
		expect_msg(before[byte] == KERNEL_FILLER, "written before the start");
		expect_msg(after[byte] == KERNEL_FILLER, "written %d bytes after the end", byte);
	}
}

void guarded_free(void *start)
{
	free((unsigned char *)start - GUARD_BYTES);
}

void kernel_outputs_init(struct kernel_outputs *outputs, size_t bytes)
{
	static const char *const names[KERNEL_DEVICES_MAX] = { "baseline", "v3", "v4", "v4-vnni" };

	outputs->count = 0;
	outputs->bytes = bytes;
	for (int name = 0; name < KERNEL_DEVICES_MAX; name++) {
		const struct device *device = cpu_device_by_name(names[name]);

		if (device == NULL)
			continue;
		outputs->devices[outputs->count] = device;
		outputs->y[outputs->count++] = guarded_new(bytes);
	}
}

/* Bytes are equal, except that one NaN may differ from another. */
static bool outputs_equal(const void *a, const void *b, size_t bytes)
{
	if (bytes == 0 || memcmp(a, b, bytes) == 0)
		return true;
	return bytes % sizeof(float) == 0 && same_run(a, b, (int64_t)(bytes / sizeof(float)));
}

void kernel_outputs_check(const struct kernel_outputs *outputs)
{
	for (int device = 0; device < outputs->count; device++) {
		guarded_check(outputs->y[device], outputs->bytes);
		for (int other = 0; other < device; other++)
			if (outputs->devices[device]->numerics == outputs->devices[other]->numerics)
				expect_msg(outputs_equal(outputs->y[device], outputs->y[other],
							    outputs->bytes),
					      "%s and %s differ", outputs->devices[device]->name,
					      outputs->devices[other]->name);
	}
}

void kernel_outputs_deinit(struct kernel_outputs *outputs)
{
	for (int device = 0; device < outputs->count; device++)
		guarded_free(outputs->y[device]);
	outputs->count = 0;
}

void random_begin(uint64_t seed)
{
	printf("seed %llu\n", (unsigned long long)seed);
	random_state = seed;
}

/* Steele, Lea & Flood 2014 (SplitMix64) */
uint64_t random_u64(void)
{
	uint64_t z = (random_state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

float random_f32(float low, float high)
{
	return low + (high - low) * (float)(random_u64() >> 40) * 0x1p-24f;
}

void random_fill(float *x, int64_t count)
{
	for (int64_t index = 0; index < count; index++)
		x[index] = random_f32(-1.0f, 1.0f);
}

bool same_f32(float a, float b)
{
	return memcmp(&a, &b, sizeof(a)) == 0 || (isnan(a) && isnan(b));
}

bool same_run(const float *a, const float *b, int64_t count)
{
	for (int64_t index = 0; index < count; index++)
		if (!same_f32(a[index], b[index]))
			return false;
	return true;
}

float multiply_add(enum numerics numerics, float a, float b, float c)
{
	volatile float product = a * b;

	return numerics == NUMERICS_F32_FMA ? fmaf(a, b, c) : product + c;
}

/* SPDX-License-Identifier: MIT */
/* daemon/exec/roofline.c - what a step would take at the limits of one core */
#include "exec/roofline.h"

#include <stdint.h>

#include "base/clock.h"
#include "base/sanitized.h"
#include "graph/cost.h"
#include "kernels/limit.h"

#define REPEATS 3 /* an interruption makes a turn longer, nothing makes it shorter */
#define MULTIPLY_ADDS (LIMIT_STEP << 12)
#define CACHED_BYTES (64 << 10) /* larger than a first cache, smaller than a second */
#define CACHED_PASSES 16
#define ROWS 16384

/* The shortest of a few calls. */
static double limit_ns(const struct device *device, enum limit limit,
		       const struct limit_args *args)
{
	uint64_t best_ns = UINT64_MAX;

	for (uint32_t repeat = 0; repeat < REPEATS; repeat++) {
		uint64_t begun_ns = clock_ns();
		uint64_t taken_ns;

		device->limits[limit](args);
		taken_ns = clock_ns() - begun_ns;
		best_ns = taken_ns < best_ns ? taken_ns : best_ns;
	}
	return (double)best_ns;
}

static double cached_byte_ns(const struct device *device, const void *weights, uint64_t bytes)
{
	float result = 0;
	const struct limit_args args = {
		.memory = weights,
		.bytes = bytes < CACHED_BYTES ? bytes : CACHED_BYTES,
		.result = &result,
	};
	uint64_t begun_ns;

	device->limits[LIMIT_READ](&args);
	begun_ns = clock_ns();
	for (uint32_t pass = 0; pass < CACHED_PASSES; pass++)
		device->limits[LIMIT_READ](&args);
	return (double)(clock_ns() - begun_ns) / (double)(CACHED_PASSES * args.bytes);
}

void roofline_measure(struct roofline *roofline, const struct device *device, const void *weights,
		      uint64_t bytes)
{
	float result = 0;
	struct limit_args args = {.memory = weights, .bytes = bytes, .result = &result};

	*roofline = (struct roofline){0};
	if (IS_SANITIZED || bytes < LIMIT_LINE_BYTES)
		return;
	args.count = MULTIPLY_ADDS;
	roofline->multiply_add_ns = limit_ns(device, LIMIT_MULTIPLY_ADD, &args) / MULTIPLY_ADDS;
	args.count = ROWS;
	roofline->row_ns = limit_ns(device, LIMIT_ROWS, &args) / ROWS;
	args.bytes = bytes < ROOFLINE_BYTES_MAX ? bytes : ROOFLINE_BYTES_MAX;
	roofline->weight_byte_ns = limit_ns(device, LIMIT_READ, &args) / (double)args.bytes;
	roofline->cached_byte_ns = cached_byte_ns(device, weights, bytes);
}

uint64_t roofline_predict(const struct roofline *roofline, const struct cost *cost)
{
	double rows_ns = (double)cost->rows * roofline->row_ns;
	uint64_t first_lines = cost->rows * LIMIT_LINE_BYTES;
	double multiply_ns = (double)cost->multiply_adds * roofline->multiply_add_ns;
	double bytes_ns = (double)cost->weight_bytes * roofline->weight_byte_ns +
			  (double)(cost->bytes - cost->weight_bytes - cost->row_bytes) *
				  roofline->cached_byte_ns;

	if (cost->row_bytes > first_lines)
		rows_ns += (double)(cost->row_bytes - first_lines) * roofline->weight_byte_ns;
	return (uint64_t)((multiply_ns > bytes_ns ? multiply_ns : bytes_ns) + rows_ns + 0.5);
}

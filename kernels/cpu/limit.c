/* SPDX-License-Identifier: MIT */
/* kernels/cpu/limit.c - as fast as one core goes */
#include "kernels/limit.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/vector.h"

#define CHAINS 16 /* more than latency times units: 8 to 10 on the cores of today */
#define AHEAD 16  /* lines on their way: a core has 10 to 16 buffers for misses */
#define LINE_FLOATS (LIMIT_LINE_BYTES / 4)
#define READ_LINES 4 /* a turn, into sums of their own */

void CPU(limit_multiply_add)(const void *erased)
{
	const struct limit_args *args = erased;
	/* From the caller, so that nothing is known at compile time. */
	vec factor = vec_splat(*args->result * 0.0f + 0.5f);
	vec sums[CHAINS];
	vec sum = vec_splat(0.0f);

	for (uint32_t chain = 0; chain < CHAINS; chain++)
		sums[chain] = vec_splat((float)chain);
	for (uint64_t turn = 0; turn < args->count; turn += CHAINS * VEC_LANES) {
		UNROLL
		for (uint32_t chain = 0; chain < CHAINS; chain++)
			sums[chain] = vec_fma(sums[chain], factor, factor);
	}
	for (uint32_t chain = 0; chain < CHAINS; chain++)
		sum += sums[chain];
	*args->result = sum[0];
}

ALWAYS_INLINE vec line_sum(const float *line)
{
	vec sum = vec_load(line);

	for (uint32_t lane = VEC_LANES; lane < LINE_FLOATS; lane += VEC_LANES)
		sum += vec_load(line + lane);
	return sum;
}

void CPU(limit_read)(const void *erased)
{
	const struct limit_args *args = erased;
	const float *line = args->memory;
	uint64_t count = args->bytes / LIMIT_LINE_BYTES;
	vec sums[READ_LINES] = { { 0 } };

	for (; count >= READ_LINES; count -= READ_LINES) {
		UNROLL
		for (uint32_t index = 0; index < READ_LINES; index++, line += LINE_FLOATS)
			sums[index] += line_sum(line);
	}
	for (; count > 0; count--, line += LINE_FLOATS)
		sums[0] += line_sum(line);
	sums[0] += sums[1] + sums[2] + sums[3];
	*args->result = sums[0][0];
}

/* The upper half of a linear congruential step, Knuth's MMIX, scaled to the lines there are. */
ALWAYS_INLINE const float *line_draw(const struct limit_args *args, uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (const float *)args->memory +
	       ((*seed >> 32) * (args->bytes / LIMIT_LINE_BYTES) >> 32) * LINE_FLOATS;
}

void CPU(limit_rows)(const void *erased)
{
	const struct limit_args *args = erased;
	uint64_t seed = args->count, ahead = args->count;
	vec sum = vec_splat(0.0f);

	for (uint32_t index = 0; index < AHEAD; index++)
		__builtin_prefetch(line_draw(args, &ahead));
	for (uint64_t row = 0; row < args->count; row++) {
		__builtin_prefetch(line_draw(args, &ahead));
		sum += line_sum(line_draw(args, &seed));
	}
	*args->result = sum[0];
}

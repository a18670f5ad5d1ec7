/* SPDX-License-Identifier: MIT */
/* kernels/cpu/quantize.c - a run of one scale at a time */
#include "kernels/quantize.h"

#include <math.h>
#include <stddef.h>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/vector.h"

#define QUANTIZE_RUN(name, type, low, high)                                                    \
	static void name(const float *x, type *y, int64_t count, float scale, type zero)       \
	{                                                                                      \
		INDEPENDENT                                                                    \
		for (int64_t index = 0; index < count; index++) {                              \
			float level = rintf(x[index] / scale) + (float)zero;                   \
                                                                                               \
			level = level == level ? level : (float)zero;                          \
			level = level > (low) ? level : (low);                                 \
			y[index] = (type)(level < (high) ? level : (high));                    \
		}                                                                              \
	}

#define DEQUANTIZE_RUN(name, type)                                                             \
	static void name(const type *x, float *y, int64_t count, float scale, type zero)       \
	{                                                                                      \
		INDEPENDENT                                                                    \
		for (int64_t index = 0; index < count; index++)                                \
			y[index] = (float)((int64_t)x[index] - zero) * scale;                  \
	}

QUANTIZE_RUN(quantize_u8, uint8_t, 0.0f, 255.0f)
QUANTIZE_RUN(quantize_i8, int8_t, -128.0f, 127.0f)
DEQUANTIZE_RUN(dequantize_u8, uint8_t)
DEQUANTIZE_RUN(dequantize_i8, int8_t)
DEQUANTIZE_RUN(dequantize_i32, int32_t)

/* Element `index` of an array that may be left out. */
#define ZERO_AT(type, args, index) ((args)->zero != NULL ? ((const type *)(args)->zero)[index] : 0)

void CPU(quantize)(const void *erased)
{
	const struct quantize_args *args = erased;

	for (int64_t row = 0; row < args->outer * args->axis; row++) {
		const float *x = (const float *)args->x + row * args->inner;
		const int64_t place = row % args->axis;

		if (args->dtype == DTYPE_I8)
			quantize_i8(x, (int8_t *)args->y + row * args->inner, args->inner,
				    args->scale[place], ZERO_AT(int8_t, args, place));
		else
			quantize_u8(x, (uint8_t *)args->y + row * args->inner, args->inner,
				    args->scale[place], ZERO_AT(uint8_t, args, place));
	}
}

void CPU(dequantize)(const void *erased)
{
	const struct quantize_args *args = erased;

	for (int64_t row = 0; row < args->outer * args->axis; row++) {
		float *y = (float *)args->y + row * args->inner;
		const int64_t place = row % args->axis;
		const float scale = args->scale[place];

		if (args->dtype == DTYPE_I32)
			dequantize_i32((const int32_t *)args->x + row * args->inner, y,
				       args->inner, scale, ZERO_AT(int32_t, args, place));
		else if (args->dtype == DTYPE_I8)
			dequantize_i8((const int8_t *)args->x + row * args->inner, y, args->inner,
				      scale, ZERO_AT(int8_t, args, place));
		else
			dequantize_u8((const uint8_t *)args->x + row * args->inner, y, args->inner,
				      scale, ZERO_AT(uint8_t, args, place));
	}
}

/* The least and the largest of x and 0; a NaN is neither. */
static void range_of(const float *x, int64_t count, float *ret_low, float *ret_high)
{
	vec lows = vec_splat(0.0f), highs = vec_splat(0.0f);
	float low = 0.0f, high = 0.0f;
	int64_t index = 0;

	for (; index + VEC_LANES <= count; index += VEC_LANES) {
		lows = vec_min(vec_load(x + index), lows);
		highs = vec_max(vec_load(x + index), highs);
	}
	for (; index < count; index++) {
		low = x[index] < low ? x[index] : low;
		high = x[index] > high ? x[index] : high;
	}
	for (int lane = 0; lane < VEC_LANES; lane++) {
		low = lows[lane] < low ? lows[lane] : low;
		high = highs[lane] > high ? highs[lane] : high;
	}
	*ret_low = low;
	*ret_high = high;
}

void CPU(quantize_dynamic)(const void *erased)
{
	const struct quantize_dynamic_args *args = erased;
	float low, high, scale, level;

	range_of(args->x, args->count, &low, &high);
	scale = (high - low) / 255.0f;
	scale = scale > 0.0f ? scale : 1.0f;
	level = rintf(-low / scale);
	level = level < 255.0f ? level : 255.0f;
	*args->scale = scale;
	*args->zero = (uint8_t)(level > 0.0f ? level : 0.0f);
	quantize_u8(args->x, args->y, args->count, scale, *args->zero);
}

/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/cast.c - conversions; out-of-range floats saturate, NaN is 0
 *
 * The types that kernels compute in convert into each other directly. Others are read into f32,
 * or into i64 where both sides are integers, a block at a time, and written from there.
 */
#include "kernels/cast.h"

#include <stdbool.h>
#include <string.h>

#include "kernels/cpu/convert.h"
#include "kernels/cpu/half.h"
#include "kernels/cpu/isa.h"

#define CAST_BLOCK 256

#define CAST(name, from, to, expression)                                            \
	static void name(const void *x_start, void *y_start, int64_t count)         \
	{                                                                           \
		const from *x = x_start;                                            \
		to *y = y_start;                                                    \
                                                                                    \
		INDEPENDENT                                                         \
		for (int64_t index = 0; index < count; index++)                     \
			y[index] = (to)expression(x[index]);                        \
	}

ALWAYS_INLINE uint8_t convert_f32_u8(float x)
{
	float kept = x > 0.0f ? x : 0.0f;

	return (uint8_t)(kept < 255.0f ? kept : 255.0f);
}

ALWAYS_INLINE int8_t convert_f32_i8(float x)
{
	float kept = x == x ? x : 0.0f;

	kept = kept > -128.0f ? kept : -128.0f;
	return (int8_t)(kept < 127.0f ? kept : 127.0f);
}

#define IS_NOT_0(x) ((x) != 0)

CAST(cast_f32_i32, float, int32_t, convert_f32_i32)
CAST(cast_f32_i64, float, int64_t, convert_f32_i64)
CAST(cast_f32_u8, float, uint8_t, convert_f32_u8)
CAST(cast_f32_i8, float, int8_t, convert_f32_i8)
CAST(cast_f32_bool, float, uint8_t, IS_NOT_0)
CAST(cast_f32_f16, float, uint16_t, f16_from_f32)
CAST(cast_f32_bf16, float, uint16_t, bf16_from_f32)
CAST(cast_i32_f32, int32_t, float, )
CAST(cast_i64_f32, int64_t, float, )
CAST(cast_u8_f32, uint8_t, float, )
CAST(cast_i8_f32, int8_t, float, )
CAST(cast_f16_f32, uint16_t, float, f16_to_f32)
CAST(cast_bf16_f32, uint16_t, float, bf16_to_f32)
CAST(cast_i32_i64, int32_t, int64_t, )
CAST(cast_u8_i64, uint8_t, int64_t, )
CAST(cast_i8_i64, int8_t, int64_t, )
CAST(cast_i64_i32, int64_t, int32_t, )
CAST(cast_i64_u8, int64_t, uint8_t, )
CAST(cast_i64_i8, int64_t, int8_t, )
CAST(cast_i64_bool, int64_t, uint8_t, IS_NOT_0)

typedef void (*cast_run)(const void *x, void *y, int64_t count);

/* Of one type; NULL where it is f32 itself, or i64, or no integer. */
struct cast_type {
	cast_run to_f32, from_f32;
	cast_run to_i64, from_i64;
};

static struct cast_type cast_type(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_U8:
		return (struct cast_type){ cast_u8_f32, cast_f32_u8, cast_u8_i64, cast_i64_u8 };
	case DTYPE_I8:
		return (struct cast_type){ cast_i8_f32, cast_f32_i8, cast_i8_i64, cast_i64_i8 };
	case DTYPE_BOOL:
		return (struct cast_type){ cast_u8_f32, cast_f32_bool, cast_u8_i64,
					   cast_i64_bool };
	case DTYPE_I32:
		return (struct cast_type){ cast_i32_f32, cast_f32_i32, cast_i32_i64,
					   cast_i64_i32 };
	case DTYPE_I64:
		return (struct cast_type){ cast_i64_f32, cast_f32_i64, NULL, NULL };
	case DTYPE_F16:
		return (struct cast_type){ cast_f16_f32, cast_f32_f16, NULL, NULL };
	case DTYPE_BF16:
		return (struct cast_type){ cast_bf16_f32, cast_f32_bf16, NULL, NULL };
	default:
		return (struct cast_type){ NULL, NULL, NULL, NULL };
	}
}

static void cast_blocks(const struct cast_args *args, cast_run read, cast_run write)
{
	const char *x = args->x;
	char *y = args->y;
	int64_t block[CAST_BLOCK];

	for (int64_t first = 0; first < args->count; first += CAST_BLOCK) {
		int64_t left = args->count - first;
		int64_t count = left < CAST_BLOCK ? left : CAST_BLOCK;

		read(x + first * dtype_bytes(args->from), block, count);
		write(block, y + first * dtype_bytes(args->to), count);
	}
}

void CPU(cast)(const void *erased)
{
	const struct cast_args *args = erased;
	const struct cast_type from = cast_type(args->from);
	const struct cast_type to = cast_type(args->to);
	const bool by_integers = dtype_wide(args->from) != DTYPE_F32 &&
				 dtype_wide(args->to) != DTYPE_F32;
	const cast_run read = by_integers ? from.to_i64 : from.to_f32;
	const cast_run write = by_integers ? to.from_i64 : to.from_f32;

	if (args->count <= 0)
		return;
	if (args->from == args->to)
		memcpy(args->y, args->x, (size_t)args->count * dtype_bytes(args->to));
	else if (read == NULL)
		write(args->x, args->y, args->count);
	else if (write == NULL)
		read(args->x, args->y, args->count);
	else
		cast_blocks(args, read, write);
}

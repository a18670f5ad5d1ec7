/* SPDX-License-Identifier: MIT */
/* kernels/cpu/cast.c - conversions; out-of-range floats saturate, NaN is 0 */
#include "kernels/cast.h"

#include <string.h>

#include "kernels/cpu/convert.h"
#include "kernels/cpu/isa.h"

#define CAST(name, from, to, expression)                                            \
	static void name(const from *restrict x, to *restrict y, int64_t count)     \
	{                                                                           \
		for (int64_t index = 0; index < count; index++)                     \
			y[index] = expression(x[index]);                            \
	}

CAST(cast_f32_i32, float, int32_t, convert_f32_i32)
CAST(cast_f32_i64, float, int64_t, convert_f32_i64)
CAST(cast_i32_f32, int32_t, float, (float))
CAST(cast_i32_i64, int32_t, int64_t, (int64_t))
CAST(cast_i64_f32, int64_t, float, (float))
CAST(cast_i64_i32, int64_t, int32_t, (int32_t))

void CPU(cast)(const void *erased)
{
	const struct cast_args *args = erased;
	int64_t count = args->count;

	if (count <= 0)
		return;
	if (args->from == args->to)
		memcpy(args->y, args->x, (size_t)count * dtype_bytes(args->to));
	else if (args->from == DTYPE_F32 && args->to == DTYPE_I32)
		cast_f32_i32(args->x, args->y, count);
	else if (args->from == DTYPE_F32)
		cast_f32_i64(args->x, args->y, count);
	else if (args->from == DTYPE_I32 && args->to == DTYPE_F32)
		cast_i32_f32(args->x, args->y, count);
	else if (args->from == DTYPE_I32)
		cast_i32_i64(args->x, args->y, count);
	else if (args->to == DTYPE_F32)
		cast_i64_f32(args->x, args->y, count);
	else
		cast_i64_i32(args->x, args->y, count);
}

/* SPDX-License-Identifier: MIT */
/* kernels/cpu/convert.h - f32 to integers: truncates, saturates, NaN is 0 */
#ifndef HEARTH_KERNELS_CPU_CONVERT_H
#define HEARTH_KERNELS_CPU_CONVERT_H

#include <stdint.h>

#include "kernels/cpu/isa.h"

/* The largest f32 below 2^31 and 2^63. */
#define CONVERT_I32_MAX 0x1.fffffep30f
#define CONVERT_I64_MAX 0x1.fffffep62f

ALWAYS_INLINE int32_t convert_f32_i32(float x)
{
	float kept = x == x ? x : 0.0f;

	kept = kept < -0x1p31f ? -0x1p31f : kept;
	kept = kept > CONVERT_I32_MAX ? CONVERT_I32_MAX : kept;
	return x > CONVERT_I32_MAX ? INT32_MAX : (int32_t)kept;
}

ALWAYS_INLINE int64_t convert_f32_i64(float x)
{
	float kept = x == x ? x : 0.0f;

	kept = kept < -0x1p63f ? -0x1p63f : kept;
	kept = kept > CONVERT_I64_MAX ? CONVERT_I64_MAX : kept;
	return x > CONVERT_I64_MAX ? INT64_MAX : (int64_t)kept;
}

#endif

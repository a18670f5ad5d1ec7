/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/half.h - f16 and bf16 to f32 and back, to the nearest, ties to even
 *
 * Integer operations alone, so that every instruction set has the same bits.
 */
#ifndef HEARTH_KERNELS_CPU_HALF_H
#define HEARTH_KERNELS_CPU_HALF_H

#include <stdint.h>
#include <string.h>

#include "kernels/cpu/isa.h"

#define HALF_LARGEST 0x477fefffu  /* the largest f32 that rounds to a finite f16 */
#define HALF_NORMAL_MIN 0x38800000u /* 2^-14 as f32 */
#define F32_INFINITY 0x7f800000u

ALWAYS_INLINE uint32_t float_bits(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

ALWAYS_INLINE float bits_float(uint32_t bits)
{
	float x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

ALWAYS_INLINE float f16_to_f32(uint16_t half)
{
	uint32_t sign = (uint32_t)(half & 0x8000) << 16;
	uint32_t rest = half & 0x7fff;
	/* A subnormal is its mantissa times 2^-24. */
	float small = (float)rest * 0x1p-24f;
	uint32_t normal = (rest << 13) + (rest >= 0x7c00 ? (uint32_t)(255 - 31) << 23
							 : (uint32_t)(127 - 15) << 23);

	return bits_float(sign | (rest < 0x400 ? float_bits(small) : normal));
}

ALWAYS_INLINE uint16_t f16_from_f32(float x)
{
	uint32_t bits = float_bits(x);
	uint32_t sign = (bits >> 16) & 0x8000;
	uint32_t rest = bits & 0x7fffffff;
	/* Half of the last place that stays, less one where that place is even. */
	uint32_t rounded = rest + 0xfff + ((rest >> 13) & 1);
	uint32_t normal = (rounded - ((uint32_t)(127 - 15) << 23)) >> 13;
	/* Below 2^-14 the last place is 2^-24: adding 0.5 leaves it in the low bits, rounded. */
	uint32_t small = float_bits(bits_float(rest < HALF_NORMAL_MIN ? rest : 0) + 0.5f) -
			 float_bits(0.5f);
	uint32_t half = rest < HALF_NORMAL_MIN ? small : normal;

	if (rest > HALF_LARGEST)
		half = 0x7c00;
	if (rest > F32_INFINITY)
		half = 0x7e00;
	return (uint16_t)(sign | half);
}

ALWAYS_INLINE float bf16_to_f32(uint16_t half)
{
	return bits_float((uint32_t)half << 16);
}

ALWAYS_INLINE uint16_t bf16_from_f32(float x)
{
	uint32_t bits = float_bits(x);
	uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;

	if ((bits & 0x7fffffff) > F32_INFINITY)
		rounded = (bits >> 16) | 0x40;
	return (uint16_t)rounded;
}

#endif

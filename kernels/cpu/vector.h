/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/vector.h - f32 vectors of the width that the instruction set has
 *
 * vec is one register: 4, 8 or 16 lanes. wide is always 16 lanes, in as many
 * registers as that takes: a sum kept in a wide and folded by wide_sum has the
 * same order, and so the same bits, on every instruction set.
 *
 * vec_fma rounds once where VEC_FUSED and twice otherwise: the difference between
 * NUMERICS_F32_FMA and NUMERICS_F32. vec_max and vec_min return b when either is
 * NaN; so vec_max(low, x) keeps a NaN of x.
 */
#ifndef HEARTH_KERNELS_CPU_VECTOR_H
#define HEARTH_KERNELS_CPU_VECTOR_H

#include <stdint.h>

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__FMA__)
#include <immintrin.h>
#define VEC_LANES 16
#define VEC_FUSED 1
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define VEC_LANES 8
#define VEC_FUSED 1
#elif defined(__aarch64__)
#include <arm_neon.h>
#define VEC_LANES 4
#define VEC_FUSED 1
#else
#define VEC_LANES 4
#define VEC_FUSED 0
#endif

#include "kernels/cpu/isa.h"

typedef float vec __attribute__((vector_size(VEC_LANES * 4)));
typedef int32_t vec_i32 __attribute__((vector_size(VEC_LANES * 4)));
typedef uint32_t vec_u32 __attribute__((vector_size(VEC_LANES * 4)));
typedef float vec_in_memory __attribute__((vector_size(VEC_LANES * 4), aligned(4), may_alias));

#define WIDE_LANES 16
#define WIDE_VECS (WIDE_LANES / VEC_LANES)

struct wide {
	vec part[WIDE_VECS];
};

ALWAYS_INLINE vec vec_splat(float value)
{
	return value - (vec){ 0 };
}

ALWAYS_INLINE vec_i32 vec_splat_i32(int32_t value)
{
	return value - (vec_i32){ 0 };
}

ALWAYS_INLINE vec vec_load(const float *x)
{
	return *(const vec_in_memory *)x;
}

ALWAYS_INLINE void vec_store(float *y, vec value)
{
	*(vec_in_memory *)y = value;
}

ALWAYS_INLINE vec_i32 vec_lane_indices(void)
{
	vec_i32 lanes;

	for (int32_t lane = 0; lane < VEC_LANES; lane++)
		lanes[lane] = lane;
	return lanes;
}

/* Lane l is lane indices[l] of a and b laid end to end; indices are constants. */
ALWAYS_INLINE vec vec_shuffle(vec a, vec b, vec_i32 indices)
{
#ifdef __clang__
	vec result;

	for (int lane = 0; lane < VEC_LANES; lane++)
		result[lane] = indices[lane] < VEC_LANES ? a[indices[lane] % VEC_LANES]
							 : b[indices[lane] % VEC_LANES];
	return result;
#else
	return __builtin_shuffle(a, b, indices);
#endif
}

/* a0 b0 a1 b1 ... from the lower halves of a and b, and the same of their upper halves. */
ALWAYS_INLINE vec vec_interleave_low(vec a, vec b)
{
	const vec_i32 lanes = vec_lane_indices();

	return vec_shuffle(a, b, (lanes >> 1) + (lanes & 1) * VEC_LANES);
}

ALWAYS_INLINE vec vec_interleave_high(vec a, vec b)
{
	const vec_i32 lanes = vec_lane_indices();

	return vec_shuffle(a, b, (lanes >> 1) + (lanes & 1) * VEC_LANES + VEC_LANES / 2);
}

/* Lane l is lane l + distance, modulo the width. */
ALWAYS_INLINE vec vec_rotate(vec x, int32_t distance)
{
	return vec_shuffle(x, x, (vec_lane_indices() + distance) & (VEC_LANES - 1));
}

/* Lanes of a where mask is all ones, of b where it is zero. */
ALWAYS_INLINE vec vec_choose(vec_i32 mask, vec a, vec b)
{
	return (vec)((mask & (vec_i32)a) | (~mask & (vec_i32)b));
}

ALWAYS_INLINE vec vec_abs(vec x)
{
	return (vec)((vec_i32)x & vec_splat_i32(INT32_MAX));
}

ALWAYS_INLINE float fused(float a, float b, float c)
{
#if VEC_FUSED
	return __builtin_fmaf(a, b, c);
#else
	return a * b + c;
#endif
}

/* Keeps a value in a register: what was loaded once is not loaded again for each use. */
ALWAYS_INLINE vec vec_keep(vec value)
{
#if VEC_LANES == 16
	__asm__("" : "+v"(value));
#elif defined(__x86_64__)
	__asm__("" : "+x"(value));
#elif defined(__aarch64__)
	__asm__("" : "+w"(value));
#endif
	return value;
}

/* Partial loads and stores touch the first `count` lanes, 0 <= count <= VEC_LANES;
 * the others load as 0. */
#if VEC_LANES == 16
ALWAYS_INLINE vec vec_fma(vec a, vec b, vec c)
{
	return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}

ALWAYS_INLINE vec vec_max(vec a, vec b)
{
	return (vec)_mm512_max_ps((__m512)a, (__m512)b);
}

ALWAYS_INLINE vec vec_min(vec a, vec b)
{
	return (vec)_mm512_min_ps((__m512)a, (__m512)b);
}

ALWAYS_INLINE vec vec_load_part(const float *x, int64_t count)
{
	return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), x);
}

ALWAYS_INLINE void vec_store_part(float *y, vec value, int64_t count)
{
	_mm512_mask_storeu_ps(y, (__mmask16)((1u << count) - 1), (__m512)value);
}
#elif VEC_LANES == 8
ALWAYS_INLINE vec vec_fma(vec a, vec b, vec c)
{
	return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}

ALWAYS_INLINE vec vec_max(vec a, vec b)
{
	return (vec)_mm256_max_ps((__m256)a, (__m256)b);
}

ALWAYS_INLINE vec vec_min(vec a, vec b)
{
	return (vec)_mm256_min_ps((__m256)a, (__m256)b);
}

ALWAYS_INLINE vec vec_load_part(const float *x, int64_t count)
{
	vec_i32 mask = vec_lane_indices() < vec_splat_i32((int32_t)count);

	return (vec)_mm256_maskload_ps(x, (__m256i)mask);
}

ALWAYS_INLINE void vec_store_part(float *y, vec value, int64_t count)
{
	vec_i32 mask = vec_lane_indices() < vec_splat_i32((int32_t)count);

	_mm256_maskstore_ps(y, (__m256i)mask, (__m256)value);
}
#else
ALWAYS_INLINE vec vec_fma(vec a, vec b, vec c)
{
#ifdef __aarch64__
	return (vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
	return a * b + c;
#endif
}

ALWAYS_INLINE vec vec_max(vec a, vec b)
{
	return vec_choose(a > b, a, b);
}

ALWAYS_INLINE vec vec_min(vec a, vec b)
{
	return vec_choose(a < b, a, b);
}

ALWAYS_INLINE vec vec_load_part(const float *x, int64_t count)
{
	vec value = { 0 };

	for (int64_t lane = 0; lane < VEC_LANES; lane++)
		if (lane < count)
			value[lane] = x[lane];
	return value;
}

ALWAYS_INLINE void vec_store_part(float *y, vec value, int64_t count)
{
	for (int64_t lane = 0; lane < VEC_LANES; lane++)
		if (lane < count)
			y[lane] = value[lane];
}
#endif

/* The lanes of part `part` of a wide of which `count` lanes are wanted. */
ALWAYS_INLINE int64_t wide_part_lanes(int64_t count, int part)
{
	int64_t lanes = count - part * VEC_LANES;

	return lanes < 0 ? 0 : lanes > VEC_LANES ? VEC_LANES : lanes;
}

ALWAYS_INLINE struct wide wide_splat(float value)
{
	struct wide wide;

	for (int part = 0; part < WIDE_VECS; part++)
		wide.part[part] = vec_splat(value);
	return wide;
}

/* The first `count` values, at most WIDE_LANES; `missing` in the other lanes. */
ALWAYS_INLINE struct wide wide_load(const float *x, int64_t count, float missing)
{
	struct wide wide;

	for (int part = 0; part < WIDE_VECS; part++) {
		if (count >= WIDE_LANES) {
			wide.part[part] = vec_load(x + part * VEC_LANES);
		} else {
			int64_t lanes = wide_part_lanes(count, part);
			vec_i32 mask = vec_lane_indices() < vec_splat_i32((int32_t)lanes);
			vec value = vec_load_part(x + part * VEC_LANES, lanes);

			if (!__builtin_constant_p(missing) || missing != 0.0f)
				value = vec_choose(mask, value, vec_splat(missing));
			wide.part[part] = value;
		}
	}
	return wide;
}

ALWAYS_INLINE void wide_store(float *y, struct wide wide, int64_t count)
{
	for (int part = 0; part < WIDE_VECS; part++) {
		if (count >= WIDE_LANES)
			vec_store(y + part * VEC_LANES, wide.part[part]);
		else
			vec_store_part(y + part * VEC_LANES, wide.part[part],
				       wide_part_lanes(count, part));
	}
}

ALWAYS_INLINE struct wide wide_add(struct wide a, struct wide b)
{
	for (int part = 0; part < WIDE_VECS; part++)
		a.part[part] += b.part[part];
	return a;
}

ALWAYS_INLINE struct wide wide_max(struct wide a, struct wide b)
{
	for (int part = 0; part < WIDE_VECS; part++)
		a.part[part] = vec_max(a.part[part], b.part[part]);
	return a;
}

/* A tree: lane l takes lane l + 8, then l + 4, l + 2, l + 1. */
ALWAYS_INLINE float wide_sum(struct wide wide)
{
	for (int half = WIDE_VECS / 2; half >= 1; half /= 2)
		for (int part = 0; part < half; part++)
			wide.part[part] += wide.part[part + half];
	for (int distance = VEC_LANES / 2; distance >= 1; distance /= 2)
		wide.part[0] += vec_rotate(wide.part[0], distance);
	return wide.part[0][0];
}

/* NaN lanes may or may not be seen. */
ALWAYS_INLINE float wide_largest(struct wide wide)
{
	for (int half = WIDE_VECS / 2; half >= 1; half /= 2)
		for (int part = 0; part < half; part++)
			wide.part[part] = vec_max(wide.part[part], wide.part[part + half]);
	for (int distance = VEC_LANES / 2; distance >= 1; distance /= 2)
		wide.part[0] = vec_max(wide.part[0], vec_rotate(wide.part[0], distance));
	return wide.part[0][0];
}

#endif

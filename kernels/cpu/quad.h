/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/quad.h - four products of bytes at a time, added to each of 16 columns' sums
 *
 * Weights of one sign meet values of the other; `is_signed` is the sign of what a function is given,
 * in quad_add that of the weights. Sums are exact modulo 2^32. Where the processor has no instruction for it (AVX-512 VNNI), bytes
 * become 16 bits and products are added in pairs: the sum of a column is in two lanes until
 * quad_fold. Instructions that add pairs of products in 16 bits saturate, and are of no use.
 */
#ifndef HEARTH_KERNELS_CPU_QUAD_H
#define HEARTH_KERNELS_CPU_QUAD_H

#include <stdint.h>
#include <string.h>

#include "kernels/cpu/vector.h"
#include "kernels/matmul_integer.h"

#define QUAD_COLUMNS MATMUL_INTEGER_COLUMNS

/* How many struct quad_sums the registers hold beside weights and values. */
#if defined(__AVX512VNNI__)
#define QUAD_SUMS 24
#define QUAD_PARTS 1
typedef __m512i quad_vec;
#elif VEC_LANES == 16
#define QUAD_SUMS 12
#define QUAD_PARTS 2
typedef __m512i quad_vec;
#elif VEC_LANES == 8
#define QUAD_SUMS 2
#define QUAD_PARTS 4
typedef __m256i quad_vec;
#else
#define QUAD_SUMS 2
#define QUAD_PARTS 1
typedef struct {
	int32_t numbers[QUAD_COLUMNS * MATMUL_INTEGER_QUAD];
} quad_vec;
#endif

struct quad_sums {
#if VEC_LANES >= 8
	quad_vec part[QUAD_PARTS];
#else
	uint32_t columns[QUAD_COLUMNS];
#endif
};

struct quad_weights {
	quad_vec part[QUAD_PARTS];
};

#if defined(__AVX512VNNI__)
ALWAYS_INLINE struct quad_weights quad_load(const uint8_t *at, const bool is_signed)
{
	(void)is_signed;
	return (struct quad_weights){ { _mm512_loadu_si512(at) } };
}

ALWAYS_INLINE quad_vec quad_splat(uint32_t four, const bool is_signed)
{
	(void)is_signed;
	return _mm512_set1_epi32((int32_t)four);
}

ALWAYS_INLINE void quad_add(struct quad_sums *sums, struct quad_weights weights, quad_vec value,
			    const bool is_signed)
{
	sums->part[0] = is_signed ? _mm512_dpbusd_epi32(sums->part[0], value, weights.part[0]) :
				    _mm512_dpbusd_epi32(sums->part[0], weights.part[0], value);
}
#elif VEC_LANES == 16
ALWAYS_INLINE quad_vec quad_widen(__m256i bytes, const bool is_signed)
{
	return is_signed ? _mm512_cvtepi8_epi16(bytes) : _mm512_cvtepu8_epi16(bytes);
}

ALWAYS_INLINE struct quad_weights quad_load(const uint8_t *at, const bool is_signed)
{
	struct quad_weights weights;

	for (int part = 0; part < QUAD_PARTS; part++)
		weights.part[part] = quad_widen(
			_mm256_loadu_si256((const void *)(at + part * 32)), is_signed);
	return weights;
}

ALWAYS_INLINE quad_vec quad_splat(uint32_t four, const bool is_signed)
{
	return quad_widen(_mm256_set1_epi32((int32_t)four), is_signed);
}

ALWAYS_INLINE void quad_add(struct quad_sums *sums, struct quad_weights weights, quad_vec value,
			    const bool is_signed)
{
	(void)is_signed;
	for (int part = 0; part < QUAD_PARTS; part++)
		sums->part[part] = _mm512_add_epi32(
			sums->part[part], _mm512_madd_epi16(weights.part[part], value));
}
#elif VEC_LANES == 8
ALWAYS_INLINE quad_vec quad_widen(__m128i bytes, const bool is_signed)
{
	return is_signed ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes);
}

ALWAYS_INLINE struct quad_weights quad_load(const uint8_t *at, const bool is_signed)
{
	struct quad_weights weights;

	for (int part = 0; part < QUAD_PARTS; part++)
		weights.part[part] =
			quad_widen(_mm_loadu_si128((const void *)(at + part * 16)), is_signed);
	return weights;
}

ALWAYS_INLINE quad_vec quad_splat(uint32_t four, const bool is_signed)
{
	return quad_widen(_mm_set1_epi32((int32_t)four), is_signed);
}

ALWAYS_INLINE void quad_add(struct quad_sums *sums, struct quad_weights weights, quad_vec value,
			    const bool is_signed)
{
	(void)is_signed;
	for (int part = 0; part < QUAD_PARTS; part++)
		sums->part[part] = _mm256_add_epi32(
			sums->part[part], _mm256_madd_epi16(weights.part[part], value));
}
#else
ALWAYS_INLINE quad_vec quad_widen(const uint8_t *at, int step, const bool is_signed)
{
	quad_vec wide;

	for (int index = 0; index < QUAD_COLUMNS * MATMUL_INTEGER_QUAD; index++) {
		const uint8_t byte = at[step ? index : index % MATMUL_INTEGER_QUAD];

		wide.numbers[index] = is_signed ? (int8_t)byte : byte;
	}
	return wide;
}

ALWAYS_INLINE struct quad_weights quad_load(const uint8_t *at, const bool is_signed)
{
	return (struct quad_weights){ { quad_widen(at, 1, is_signed) } };
}

ALWAYS_INLINE quad_vec quad_splat(uint32_t four, const bool is_signed)
{
	uint8_t bytes[MATMUL_INTEGER_QUAD];

	memcpy(bytes, &four, sizeof(bytes));
	return quad_widen(bytes, 0, is_signed);
}

ALWAYS_INLINE void quad_add(struct quad_sums *sums, struct quad_weights weights, quad_vec value,
			    const bool is_signed)
{
	(void)is_signed;
	for (int index = 0; index < QUAD_COLUMNS * MATMUL_INTEGER_QUAD; index++)
		sums->columns[index / MATMUL_INTEGER_QUAD] +=
			(uint32_t)(weights.part[0].numbers[index] * value.numbers[index]);
}
#endif

ALWAYS_INLINE void quad_fold(const struct quad_sums *sums, uint32_t columns[QUAD_COLUMNS])
{
	enum { LANES = sizeof(*sums) / sizeof(uint32_t) };
	uint32_t lanes[LANES];

	memcpy(lanes, sums, sizeof(lanes));
	for (int column = 0; column < QUAD_COLUMNS; column++)
		columns[column] = LANES == QUAD_COLUMNS ?
					  lanes[column] :
					  lanes[2 * column % LANES] + lanes[(2 * column + 1) % LANES];
}

#endif

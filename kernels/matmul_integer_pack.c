/* SPDX-License-Identifier: MIT */
/* kernels/matmul_integer_pack.c - bytes in panels of 16 columns, four rows together, and their sums */
#include "kernels/matmul_integer.h"

#include <string.h>

#define PANEL_BYTES(quads) ((size_t)(quads) * MATMUL_INTEGER_COLUMNS * MATMUL_INTEGER_QUAD)
#define SUMS_BYTES (MATMUL_INTEGER_COLUMNS * sizeof(int32_t))

static int64_t quad_count(int64_t k)
{
	return (k + MATMUL_INTEGER_QUAD - 1) / MATMUL_INTEGER_QUAD;
}

size_t matmul_integer_panel_bytes(int64_t k)
{
	return PANEL_BYTES(quad_count(k)) + SUMS_BYTES;
}

size_t matmul_integer_packed_bytes(int64_t k, int64_t n)
{
	int64_t panels = (n + MATMUL_INTEGER_COLUMNS - 1) / MATMUL_INTEGER_COLUMNS;

	return (size_t)panels * matmul_integer_panel_bytes(k);
}

static void sums_add(int32_t sums[], const uint8_t *row, int64_t columns, bool is_signed)
{
	for (int64_t column = 0; column < columns; column++) {
		uint8_t byte = row[column * MATMUL_INTEGER_QUAD];
		int32_t number = is_signed ? (int8_t)byte : byte;

		sums[column] = (int32_t)((uint32_t)sums[column] + (uint32_t)number);
	}
}

void matmul_integer_pack(void *packed, const void *b, int64_t k, int64_t n, int64_t row_stride,
			 bool a_signed, bool b_signed)
{
	const uint8_t flip = a_signed == b_signed ? 0x80 : 0;
	uint8_t *to = packed;

	memset(packed, 0, matmul_integer_packed_bytes(k, n));
	for (int64_t first = 0; first < n; first += MATMUL_INTEGER_COLUMNS) {
		int64_t left = n - first;
		int64_t columns = left < MATMUL_INTEGER_COLUMNS ? left : MATMUL_INTEGER_COLUMNS;
		int32_t sums[MATMUL_INTEGER_COLUMNS] = {0};

		for (int64_t row = 0; row < k; row++) {
			const uint8_t *from = (const uint8_t *)b + row * row_stride + first;
			uint8_t *quad = to + PANEL_BYTES(row / MATMUL_INTEGER_QUAD) +
					row % MATMUL_INTEGER_QUAD;

			for (int64_t column = 0; column < columns; column++)
				quad[column * MATMUL_INTEGER_QUAD] = from[column] ^ flip;
			sums_add(sums, quad, columns, !a_signed);
		}
		memcpy(to + PANEL_BYTES(quad_count(k)), sums, sizeof(sums));
		to += matmul_integer_panel_bytes(k);
	}
}

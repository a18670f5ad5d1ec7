/* SPDX-License-Identifier: MIT */
/*
 * kernels/matmul_integer.h - y[b,i,j] = sum_k (a[b,i,k] - a_zero[b,i]) * (b[b,k,j] - b_zero[b,j])
 *
 * Shapes:   up to three batch dimensions, outermost first, unused ones 1; a [m, k], b [k, n] and
 *           y [m, n] of a batch are contiguous, y of all batches too; batch strides in elements,
 *           0 broadcasts. b may be packed by matmul_integer_pack, and then has no batches
 * Types:    a and b u8 or i8, each by itself; a zero has its operand's type, or is NULL: 0; y i32.
 *           Exact modulo 2^32: no order of the sum and no instruction set has other bits. Sums of
 *           fewer than 33,000 products never wrap
 * Aliasing: y may overlap nothing
 * Traffic:  m * k + k * n + 4 * m * n bytes a batch
 */
#ifndef HEARTH_KERNELS_MATMUL_INTEGER_H
#define HEARTH_KERNELS_MATMUL_INTEGER_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/matmul.h"
#include "kernels/types.h"

struct matmul_integer_args {
	const void *a;
	const void *b;
	const void *a_zero;
	const void *b_zero;
	int32_t *y;
	int64_t batch[MATMUL_BATCH_RANK];
	int64_t a_batch[MATMUL_BATCH_RANK];
	int64_t b_batch[MATMUL_BATCH_RANK];
	int64_t a_zero_batch[MATMUL_BATCH_RANK];
	int64_t b_zero_batch[MATMUL_BATCH_RANK];
	int64_t m, k, n;
	int64_t a_zero_step; /* 0: one for all rows; 1: one a row */
	int64_t b_zero_step; /* 0: one for all columns; 1: one a column */
	bool a_signed;
	bool b_signed;
	bool is_packed;
};

/* A packed matrix is panels of 16 columns; a panel is [ceil(k / 4), 16, 4] bytes, zeros after row
 * k and column n, then the sum of each column as i32. Processors multiply bytes of one sign with
 * bytes of the other: packed b is signed where a is not, its own numbers less or more by 128 where
 * both have the same sign. One layout for every instruction set. */
#define MATMUL_INTEGER_COLUMNS 16
#define MATMUL_INTEGER_QUAD 4

/* Bytes of one panel, and of all; multiples of 64. */
size_t matmul_integer_panel_bytes(int64_t k);
size_t matmul_integer_packed_bytes(int64_t k, int64_t n);

/* What packing adds to each number of b, and so to its zero point. */
static inline int32_t matmul_integer_shift(bool a_signed, bool b_signed)
{
	return a_signed != b_signed ? 0 : a_signed ? 128 : -128;
}

/* b[row, column] is at b + row * row_stride + column. */
void matmul_integer_pack(void *packed, const void *b, int64_t k, int64_t n, int64_t row_stride,
			 bool a_signed, bool b_signed);

#endif

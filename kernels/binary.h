/* SPDX-License-Identifier: MIT */
/*
 * kernels/binary.h - y[...] = op(a[...], b[...]), with NumPy broadcasting
 *
 * Shapes:   y contiguous, dims [rank]; a and b by strides in elements, 0 where
 *           they are broadcast
 * Types:    a, b and y share `dtype` (f32, i32, i64); pow takes any exponent type
 *           `b_dtype` and computes in f32 or, between integers, in i64
 * Aliasing: y may be a or b where that one is not broadcast
 * Integers: overflow wraps; x / 0 and x mod 0 are 0; MIN / -1 is MIN; division
 *           truncates (ONNX)
 */
#ifndef HEARTH_KERNELS_BINARY_H
#define HEARTH_KERNELS_BINARY_H

#include "kernels/types.h"

enum binary {
	BINARY_ADD,
	BINARY_SUB,
	BINARY_MUL,
	BINARY_DIV,
	BINARY_MAX,
	BINARY_MIN,
	BINARY_POW,
	BINARY_MOD,   /* of the divisor's sign, as Python's; f32: as fmod */
	BINARY_FMOD,  /* of the dividend's sign, as C's */
	BINARY_PRELU, /* a < 0 ? a * b : a; f32 */
	BINARY_COUNT,
};

struct binary_args {
	const void *a;
	const void *b;
	void *y;
	int64_t dims[KERNEL_RANK_MAX];
	int64_t a_strides[KERNEL_RANK_MAX];
	int64_t b_strides[KERNEL_RANK_MAX];
	uint32_t rank; /* 0: one element */
	enum binary op;
	enum dtype dtype;
	enum dtype b_dtype; /* BINARY_POW; otherwise the same as dtype */
};

#endif

/* SPDX-License-Identifier: MIT */
/*
 * kernels/unary.h - y[i] = op(x[i])
 *
 * Shapes:   x, y [count], contiguous
 * Types:    f32 for every operation; i32 and i64 for relu and clip
 * Aliasing: y may be x
 * Error:    sigmoid, tanh: |y - ref| <= 4e-7; silu, gelu: 6e-7 * max(1, |x|);
 *           sqrt, relu, clip: exact. gelu of 2^127 and above is infinite
 */
#ifndef HEARTH_KERNELS_UNARY_H
#define HEARTH_KERNELS_UNARY_H

#include "kernels/types.h"

enum unary {
	UNARY_RELU,
	UNARY_SIGMOID,
	UNARY_TANH,
	UNARY_SQRT,
	UNARY_CLIP, /* min(max(x, low), high), also when low > high (ONNX) */
	UNARY_SILU, /* these as the activations of kernels/types.h */
	UNARY_GELU,
	UNARY_GELU_TANH,
};

struct unary_args {
	const void *x;
	void *y;
	int64_t count;
	enum unary op;
	enum dtype dtype;
	float low, high;           /* UNARY_CLIP, f32 */
	int64_t low_i64, high_i64; /* UNARY_CLIP, i32 and i64 */
};

#endif

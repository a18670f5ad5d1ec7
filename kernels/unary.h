/* SPDX-License-Identifier: MIT */
/*
 * kernels/unary.h - y[i] = op(x[i])
 *
 * Shapes:   x, y [count], contiguous
 * Types:    f32 for every operation but not; i32 and i64 for relu, clip, neg, abs and sign
 *           (neg and abs of the least wrap); bool for not
 * Aliasing: y may be x
 * Error:    sigmoid, tanh, hard_sigmoid: |y - ref| <= 4e-7; exp, log, softplus: 4e-7 * |ref|;
 *           erf, elu: 4e-7; silu, gelu: 6e-7 * max(1, |x|); sin, cos: the C library's; others
 *           exact. gelu of 2^127 and above is infinite, of -infinity NaN
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
	UNARY_ABS,
	UNARY_CEIL,
	UNARY_COS,
	UNARY_ELU, /* x < 0 ? low * (exp(x) - 1) : x */
	UNARY_ERF,
	UNARY_EXP,
	UNARY_FLOOR,
	UNARY_HARD_SIGMOID, /* max(0, min(1, low * x + high)) */
	UNARY_LEAKY_RELU,   /* x < 0 ? low * x : x */
	UNARY_LOG,
	UNARY_NEG,
	UNARY_RECIPROCAL,
	UNARY_ROUND, /* ties to even */
	UNARY_SIGN,  /* of 0 and NaN they themselves */
	UNARY_SIN,
	UNARY_SOFTPLUS, /* log(1 + exp(x)) */
	UNARY_NOT,
	UNARY_COUNT,
};

struct unary_args {
	const void *x;
	void *y;
	int64_t count;
	enum unary op;
	enum dtype dtype;
	float low, high;           /* as the operation says; UNARY_CLIP: f32 */
	int64_t low_i64, high_i64; /* UNARY_CLIP, i32 and i64 */
};

#endif

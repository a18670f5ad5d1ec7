/* SPDX-License-Identifier: MIT */
/*
 * kernels/types.h - what every kernel and everybody who calls one agrees on
 */
#ifndef HEARTH_KERNELS_TYPES_H
#define HEARTH_KERNELS_TYPES_H

#include <stdint.h>

#define KERNEL_RANK_MAX 6

/* ONNX's numbers (TensorProto.DataType). */
enum dtype {
	DTYPE_NONE = 0,
	DTYPE_F32 = 1,
	DTYPE_U8 = 2,
	DTYPE_I8 = 3,
	DTYPE_I32 = 6,
	DTYPE_I64 = 7,
	DTYPE_BOOL = 9, /* one byte, 0 or 1 */
	DTYPE_F16 = 10,
	DTYPE_BF16 = 16,
};

static inline uint32_t dtype_bytes(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_U8:
	case DTYPE_I8:
	case DTYPE_BOOL:
		return 1;
	case DTYPE_F16:
	case DTYPE_BF16:
		return 2;
	case DTYPE_I64:
		return 8;
	default:
		return 4;
	}
}

/* What an operator computes a type in: f16 and bf16 are rounded from f32 at its output, and
 * i8 and u8 wrap from i32. */
static inline enum dtype dtype_wide(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_F16:
	case DTYPE_BF16:
		return DTYPE_F32;
	case DTYPE_U8:
	case DTYPE_I8:
		return DTYPE_I32;
	default:
		return dtype;
	}
}

static inline int dtype_is_float(enum dtype dtype)
{
	return dtype_wide(dtype) == DTYPE_F32;
}

/* Same weights, same class: same bits, whatever the batch or the core.
 * The values are HEARTH_NUMERICS_* of the shared-memory contract. */
enum numerics {
	NUMERICS_NONE = 0,
	NUMERICS_F32 = 1,
	NUMERICS_F32_FMA = 2,
};

enum activation {
	ACTIVATION_NONE,
	ACTIVATION_RELU,
	ACTIVATION_SIGMOID,
	ACTIVATION_TANH,
	ACTIVATION_CLIP,       /* to [low, high] */
	ACTIVATION_LEAKY_RELU, /* x < 0 ? low * x : x */
	ACTIVATION_ELU,        /* x < 0 ? low * (exp(x) - 1) : x */
	ACTIVATION_SILU,       /* x * sigmoid(x) */
	ACTIVATION_GELU,       /* x * (erf(x / sqrt(2)) + 1) * 0.5, rounded in this order */
	ACTIVATION_GELU_TANH,  /* 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) */
	ACTIVATION_COUNT,
};

/* What a gather does with an id outside [0, rows). */
enum missing {
	MISSING_WRAP,  /* -rows..-1 count from the end (ONNX); others are errors */
	MISSING_ERROR, /* every one is an error, negative ones too */
	MISSING_ZERO,  /* reads a row of zeros */
	MISSING_ROW,   /* reads the row `missing_row` */
};

/* One a batch row; cleared by the caller before a plan runs. Kernels do not
 * fail, they report here. */
struct row_status {
	uint32_t substituted; /* ids replaced by the table's missing row */
	uint32_t error;       /* 0, or 1 + the `site` of the first gather that met a bad id */
};

#define ROW_UNREAD UINT32_MAX /* as `error`: a row of a table could not be read */

#endif

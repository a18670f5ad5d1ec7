/* SPDX-License-Identifier: MIT */
/*
 * kernels/device.h - a device is one table of functions
 *
 * Owns:     nothing; tables are constants of the program or of a plug-in
 * Threads:  every function may be called from any thread at any time
 *
 * A kernel takes one const struct: the args of the header that is named after
 * it. It does not allocate, block, log or fail.
 */
#ifndef HEARTH_KERNELS_DEVICE_H
#define HEARTH_KERNELS_DEVICE_H

#include "kernels/types.h"

typedef void (*kernel_function)(const void *args);

enum kernel {
	KERNEL_GEMM,      /* kernels/gemm.h: matrix times packed weights, bias, activation */
	KERNEL_MATMUL,    /* kernels/matmul.h: two run-time operands, batched */
	KERNEL_MATMUL_INTEGER, /* kernels/matmul_integer.h: the same of u8 and i8, to i32 */
	KERNEL_GATHER,    /* kernels/gather.h: rows of a table by id */
	KERNEL_EMBED,     /* kernels/embed.h: bags of rows, all tables at once */
	KERNEL_UNARY,     /* kernels/unary.h: relu, sigmoid, exp, ... of one operand */
	KERNEL_BINARY,    /* kernels/binary.h: add, mul, pow, ... of two; broadcasting */
	KERNEL_CAST,      /* kernels/cast.h: between any two types */
	KERNEL_REDUCE,    /* kernels/reduce.h: sum, mean, product, largest, smallest */
	KERNEL_SOFTMAX,   /* kernels/softmax.h */
	KERNEL_LAYERNORM, /* kernels/layernorm.h */
	KERNEL_COPY,      /* kernels/copy.h: strided; concat, slice, transpose */
	KERNEL_STORE,     /* kernels/store.h: a few integers known only at run time */
	KERNEL_CHAIN,     /* kernels/chain.h: several elementwise operations in one pass */
	KERNEL_COMPARE,   /* kernels/compare.h: comparisons and logic, to bool */
	KERNEL_WHERE,     /* kernels/where.h: one of two, by a bool */
	KERNEL_RANGE,     /* kernels/range.h: numbers that follow each other */
	KERNEL_SCAN,      /* kernels/scan.h: running sums */
	KERNEL_ARG,       /* kernels/arg.h: where the largest or smallest is */
	KERNEL_INTERACT,  /* kernels/interact.h: dot products between the vectors of a row */
	KERNEL_PAIR,      /* kernels/pair.h: a layer over a vector beside each of several */
	KERNEL_QUANTIZE,  /* kernels/quantize.h: f32 to u8 and i8 */
	KERNEL_DEQUANTIZE, /* kernels/quantize.h: u8, i8 and i32 to f32 */
	KERNEL_GATHER_ELEMENTS, /* kernels/gather_elements.h: one element an id */
	KERNEL_GATHER_ND,  /* kernels/points.h: slices by coordinates */
	KERNEL_SCATTER_ND, /* kernels/points.h: the same, written */
	KERNEL_TOPK,       /* kernels/topk.h: the largest or smallest, and where they are */
	KERNEL_QUANTIZE_DYNAMIC, /* kernels/quantize.h: f32 to u8 by its own range */
	KERNEL_COUNT,
};

/* No work of a model: what the hardware would take for some (kernels/limit.h). */
enum limit {
	LIMIT_MULTIPLY_ADD,
	LIMIT_READ,
	LIMIT_ROWS,
	LIMIT_COUNT,
};

struct device {
	const char *name; /* "cpu-v4" */
	enum numerics numerics;
	kernel_function kernels[KERNEL_COUNT];
	kernel_function limits[LIMIT_COUNT];
};

/* The best table that this processor runs; never NULL. HEARTH_CPU=baseline, v3, v4
 * or v4-vnni in the environment asks for a lesser one. */
const struct device *cpu_device(void);

/* A table by its name without "cpu-", NULL when the processor lacks it. */
const struct device *cpu_device_by_name(const char *name);

#endif

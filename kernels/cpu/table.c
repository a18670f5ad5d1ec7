/* SPDX-License-Identifier: MIT */
/* kernels/cpu/table.c - the kernels of one instruction set */
#include "kernels/cpu/isa.h"
#include "kernels/cpu/vector.h"

const struct device CPU(device) = {
	.name = "cpu-" CPU_STRING(CPU_ISA),
	.numerics = VEC_FUSED ? NUMERICS_F32_FMA : NUMERICS_F32,
	.kernels = {
		[KERNEL_GEMM] = CPU(gemm),
		[KERNEL_MATMUL] = CPU(matmul),
		[KERNEL_GATHER] = CPU(gather),
		[KERNEL_EMBED] = CPU(embed),
		[KERNEL_UNARY] = CPU(unary),
		[KERNEL_BINARY] = CPU(binary),
		[KERNEL_CAST] = CPU(cast),
		[KERNEL_REDUCE] = CPU(reduce),
		[KERNEL_SOFTMAX] = CPU(softmax),
		[KERNEL_LAYERNORM] = CPU(layernorm),
		[KERNEL_COPY] = CPU(copy),
		[KERNEL_STORE] = CPU(store),
		[KERNEL_CHAIN] = CPU(chain),
		[KERNEL_COMPARE] = CPU(compare),
		[KERNEL_WHERE] = CPU(where),
		[KERNEL_RANGE] = CPU(range),
		[KERNEL_SCAN] = CPU(scan),
		[KERNEL_ARG] = CPU(arg),
		[KERNEL_QUANTIZE] = CPU(quantize),
		[KERNEL_DEQUANTIZE] = CPU(dequantize),
		[KERNEL_INTERACT] = CPU(interact),
		[KERNEL_PAIR] = CPU(pair),
		[KERNEL_GATHER_ELEMENTS] = CPU(gather_elements),
		[KERNEL_GATHER_ND] = CPU(gather_nd),
		[KERNEL_SCATTER_ND] = CPU(scatter_nd),
		[KERNEL_TOPK] = CPU(topk),
	},
	.limits = {
		[LIMIT_MULTIPLY_ADD] = CPU(limit_multiply_add),
		[LIMIT_READ] = CPU(limit_read),
		[LIMIT_ROWS] = CPU(limit_rows),
	},
};

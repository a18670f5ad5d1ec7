/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/table.c - the kernels of one instruction set
 *
 * Byte products are an extension of their own of v4: a processor that has it takes a table that
 * differs in one entry.
 */
#include "kernels/cpu/isa.h"
#include "kernels/cpu/vector.h"

#define TABLE(table_name, matmul_integer_function)                         \
	{                                                                  \
		.name = "cpu-" table_name,                                 \
		.numerics = VEC_FUSED ? NUMERICS_F32_FMA : NUMERICS_F32,   \
		.kernels = {                                               \
			[KERNEL_GEMM] = CPU(gemm),                         \
			[KERNEL_MATMUL] = CPU(matmul),                     \
			[KERNEL_MATMUL_INTEGER] = matmul_integer_function, \
			[KERNEL_GATHER] = CPU(gather),                     \
			[KERNEL_EMBED] = CPU(embed),                       \
			[KERNEL_UNARY] = CPU(unary),                       \
			[KERNEL_BINARY] = CPU(binary),                     \
			[KERNEL_CAST] = CPU(cast),                         \
			[KERNEL_REDUCE] = CPU(reduce),                     \
			[KERNEL_SOFTMAX] = CPU(softmax),                   \
			[KERNEL_LAYERNORM] = CPU(layernorm),               \
			[KERNEL_COPY] = CPU(copy),                         \
			[KERNEL_STORE] = CPU(store),                       \
			[KERNEL_CHAIN] = CPU(chain),                       \
			[KERNEL_COMPARE] = CPU(compare),                   \
			[KERNEL_WHERE] = CPU(where),                       \
			[KERNEL_RANGE] = CPU(range),                       \
			[KERNEL_SCAN] = CPU(scan),                         \
			[KERNEL_ARG] = CPU(arg),                           \
			[KERNEL_QUANTIZE] = CPU(quantize),                 \
			[KERNEL_DEQUANTIZE] = CPU(dequantize),             \
			[KERNEL_QUANTIZE_DYNAMIC] = CPU(quantize_dynamic), \
			[KERNEL_INTERACT] = CPU(interact),                 \
			[KERNEL_PAIR] = CPU(pair),                         \
			[KERNEL_GATHER_ELEMENTS] = CPU(gather_elements),   \
			[KERNEL_GATHER_ND] = CPU(gather_nd),               \
			[KERNEL_SCATTER_ND] = CPU(scatter_nd),             \
			[KERNEL_TOPK] = CPU(topk),                         \
		},                                                         \
		.limits = {                                                \
			[LIMIT_MULTIPLY_ADD] = CPU(limit_multiply_add),    \
			[LIMIT_READ] = CPU(limit_read),                    \
			[LIMIT_ROWS] = CPU(limit_rows),                    \
		},                                                         \
	}

const struct device CPU(device) = TABLE(CPU_STRING(CPU_ISA), CPU(matmul_integer));

#if defined(__AVX512BW__)
void cpu_v4_vnni_matmul_integer(const void *args);

const struct device cpu_v4_vnni_device = TABLE("v4-vnni", cpu_v4_vnni_matmul_integer);
#endif

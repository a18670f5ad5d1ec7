/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/isa.h - names of the CPU kernels: one set of sources, one set of names per ISA
 *
 * Every file of this folder is compiled once per instruction set with -DCPU_ISA=<isa>;
 * CPU(gemm) is cpu_v4_gemm, and so on. Without CPU_ISA only the tables are visible.
 */
#ifndef HEARTH_KERNELS_CPU_ISA_H
#define HEARTH_KERNELS_CPU_ISA_H

#include "kernels/device.h"

extern const struct device cpu_baseline_device;
extern const struct device cpu_v3_device;
extern const struct device cpu_v4_device;
extern const struct device cpu_v4_vnni_device; /* v4 with another matmul_integer */

#ifdef CPU_ISA

#define CPU_PASTE(isa, verb) cpu_##isa##_##verb
#define CPU_NAME(isa, verb) CPU_PASTE(isa, verb)
#define CPU(verb) CPU_NAME(CPU_ISA, verb)
#define CPU_QUOTE(isa) #isa
#define CPU_STRING(isa) CPU_QUOTE(isa)

void CPU(gemm)(const void *args);
void CPU(matmul)(const void *args);
void CPU(matmul_integer)(const void *args);
void CPU(gather)(const void *args);
void CPU(embed)(const void *args);
void CPU(unary)(const void *args);
void CPU(binary)(const void *args);
void CPU(cast)(const void *args);
void CPU(reduce)(const void *args);
void CPU(softmax)(const void *args);
void CPU(layernorm)(const void *args);
void CPU(copy)(const void *args);
void CPU(store)(const void *args);
void CPU(chain)(const void *args);
void CPU(compare)(const void *args);
void CPU(where)(const void *args);
void CPU(range)(const void *args);
void CPU(scan)(const void *args);
void CPU(arg)(const void *args);
void CPU(quantize)(const void *args);
void CPU(dequantize)(const void *args);
void CPU(quantize_dynamic)(const void *args);
void CPU(interact)(const void *args);
void CPU(pair)(const void *args);
void CPU(limit_multiply_add)(const void *args);
void CPU(limit_read)(const void *args);
void CPU(limit_rows)(const void *args);
void CPU(gather_elements)(const void *args);
void CPU(gather_nd)(const void *args);
void CPU(scatter_nd)(const void *args);
void CPU(topk)(const void *args);

#endif

/* The loop below may be vectorised: no iteration reads what another one writes. Where the
 * processor has no such instruction (integer division) the hint is void, which is no error.
 * UNROLL is for a loop of at most 24 turns whose array shall live in registers. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed"
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#define UNROLL _Pragma("GCC unroll 24")
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#endif

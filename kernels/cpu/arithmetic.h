/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/arithmetic.h - operations on two numbers: integers wrap, a NaN on either side of an
 * extreme is the result
 */
#ifndef HEARTH_KERNELS_CPU_ARITHMETIC_H
#define HEARTH_KERNELS_CPU_ARITHMETIC_H

#include <stdint.h>

#define ADD_FLOAT(left, right) ((left) + (right))
#define SUB_FLOAT(left, right) ((left) - (right))
#define MUL_FLOAT(left, right) ((left) * (right))
#define DIV_FLOAT(left, right) ((left) / (right))
#define MAX_FLOAT(left, right) ((left) > (right) || (left) != (left) ? (left) : (right))
#define MIN_FLOAT(left, right) ((left) < (right) || (left) != (left) ? (left) : (right))
#define MAX_INTEGER(left, right) ((left) > (right) ? (left) : (right))
#define MIN_INTEGER(left, right) ((left) < (right) ? (left) : (right))
#define ADD_I32(left, right) ((int32_t)((uint32_t)(left) + (uint32_t)(right)))
#define SUB_I32(left, right) ((int32_t)((uint32_t)(left) - (uint32_t)(right)))
#define MUL_I32(left, right) ((int32_t)((uint32_t)(left) * (uint32_t)(right)))
#define ADD_I64(left, right) ((int64_t)((uint64_t)(left) + (uint64_t)(right)))
#define SUB_I64(left, right) ((int64_t)((uint64_t)(left) - (uint64_t)(right)))
#define MUL_I64(left, right) ((int64_t)((uint64_t)(left) * (uint64_t)(right)))

#endif

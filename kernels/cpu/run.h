/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/run.h - one operation over a run of elements, for kernels that do several
 *
 * A step is 1, or 0 where an operand is one value; y may be an operand of step 1.
 */
#ifndef HEARTH_KERNELS_CPU_RUN_H
#define HEARTH_KERNELS_CPU_RUN_H

#include "kernels/binary.h"
#include "kernels/cpu/isa.h"

typedef void (*binary_run)(const void *a, const void *b, void *y, int64_t count, int64_t a_step,
			   int64_t b_step);

/* Between f32 and f32. */
binary_run CPU(binary_run_f32)(enum binary op);

#endif

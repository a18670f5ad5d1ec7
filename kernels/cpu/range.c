/* SPDX-License-Identifier: MIT */
/* kernels/cpu/range.c - numbers that follow each other */
#include "kernels/range.h"

#include "kernels/cpu/isa.h"

void CPU(range)(const void *erased)
{
	const struct range_args *args = erased;

	for (int64_t index = 0; index < args->count; index++) {
		uint64_t integer = (uint64_t)args->start_i64 +
				   (uint64_t)index * (uint64_t)args->delta_i64;

		if (args->dtype == DTYPE_F32)
			((float *)args->y)[index] =
				(float)((double)args->start + (double)index * args->delta);
		else if (args->dtype == DTYPE_I32)
			((int32_t *)args->y)[index] = (int32_t)integer;
		else
			((int64_t *)args->y)[index] = (int64_t)integer;
	}
}

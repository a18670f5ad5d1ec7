/* SPDX-License-Identifier: MIT */
/* kernels/cpu/store.c - a few integers */
#include "kernels/store.h"

#include "kernels/cpu/isa.h"

void CPU(store)(const void *erased)
{
	const struct store_args *args = erased;

	for (uint32_t index = 0; index < args->count; index++) {
		if (args->dtype == DTYPE_I64)
			((int64_t *)args->y)[index] = args->values[index];
		else
			((int32_t *)args->y)[index] = (int32_t)args->values[index];
	}
}

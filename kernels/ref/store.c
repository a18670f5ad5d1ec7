/* SPDX-License-Identifier: MIT */
/* kernels/ref/store.c - as the kernel */
#include "kernels/ref/ref.h"

void ref_store(const struct store_args *args, int64_t *ret_y)
{
	for (uint32_t index = 0; index < args->count; index++)
		ret_y[index] = args->dtype == DTYPE_I32 ? (int32_t)args->values[index] :
							  args->values[index];
}

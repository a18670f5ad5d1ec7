/* SPDX-License-Identifier: MIT */
/* kernels/ref/copy.c - one element at a time; an index becomes an offset by division */
#include "kernels/ref/ref.h"

#include <stddef.h>
#include <string.h>

void ref_copy(const struct copy_args *args, void *ret_y)
{
	int64_t count = 1;

	for (uint32_t dim = 0; dim < args->rank; dim++)
		count *= args->dims[dim];
	for (int64_t index = 0; index < count; index++) {
		int64_t rest = index, x_offset = 0, y_offset = 0;

		for (uint32_t dim = args->rank; dim-- > 0;) {
			x_offset += rest % args->dims[dim] * args->x_strides[dim];
			y_offset += rest % args->dims[dim] * args->y_strides[dim];
			rest /= args->dims[dim];
		}
		memcpy((char *)ret_y + y_offset * args->element_bytes,
		       (const char *)args->x + x_offset * args->element_bytes,
		       args->element_bytes);
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu/bytes.h - copies of short runs, without a call
 *
 * Rows of embedding tables are 16 to 256 bytes: a call to memcpy would cost as
 * much as the copy.
 */
#ifndef HEARTH_KERNELS_CPU_BYTES_H
#define HEARTH_KERNELS_CPU_BYTES_H

#include <stddef.h>
#include <string.h>

#include "kernels/cpu/isa.h"

#define BYTES_CALL_MIN 1024

/* The two ends of a run may overlap each other. */
ALWAYS_INLINE void bytes_copy(char *y, const char *x, size_t size)
{
	if (size >= BYTES_CALL_MIN) {
		memcpy(y, x, size);
	} else if (size >= 32) {
		for (size_t offset = 0; offset + 32 < size; offset += 32)
			__builtin_memcpy(y + offset, x + offset, 32);
		__builtin_memcpy(y + size - 32, x + size - 32, 32);
	} else if (size >= 16) {
		__builtin_memcpy(y, x, 16);
		__builtin_memcpy(y + size - 16, x + size - 16, 16);
	} else if (size >= 8) {
		__builtin_memcpy(y, x, 8);
		__builtin_memcpy(y + size - 8, x + size - 8, 8);
	} else if (size >= 4) {
		__builtin_memcpy(y, x, 4);
		__builtin_memcpy(y + size - 4, x + size - 4, 4);
	} else if (size >= 2) {
		__builtin_memcpy(y, x, 2);
		__builtin_memcpy(y + size - 2, x + size - 2, 2);
	} else if (size == 1) {
		*y = *x;
	}
}

#endif

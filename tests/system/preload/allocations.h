/* SPDX-License-Identifier: MIT */
/*
 * tests/system/preload/allocations.h - what the preloaded counter of allocations writes into its file
 *
 * Threads:  any thread of the counted process writes; the test reads
 */
#ifndef HEARTH_TESTS_SYSTEM_PRELOAD_ALLOCATIONS_H
#define HEARTH_TESTS_SYSTEM_PRELOAD_ALLOCATIONS_H

#include <stdint.h>

#define ALLOCATIONS_FILE "HEARTH_ALLOCATIONS" /* environment: the file's path */

struct allocations {
	uint64_t all;  /* calls of malloc, calloc, realloc, aligned_alloc, posix_memalign, free */
	uint64_t data; /* of these, by the thread that serves */
};

#endif

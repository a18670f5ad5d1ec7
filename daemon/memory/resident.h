/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/resident.h - what requests touch is there before the first of them
 *
 * The kernel brings a page in when it is first touched: of the heap, of a stack, of the program. A
 * request that comes by first would pay for it.
 *
 * Owns:     nothing: memory is its caller's, for free()
 * Threads:  any
 */
#ifndef HEARTH_MEMORY_RESIDENT_H
#define HEARTH_MEMORY_RESIDENT_H

#include <stddef.h>

#include "base/error.h"

/* As calloc, and each page is there. */
must_check void *resident_alloc(size_t count, size_t bytes);

/* A store to each page: zeros over what is there. */
void resident_touch(void *memory, size_t bytes);

/* What the calling thread's stack will take. */
void resident_stack(void);

/* The program and its libraries; page by page as they are executed where the kernel lacks
 * MADV_POPULATE_READ (before 5.14). */
void resident_program(void);

#endif

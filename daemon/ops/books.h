/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/books.h - rows for what is mapped once, at the start, and by nobody's span
 *
 * Owns:     nothing: the rows stay as long as their table
 * Threads:  the control thread, before anybody asks
 * Errors:   -errno with a sentence
 */
#ifndef HEARTH_OPS_BOOKS_H
#define HEARTH_OPS_BOOKS_H

#include <pthread.h>

#include "memory/tier.h"

/* The first thing that a program does: malloc takes all it gives from the heap, which the kernel
 * names, and from no mapping of its own. */
void books_gather_heap(void);

/* What has no name, and kernel and dynamic loader have mapped: before the first thread. */
must_check int books_open(struct tier_table *tiers);

must_check int books_add_stack(struct tier_table *tiers, pthread_t thread, const char *name);

#endif

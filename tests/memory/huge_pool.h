/* SPDX-License-Identifier: MIT */
/*
 * tests/memory/huge_pool.h - reserved huge pages of node 0 for a test, and where a span's pages are
 *
 * pool_grow and pool_shrink are Check's unchecked fixtures: they run in the parent, so the pages go
 * back whatever a test does. In between no other program that uses them does; a daemon that somebody
 * starts meanwhile may take pages all the same. Where reserving is refused (not root, no memory), and
 * where somebody has pages of the pool already, pool_is_ready says so.
 *
 * Owns:     the pages that it added to the pool
 */
#ifndef HEARTH_TESTS_MEMORY_HUGE_POOL_H
#define HEARTH_TESTS_MEMORY_HUGE_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "memory/span.h"

#define HUGE_BYTES ((uint64_t)2 << 20)
#define POOL_RESERVED_PAGES 8

void pool_grow(void);
void pool_shrink(void);
/* False: it has printed why. The same of a test that takes pages as they are; pool_is_ours is asked
 * before pages are drained or counted. */
bool pool_is_ready(void);
bool pool_is_ours(void);

long pool_free_pages(void); /* of node 0 */
/* Takes all but `left` of the machine's free huge pages out of reach, by reservation alone. */
void *pool_drain(long left, uint64_t *ret_bytes);
void pool_refill(void *address, uint64_t bytes);

/* The same with a page of 1 GiB. */
#define GIANT_BYTES ((uint64_t)1 << 30)
void giant_grow(void);
void giant_shrink(void);
bool giant_is_ready(void);
long giant_free_pages(void);

/* Of the span's pages, of 4 KiB each. */
uint64_t span_resident_pages(const struct span *span);
/* Is the span bound to node 0, and each of its pages there? */
void span_check_node_0(const struct span *span);

#endif

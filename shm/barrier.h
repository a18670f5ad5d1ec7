/* SPDX-License-Identifier: MIT */
/*
 * shm/barrier.h - the only names by which shared memory is read and written
 *
 * Threads:  two processes share every word; each word has exactly one writer
 * Units:    none
 *
 * Plain integers are touched only through these names, so that one layout
 * serves C and C++. Wherever one of the ordered names is used, a comment beside
 * it carries a label, the ordering, the label of its partner, and what goes
 * wrong without it; `make tidy` fails when a label has no partner.
 */
#ifndef HEARTH_SHM_BARRIER_H
#define HEARTH_SHM_BARRIER_H

#include <stdint.h>

/* No ordering; the word is read or written once and never torn. */
#define hearth_load_relaxed(word) __atomic_load_n((word), __ATOMIC_RELAXED)
#define hearth_store_relaxed(word, value) __atomic_store_n((word), (value), __ATOMIC_RELAXED)

/* Everything written before the store is visible to who loads the value. */
#define hearth_load_acquire(word) __atomic_load_n((word), __ATOMIC_ACQUIRE)
#define hearth_store_release(word, value) __atomic_store_n((word), (value), __ATOMIC_RELEASE)

/* A store before the fence is globally visible before a load after it. */
#define hearth_fence_full() __atomic_thread_fence(__ATOMIC_SEQ_CST)

/* Tells the core that the surrounding loop waits; orders nothing. */
static inline void hearth_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("isb");
#endif
}

#endif

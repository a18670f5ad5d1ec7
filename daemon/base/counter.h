/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/counter.h - a number that one thread writes and any thread reads
 *
 * Threads:  counter_add and counter_set on the writer's thread only; reads on any
 *
 * Reads and writes are whole and carry no order: a reader sees each counter as
 * it was at some moment, not two counters at the same moment. One writer needs
 * no locked instruction.
 */
#ifndef HEARTH_BASE_COUNTER_H
#define HEARTH_BASE_COUNTER_H

#include <stdint.h>

struct counter {
	uint64_t value;
};

static inline uint64_t counter_read(const struct counter *counter)
{
	return __atomic_load_n(&counter->value, __ATOMIC_RELAXED);
}

static inline void counter_set(struct counter *counter, uint64_t value)
{
	__atomic_store_n(&counter->value, value, __ATOMIC_RELAXED);
}

static inline void counter_add(struct counter *counter, uint64_t amount)
{
	counter_set(counter, counter_read(counter) + amount);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/clock.h - the one clock: nanoseconds that never go back, and the calendar's beside it
 *
 * Threads:  any
 * Units:    ns since an arbitrary start; the same in every process of the host. unix ns: since 1970
 *
 * CLOCK_MONOTONIC is read in the vDSO, without entering the kernel. Clients
 * stamp deadlines with the same clock.
 */
#ifndef HEARTH_BASE_CLOCK_H
#define HEARTH_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_NS_PER_US UINT64_C(1000)
#define CLOCK_NS_PER_MS UINT64_C(1000000)
#define CLOCK_NS_PER_S UINT64_C(1000000000)

static inline uint64_t clock_read(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_ns(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

/* For who reads a date; it may be set to any other one. */
static inline uint64_t clock_unix_ns(void)
{
	return clock_read(CLOCK_REALTIME);
}

static inline struct timespec clock_timespec(uint64_t ns)
{
	struct timespec time = {
		.tv_sec = (time_t)(ns / CLOCK_NS_PER_S),
		.tv_nsec = (long)(ns % CLOCK_NS_PER_S),
	};

	return time;
}

#endif

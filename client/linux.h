/* SPDX-License-Identifier: MIT */
/*
 * client/linux.h - the kernel as a strict -std=c11 shows it: clocks, futexes, CPUs
 *
 * libc hides part of its declarations from strict C, and a header cannot ask for
 * them once another one was included; so what is needed of them is here.
 *
 * Units:    ns
 */
#ifndef HEARTH_CLIENT_LINUX_H
#define HEARTH_CLIENT_LINUX_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Linux's numbers for what libc hides under -std=c11 (all architectures that hearth runs on). */
#define HEARTH_MAP_ANONYMOUS 0x20
#define HEARTH_MADV_DONTFORK 10
#define HEARTH_MADV_WIPEONFORK 18
#define HEARTH_MADV_POPULATE_READ 22
#define HEARTH_MADV_POPULATE_WRITE 23
#define HEARTH_F_GET_SEALS 1034
#define HEARTH_SEALS_WANTED 0x6 /* F_SEAL_SHRINK | F_SEAL_GROW */
#define HEARTH_FUTEX_WAIT 0
#define HEARTH_FUTEX_WAKE 1
#define HEARTH_CLOCK_MONOTONIC 1
#define HEARTH_CLOCK_MONOTONIC_COARSE 6
#ifndef __USE_MISC
extern long syscall(long number, ...);
#endif
#ifndef __USE_POSIX199309
extern int clock_gettime(__clockid_t clock, struct timespec *ret_time);
#endif

static inline int64_t hearth_clock_ns(int clock)
{
	struct timespec time;

	(void)clock_gettime(clock, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static inline int64_t hearth_time_after(int64_t now_ns, int64_t from_now_ns)
{
	return from_now_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + from_now_ns;
}

/* Returns at a wake, a changed word, a signal or after sleep_ns, all alike. */
static inline void hearth_futex_wait(const uint32_t *word, uint32_t expected, int64_t sleep_ns)
{
	struct timespec time;

	time.tv_sec = (time_t)(sleep_ns / 1000000000);
	time.tv_nsec = (long)(sleep_ns % 1000000000);
	(void)syscall(SYS_futex, word, HEARTH_FUTEX_WAIT, expected, &time, NULL, 0);
}

static inline uint32_t hearth_cpu_count(void)
{
	unsigned long mask[128];
	uint32_t word;
	uint32_t count = 0;
	long bytes;

	bytes = syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);
	for (word = 0; word < (uint32_t)(bytes > 0 ? bytes : 0) / sizeof(mask[0]); word++)
		count += (uint32_t)__builtin_popcountl(mask[word]);
	return count;
}

#endif

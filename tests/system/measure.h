/* SPDX-License-Identifier: MIT */
/*
 * tests/system/measure.h - ticks, CPUs, percentiles, slices, noise, and what the processor can do
 *
 * Units:    ticks of the processor's clock; tick_ns() says how long one is
 *
 * A claim is a ratio: candidate and limit are measured in slices that alternate
 * in one run, limit, candidate, limit. A candidate's slice counts only when the
 * limits around it agree; the claim is the median of the ratios that count.
 */
#ifndef HEARTH_TESTS_SYSTEM_MEASURE_H
#define HEARTH_TESTS_SYSTEM_MEASURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define MEASURE_SKIP 77 /* exit status: this machine cannot run the measurement */
#define MEASURE_STEAL_RATIO_MAX 0.05
#define MEASURE_LIMIT_DRIFT_MAX 0.15
#define MEASURE_SLICES_MIN 20
#define MEASURE_SLICES_MAX 400
#define MEASURE_SAMPLES_MAX (1u << 19)

/* What the main of a benchmark between two CPUs does first. 0: go on, otherwise its status. */
int measure_arguments(int argument_count, char **arguments, bool *ret_is_json);

/* Not serialising: a few nanoseconds, and the same for both sides of a ratio. */
static inline uint64_t ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t value;

	__asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(value));
	return value;
#else
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
#endif
}

/* Measured against the clock at the first call, in 100 ms. */
double tick_ns(void);

/* The index-th CPU that this process may use, or -1. */
int cpu_allowed(uint32_t index);
/* thread 0 is the calling one; it must be possible. */
void cpu_pin(pid_t thread, int cpu);

/* A thread of a process by its name; 0: there is none. */
pid_t thread_find(pid_t process, const char *name);
/* Waits until it sleeps, so that its CPU is free. */
void thread_await_sleep(pid_t process, pid_t thread);

/* What one slice took, each repetition by itself. */
struct samples {
	uint32_t *ticks; /* [MEASURE_SAMPLES_MAX] */
	uint32_t count;
};

void samples_init(struct samples *samples);
static inline bool samples_add(struct samples *samples, uint64_t duration)
{
	samples->ticks[samples->count++] = duration > UINT32_MAX ? UINT32_MAX : (uint32_t)duration;
	return samples->count < MEASURE_SAMPLES_MAX;
}
/* Both sort. The mean of the middle half stands for the median where a tick is coarse (10 ns on
 * some virtual machines). */
double samples_middle_ns(struct samples *samples);
double samples_ns(struct samples *samples, double ratio);
/* The middle of what `once` takes when it is called for a millisecond, the first call aside. */
double slice_ns(struct samples *samples, void (*once)(void *context), void *context);

/* One measure over all slices: values of the limit and of the candidate, and how they differ. */
struct series {
	double limits[MEASURE_SLICES_MAX];
	double values[MEASURE_SLICES_MAX];
	double ratios[MEASURE_SLICES_MAX]; /* value / limit */
	double excesses[MEASURE_SLICES_MAX]; /* value - limit */
	uint32_t count;
};

void series_add(struct series *series, double limit_before, double value, double limit_after);
double median_of(double values[], uint32_t count);
/* Sorts `values`. */
double percentile_of(double values[], uint32_t count, double ratio);
bool limits_agree(double before, double after);

/* The host may move two virtual CPUs between one core's hyperthreads and two cores, which changes
 * what a cache line costs several times over. Slices of either place are reported by themselves. */
enum cpu_place {
	PLACE_APART,
	PLACE_SHARED,
	PLACE_COUNT,
};

enum cpu_place place_of(double limit_ns);
const char *place_name(enum cpu_place place);
const char *place_key(enum cpu_place place); /* in JSON */

/* Processor time that the hypervisor gave to others since noise_begin, as a share of all. */
struct noise {
	uint64_t steal;
	uint64_t total;
};

void noise_begin(struct noise *noise);
double noise_steal_ratio(const struct noise *noise);

/* Reserves further huge pages of 2 MiB, as root may; returns how many came. Those in use stay until
 * they are unmapped, so that as many are given back at once. */
long huge_pool_enlarge(long pages);
void huge_pool_shrink(long pages);

/* Before a loop that stands for a limit: it runs with the widest vectors that this processor has.
 * Sanitizers' builds go without. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define FOR_EACH_WIDTH __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_WIDTH
#endif

/* f32 multiply-adds a second that one core does from registers, measured for about 2 ms. 0: no
 * loop for this processor. */
double fma_peak_per_s(void);

#endif

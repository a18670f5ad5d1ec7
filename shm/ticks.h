/* SPDX-License-Identifier: MIT */
/*
 * shm/ticks.h - the kernel's clock, continued for a millisecond by the processor's counter
 *
 * A request is stamped on both sides of the ring. clock_gettime waits until all
 * loads before it are done, which costs a round trip 30 ns on either side; the
 * bare counter waits for nothing. So the kernel's clock is asked once in
 * HEARTH_TICKS_SPAN_NS, and what has passed since is counted.
 *
 * Units:    ns of the clock that is given to hearth_ticks_sync; counts of the
 *           processor's counter; ns a count as a fixed-point number, 32.32
 * Threads:  one at a time
 * Errors:   none: where the counter cannot be trusted, hearth_ticks_tell never tells
 *
 * Nothing here reads a clock, so a test plays any machine: one whose rates
 * differ, one that was suspended (the counter goes on, the clock does not).
 */
#ifndef HEARTH_SHM_TICKS_H
#define HEARTH_SHM_TICKS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define HEARTH_TICKS_SPAN_NS UINT64_C(1000000)
#define HEARTH_TICKS_RATE_NS UINT64_C(2000000) /* a rate is measured over this much, at least */
#define HEARTH_TICKS_RATE_RATIO 0.01	       /* and one that changes by more is none */
#define HEARTH_TICKS_BACK_NS UINT64_C(1000)    /* the clock is ahead of what was told: it waits */
#define HEARTH_TICKS_ASKED_MIN 8 /* questions, before one is known to be quick */
#define HEARTH_TICKS_ONE 4294967296.0	       /* 1 in 32.32 */
#define HEARTH_TICKS_RATE_MAX (1e6 * HEARTH_TICKS_ONE) /* a counter of 1 kHz */

struct hearth_ticks {
	uint64_t ns;	/* of the clock when it was last asked */
	uint64_t count; /* of the counter then */
	uint64_t span;	/* counts for which it is continued; 0: not yet, or never */
	uint64_t rate;	/* ns a count; 0: unknown */
	uint64_t rate_ns; /* since when the rate is measured anew */
	uint64_t rate_count;
	uint64_t window; /* counts that asking the clock takes */
	uint64_t asked;	 /* how often, up to HEARTH_TICKS_ASKED_MIN */
	uint64_t is_usable; /* the counter runs at one rate, always */
};

static inline uint64_t hearth_ticks_count(void)
{
#if defined(__x86_64__)
	uint32_t low;
	uint32_t high;

	__asm__ __volatile__("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
	uint64_t count;

	__asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(count));
	return count;
#else
	return 0;
#endif
}

/* Does the counter run at one rate, whatever the processor does to save power? */
static inline bool hearth_ticks_are_steady(void)
{
#if defined(__x86_64__)
	uint32_t leaf = 0x80000000;
	uint32_t b;
	uint32_t c;
	uint32_t d;

	__asm__ __volatile__("cpuid" : "+a"(leaf), "=b"(b), "=c"(c), "=d"(d));
	if (leaf < 0x80000007)
		return false;
	leaf = 0x80000007;
	__asm__ __volatile__("cpuid" : "+a"(leaf), "=b"(b), "=c"(c), "=d"(d));
	return (d >> 8 & 1) != 0; /* invariant TSC */
#elif defined(__aarch64__)
	return true;
#else
	return false;
#endif
}

static inline void hearth_ticks_init(struct hearth_ticks *ticks, bool is_usable)
{
	memset(ticks, 0, sizeof(*ticks));
	ticks->is_usable = is_usable;
}

/* The time at `count`. False: the clock has to be asked, and given to hearth_ticks_sync. */
static inline bool hearth_ticks_tell(const struct hearth_ticks *ticks, uint64_t count,
				     uint64_t *ret_ns)
{
	uint64_t passed = count - ticks->count;

	if (passed >= ticks->span)
		return false;
	*ret_ns = ticks->ns + (passed * ticks->rate >> 32);
	return true;
}

static inline void hearth_ticks_measure(struct hearth_ticks *ticks, uint64_t ns, uint64_t count)
{
	uint64_t passed = count - ticks->rate_count;
	double rate = passed ? (double)(ns - ticks->rate_ns) / (double)passed * HEARTH_TICKS_ONE : 0;
	double change = rate - (double)ticks->rate;
	double change_max = (double)ticks->rate * HEARTH_TICKS_RATE_RATIO;

	if (rate < 1 || rate > HEARTH_TICKS_RATE_MAX ||
	    (ticks->rate && (change > change_max || -change > change_max))) {
		ticks->rate = 0;
		ticks->span = 0;
		return;
	}
	ticks->rate = (uint64_t)rate;
	ticks->span = (uint64_t)((double)HEARTH_TICKS_SPAN_NS * HEARTH_TICKS_ONE / rate);
}

/* Was the clock asked without losing the processor in between? The quickest question so far is the
 * measure, which yields while none comes near it. */
static inline bool hearth_ticks_are_close(struct hearth_ticks *ticks, uint64_t window)
{
	if (ticks->window == 0 || window < ticks->window)
		ticks->window = window;
	if (ticks->asked < HEARTH_TICKS_ASKED_MIN) {
		ticks->asked++;
		return false;
	}
	if (window <= 2 * ticks->window)
		return true;
	ticks->window += ticks->window / 8 + 1;
	return false;
}

/* The clock said `ns` while the counter went from `before` to `after`. Returns what is to be said of
 * this moment: never less than what was told before, by a hair. */
static inline uint64_t hearth_ticks_sync(struct hearth_ticks *ticks, uint64_t ns, uint64_t before,
					 uint64_t after)
{
	uint64_t count = before + (after - before) / 2;
	uint64_t passed = count - ticks->count;
	uint64_t told_ns;

	if (!ticks->is_usable || !hearth_ticks_are_close(ticks, after - before))
		return ns;
	told_ns = ticks->ns + ((passed < ticks->span ? passed : ticks->span) * ticks->rate >> 32);
	if (ns < told_ns && told_ns - ns < HEARTH_TICKS_BACK_NS)
		ns = told_ns;
	if (ticks->rate_count == 0 || ns - ticks->rate_ns >= HEARTH_TICKS_RATE_NS) {
		if (ticks->rate_count)
			hearth_ticks_measure(ticks, ns, count);
		ticks->rate_ns = ns;
		ticks->rate_count = count;
	}
	ticks->ns = ns;
	ticks->count = count;
	return ns;
}

#endif

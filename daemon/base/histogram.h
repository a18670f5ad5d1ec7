/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/histogram.h - how 64-bit values are spread, in fixed memory
 *
 * Owns:     nothing; 15 KiB of the caller's storage, all zero is empty
 * Threads:  one writer; the rest may read at any time, and see each bucket as
 *           it was at some moment
 * Units:    the caller's, ordinarily ns
 * Error:    a percentile p is reported between its true value v and v + v/32;
 *           values below 64, count, mean, min and max are exact
 * Source:   log-linear buckets as in HdrHistogram (Tene): each power of two is
 *           cut into 32 equal parts
 */
#ifndef HEARTH_BASE_HISTOGRAM_H
#define HEARTH_BASE_HISTOGRAM_H

#include <stdint.h>

#include "base/counter.h"

#define HISTOGRAM_PARTS_LOG2 5
#define HISTOGRAM_PARTS (1 << HISTOGRAM_PARTS_LOG2)
#define HISTOGRAM_BUCKETS (HISTOGRAM_PARTS * (65 - HISTOGRAM_PARTS_LOG2))

struct histogram {
	struct counter count;
	struct counter sum; /* modulo 2^64: 584 years in ns */
	struct counter max;
	struct counter min_inverse; /* ~min, so that zero is empty */
	struct counter buckets[HISTOGRAM_BUCKETS];
};

void histogram_clear(struct histogram *histogram);
void histogram_record(struct histogram *histogram, uint64_t value);

/* The bucket that counts a value; those of larger values are the same or behind it. */
uint32_t histogram_bucket(uint64_t value);

/* Adds every value of `from`. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The smallest recorded value that is not below `percent` of them, 0 to 100;
 * 0 when the histogram is empty. */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

uint64_t histogram_count(const struct histogram *histogram);
uint64_t histogram_min(const struct histogram *histogram);
uint64_t histogram_max(const struct histogram *histogram);
double histogram_mean(const struct histogram *histogram);

/* Values recorded that are at most `bound`, to the bucket that holds it: what a
 * cumulative exposition wants. */
uint64_t histogram_count_below(const struct histogram *histogram, uint64_t bound);

#endif

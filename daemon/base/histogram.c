/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/histogram.c - the bucket of a value, and the values of a bucket
 *
 * Below 32 a bucket is one value. Above, with `high` the position of the top
 * bit, the 5 bits after it choose among the 32 buckets of that power of two,
 * and each is 2^(high - 5) wide: never more than 1/32 of what it holds.
 */

#include "base/histogram.h"

#include <assert.h>
#include <string.h>

static_assert(HISTOGRAM_BUCKETS == 1920, "64 bits need 60 groups of 32");

uint32_t histogram_bucket(uint64_t value)
{
	uint32_t shift;

	if (value < HISTOGRAM_PARTS)
		return (uint32_t)value;
	shift = (uint32_t)(63 - __builtin_clzll(value)) - HISTOGRAM_PARTS_LOG2;
	/* The top bit stays in the shifted value, and stands for one group. */
	return (shift << HISTOGRAM_PARTS_LOG2) + (uint32_t)(value >> shift);
}

/* The largest value of a bucket. */
static uint64_t bucket_last(uint32_t index)
{
	uint32_t shift;
	uint64_t first;

	if (index < 2 * HISTOGRAM_PARTS)
		return index;
	shift = (index >> HISTOGRAM_PARTS_LOG2) - 1;
	first = (uint64_t)(index - (shift << HISTOGRAM_PARTS_LOG2)) << shift;
	return first + ((UINT64_C(1) << shift) - 1);
}

void histogram_clear(struct histogram *histogram)
{
	memset(histogram, 0, sizeof(*histogram));
}

void histogram_record(struct histogram *histogram, uint64_t value)
{
	counter_add(&histogram->buckets[histogram_bucket(value)], 1);
	counter_add(&histogram->sum, value);
	if (value > counter_read(&histogram->max))
		counter_set(&histogram->max, value);
	if (~value > counter_read(&histogram->min_inverse))
		counter_set(&histogram->min_inverse, ~value);
	counter_add(&histogram->count, 1);
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	uint64_t max = counter_read(&from->max);
	uint64_t min_inverse = counter_read(&from->min_inverse);
	uint32_t index;

	for (index = 0; index < HISTOGRAM_BUCKETS; index++)
		counter_add(&into->buckets[index], counter_read(&from->buckets[index]));
	counter_add(&into->sum, counter_read(&from->sum));
	counter_add(&into->count, counter_read(&from->count));
	if (max > counter_read(&into->max))
		counter_set(&into->max, max);
	if (min_inverse > counter_read(&into->min_inverse))
		counter_set(&into->min_inverse, min_inverse);
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
	uint64_t max = counter_read(&histogram->max);
	uint64_t seen = 0;
	uint64_t total = 0;
	uint64_t rank;
	uint32_t index;

	/* Counted here, not taken from `count`: the writer may be between the two. */
	for (index = 0; index < HISTOGRAM_BUCKETS; index++)
		total += counter_read(&histogram->buckets[index]);
	if (total == 0)
		return 0;
	if (percent <= 0)
		return histogram_min(histogram);
	if (percent >= 100)
		return max;

	rank = (uint64_t)(percent / 100 * (double)total);
	if ((double)rank < percent / 100 * (double)total || rank == 0)
		rank++;
	for (index = 0; index < HISTOGRAM_BUCKETS; index++) {
		seen += counter_read(&histogram->buckets[index]);
		if (seen >= rank) {
			uint64_t last = bucket_last(index);
			return last < max ? last : max;
		}
	}
	return max;
}

uint64_t histogram_count(const struct histogram *histogram)
{
	return counter_read(&histogram->count);
}

uint64_t histogram_min(const struct histogram *histogram)
{
	return counter_read(&histogram->count) ? ~counter_read(&histogram->min_inverse) : 0;
}

uint64_t histogram_max(const struct histogram *histogram)
{
	return counter_read(&histogram->max);
}

double histogram_mean(const struct histogram *histogram)
{
	uint64_t count = counter_read(&histogram->count);

	return count ? (double)counter_read(&histogram->sum) / (double)count : 0;
}

uint64_t histogram_count_below(const struct histogram *histogram, uint64_t bound)
{
	uint32_t last = histogram_bucket(bound);
	uint64_t count = 0;
	uint32_t index;

	for (index = 0; index <= last; index++)
		count += counter_read(&histogram->buckets[index]);
	return count;
}

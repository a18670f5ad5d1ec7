/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/interval.c - what is less than it was has begun at 0 again, or lost a part */
#include "tools/hearthctl/interval.h"

uint64_t interval_grown(uint64_t before, uint64_t now)
{
	return now >= before ? now - before : now;
}

void interval_histogram(const struct histogram *before, const struct histogram *now,
			struct histogram *ret_interval)
{
	uint64_t count = 0;

	histogram_clear(ret_interval);
	for (uint32_t index = 0; index < HISTOGRAM_BUCKETS; index++) {
		uint64_t was = counter_read(&before->buckets[index]);
		uint64_t is = counter_read(&now->buckets[index]);

		counter_set(&ret_interval->buckets[index], is > was ? is - was : 0);
		count += is > was ? is - was : 0;
	}
	counter_set(&ret_interval->count, count);
	counter_set(&ret_interval->max, counter_read(&now->max));
}

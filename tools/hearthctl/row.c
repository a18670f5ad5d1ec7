/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/row.c - reading keys without trust, printing one object a line */

#include "tools/hearthctl/row.h"

#include <errno.h>
#include <stdio.h>

#include "tools/hearthctl/chart.h"

const char *row_text(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text ? text : "";
}

uint64_t row_number(const json_t *row, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(row, key));

	return number > 0 ? (uint64_t)number : 0;
}

double row_real(const json_t *row, const char *key)
{
	return json_number_value(json_object_get(row, key));
}

void row_set_percentiles(json_t *row, const struct histogram *histogram)
{
	struct percentiles percentiles = percentiles_of(histogram);

	json_object_set_new(row, "p50_ns", json_integer((json_int_t)percentiles.p50_ns));
	json_object_set_new(row, "p90_ns", json_integer((json_int_t)percentiles.p90_ns));
	json_object_set_new(row, "p99_ns", json_integer((json_int_t)percentiles.p99_ns));
	json_object_set_new(row, "p999_ns", json_integer((json_int_t)percentiles.p999_ns));
	json_object_set_new(row, "max_ns", json_integer((json_int_t)percentiles.max_ns));
	json_object_set_new(row, "count", json_integer((json_int_t)percentiles.count));
}

void row_add_histogram(const json_t *row, struct histogram *histogram)
{
	const json_t *buckets = json_object_get(row, "buckets");
	uint64_t max = row_number(row, "max_ns");
	uint64_t min_inverse = ~row_number(row, "min_ns");
	uint64_t count = 0;
	size_t at;

	for (at = 0; at < json_array_size(buckets); at++) {
		const json_t *bucket = json_array_get(buckets, at);
		json_int_t index = json_integer_value(json_array_get(bucket, 0));
		json_int_t values = json_integer_value(json_array_get(bucket, 1));

		if (index < 0 || index >= HISTOGRAM_BUCKETS || values < 0)
			continue;
		counter_add(&histogram->buckets[index], (uint64_t)values);
		count += (uint64_t)values;
	}
	counter_add(&histogram->count, count);
	counter_add(&histogram->sum, row_number(row, "sum_ns"));
	if (count > 0 && max > counter_read(&histogram->max))
		counter_set(&histogram->max, max);
	if (count > 0 && min_inverse > counter_read(&histogram->min_inverse))
		counter_set(&histogram->min_inverse, min_inverse);
}

int row_print(const json_t *row)
{
	if (json_dumpf(row, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER) < 0 ||
	    fputc('\n', stdout) == EOF || fflush(stdout) == EOF)
		return -EIO;
	return 0;
}

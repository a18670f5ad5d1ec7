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

int row_print(const json_t *row)
{
	if (json_dumpf(row, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER) < 0 ||
	    fputc('\n', stdout) == EOF || fflush(stdout) == EOF)
		return -EIO;
	return 0;
}

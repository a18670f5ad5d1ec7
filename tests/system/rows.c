/* SPDX-License-Identifier: MIT */
/* tests/system/rows.c - arrays of JSON objects */
#include "rows.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

static bool has_values(const json_t *row, va_list pairs)
{
	const char *key;

	while ((key = va_arg(pairs, const char *))) {
		const char *wanted = va_arg(pairs, const char *);
		const char *value = json_string_value(json_object_get(row, key));

		if (!value || strcmp(value, wanted) != 0)
			return false;
	}
	return true;
}

uint64_t rows_number(const json_t *rows, size_t index, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(json_array_get(rows, index), key));
}

uint32_t rows_saying(const json_t *rows, const char *key, const char *part)
{
	uint32_t count = 0;
	size_t index;
	json_t *row;

	json_array_foreach(rows, index, row) {
		const char *text = json_string_value(json_object_get(row, key));

		count += text && strstr(text, part);
	}
	return count;
}

uint64_t rows_sum(const json_t *rows, const char *number, ...)
{
	uint64_t sum = 0;
	size_t index;
	json_t *row;

	json_array_foreach(rows, index, row) {
		va_list pairs;

		va_start(pairs, number);
		if (has_values(row, pairs))
			sum += (uint64_t)json_integer_value(json_object_get(row, number));
		va_end(pairs);
	}
	return sum;
}

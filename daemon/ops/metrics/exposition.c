/* SPDX-License-Identifier: MIT */
/* daemon/ops/metrics/exposition.c - lines of text */
#include "ops/metrics/exposition.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MIN 65536
#define LINE_BYTES_MAX 512 /* of what put_format writes at once */
#define LABELS_MAX 8

const char *metric_kind_name(enum metric_kind kind)
{
	static const char *const names[] = { "counter", "gauge", "histogram" };

	return names[kind];
}

static bool has_room(struct exposition *exposition, size_t bytes)
{
	size_t wanted = exposition->bytes + bytes + 1;
	size_t capacity = exposition->capacity ? exposition->capacity : BYTES_MIN;
	char *text;

	if (exposition->has_failed)
		return false;
	if (wanted <= exposition->capacity)
		return true;
	while (capacity < wanted)
		capacity *= 2;
	text = realloc(exposition->text, capacity);
	exposition->has_failed = !text;
	if (!text)
		return false;
	exposition->text = text;
	exposition->capacity = capacity;
	return true;
}

static void put(struct exposition *exposition, const char *text, size_t bytes)
{
	if (!has_room(exposition, bytes))
		return;
	memcpy(exposition->text + exposition->bytes, text, bytes);
	exposition->bytes += bytes;
}

__attribute__((format(printf, 2, 3))) static void put_format(struct exposition *exposition,
							     const char *format, ...)
{
	va_list arguments;

	if (!has_room(exposition, LINE_BYTES_MAX))
		return;
	va_start(arguments, format);
	exposition->bytes += (size_t)vsnprintf(exposition->text + exposition->bytes,
					       LINE_BYTES_MAX, format, arguments);
	va_end(arguments);
}

/* A label's value may be any text; a line must stay one. */
static void put_escaped(struct exposition *exposition, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			put(exposition, "\\n", 2);
		else if (*text == '"' || *text == '\\')
			put(exposition, (const char[]){ '\\', *text }, 2);
		else
			put(exposition, text, 1);
	}
}

static void put_labels(struct exposition *exposition, const struct label labels[], size_t count)
{
	if (count == 0)
		return;
	for (size_t index = 0; index < count; index++) {
		put_format(exposition, "%s%s=\"", index == 0 ? "{" : ",", labels[index].name);
		put_escaped(exposition, labels[index].value);
		put(exposition, "\"", 1);
	}
	put(exposition, "}", 1);
}

/* Whole numbers without a fraction, as most are. */
static void put_value(struct exposition *exposition, double value)
{
	if (value == floor(value) && fabs(value) < 1e15)
		put_format(exposition, " %.0f\n", value);
	else
		put_format(exposition, " %.13g\n", value);
}

static void put_line(struct exposition *exposition, const char *suffix,
		     const struct label labels[], size_t count, double value)
{
	put_format(exposition, "%s%s", exposition->name, suffix);
	put_labels(exposition, labels, count);
	put_value(exposition, value);
}

void exposition_begin(struct exposition *exposition, const char *name, enum metric_kind kind,
		      const char *help)
{
	exposition->name = name;
	put_format(exposition, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
		   metric_kind_name(kind));
}

void exposition_sample(struct exposition *exposition, const struct label labels[],
		       size_t label_count, double value)
{
	put_line(exposition, "", labels, label_count, value);
}

void exposition_histogram(struct exposition *exposition, const struct label labels[],
			  size_t label_count, const struct histogram *histogram,
			  const struct bounds *bounds)
{
	struct label bound_labels[LABELS_MAX + 1];
	uint64_t count = 0;
	uint32_t bucket = 0;
	char le[32];

	assert(label_count <= LABELS_MAX);
	memcpy(bound_labels, labels, label_count * sizeof(labels[0]));
	bound_labels[label_count] = (struct label){ "le", le };
	for (uint32_t power = bounds->first; power <= bounds->last; power++) {
		for (; bucket <= histogram_bucket(UINT64_C(1) << power); bucket++)
			count += counter_read(histogram->buckets + bucket);
		snprintf(le, sizeof(le), "%.6g", ldexp(bounds->unit, (int)power));
		put_line(exposition, "_bucket", bound_labels, label_count + 1, (double)count);
	}
	for (; bucket < HISTOGRAM_BUCKETS; bucket++)
		count += counter_read(histogram->buckets + bucket);
	snprintf(le, sizeof(le), "+Inf");
	put_line(exposition, "_bucket", bound_labels, label_count + 1, (double)count);
	put_line(exposition, "_sum", labels, label_count,
		 (double)counter_read(&histogram->sum) * bounds->unit);
	/* Counted here: the writer may be between two of its counters. */
	put_line(exposition, "_count", labels, label_count, (double)count);
}

int exposition_end(struct exposition *exposition)
{
	if (!has_room(exposition, 0))
		return err_raise(-ENOMEM, "no memory for %zu bytes of metrics", exposition->bytes);
	exposition->text[exposition->bytes] = '\0';
	return 0;
}

void exposition_clear(struct exposition *exposition)
{
	exposition->bytes = 0;
	exposition->has_failed = false;
}

void exposition_deinit(struct exposition *exposition)
{
	free(exposition->text);
	*exposition = (struct exposition){ .text = NULL };
}

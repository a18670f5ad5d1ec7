/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/metrics/exposition.h - figures as Prometheus reads them
 *
 * Owns:     its text, which grows
 * Threads:  one at a time
 * Units:    seconds, bytes and counts, as the metric's name ends
 * Errors:   exposition_end: -ENOMEM; until then what finds no room is dropped
 * Source:   Prometheus text format 0.0.4
 *
 *     exposition_begin(&text, &metric);
 *     exposition_sample(&text, labels, label_count, value);
 *     ...
 *     r = exposition_end(&text);
 */
#ifndef HEARTH_OPS_METRICS_EXPOSITION_H
#define HEARTH_OPS_METRICS_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/histogram.h"

enum metric_kind {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_HISTOGRAM,
};

const char *metric_kind_name(enum metric_kind kind); /* as Prometheus has it */

struct label {
	const char *name;
	const char *value; /* anybody's text */
};

struct exposition {
	char *text;
	size_t bytes;
	size_t capacity;
	bool has_failed;
	const char *name; /* of the metric that is being written */
};

void exposition_begin(struct exposition *exposition, const char *name, enum metric_kind kind,
		      const char *help);
void exposition_sample(struct exposition *exposition, const struct label labels[],
		       size_t label_count, double value);

/* Upper bounds of 2^first, 2^(first + 1), ... 2^last values of the histogram, shown times `unit`. A
 * bound takes in all of the bucket it lies in: exact to 64, and to 1/32 above. */
struct bounds {
	uint32_t first;
	uint32_t last;
	double unit;
};
void exposition_histogram(struct exposition *exposition, const struct label labels[],
			  size_t label_count, const struct histogram *histogram,
			  const struct bounds *bounds);

/* Terminates the text. */
must_check int exposition_end(struct exposition *exposition);
void exposition_clear(struct exposition *exposition); /* keeps the memory */
void exposition_deinit(struct exposition *exposition);

#endif

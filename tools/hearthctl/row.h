/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/row.h - one JSON object: a row of the daemon's answer, or of ours
 *
 * Owns:     nothing; texts live as long as the object
 * Threads:  one
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_ROW_H
#define HEARTH_TOOLS_HEARTHCTL_ROW_H

#include <jansson.h>
#include <stdint.h>

#include "base/histogram.h"

/* A key that is missing, or of another type, is "" or 0. */
const char *row_text(const json_t *row, const char *key);
uint64_t row_number(const json_t *row, const char *key);
double row_real(const json_t *row, const char *key);

/* p50_ns p90_ns p99_ns p999_ns max_ns count */
void row_set_percentiles(json_t *row, const struct histogram *histogram);

/* Adds a histogram of the daemon's, as the verb latency tells it: sum_ns min_ns max_ns buckets[]. A
 * bucket that does not exist is none. */
void row_add_histogram(const json_t *row, struct histogram *histogram);

/* One line on stdout, flushed. 0, or -EIO when stdout takes no more. */
int row_print(const json_t *row);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/chart.h - a histogram of latencies as bars in a terminal
 *
 * Threads:  one; needs setlocale(LC_CTYPE, "") for blocks instead of '#'
 * Units:    ns
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_CHART_H
#define HEARTH_TOOLS_HEARTHCTL_CHART_H

#include <stdint.h>
#include <stdio.h>

#include "base/histogram.h"

struct percentiles {
	uint64_t p50_ns;
	uint64_t p90_ns;
	uint64_t p99_ns;
	uint64_t p999_ns;
	uint64_t max_ns;
	uint64_t count;
};

struct percentiles percentiles_of(const struct histogram *histogram);

/* "p50 3.1 us  p90 ...  max ...  (1000 requests)" and a newline. */
void percentiles_print(const struct histogram *histogram, FILE *stream);

/* At most 17 lines: 16 bars of equal ratio up to p99.9, and what is above. */
void chart_print(const struct histogram *histogram, FILE *stream);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/interval.h - what came between two readings of what only grows
 *
 * Owns:     nothing
 * Threads:  one
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_INTERVAL_H
#define HEARTH_TOOLS_HEARTHCTL_INTERVAL_H

#include <stdint.h>

#include "base/histogram.h"

/* What a counter has grown by; a daemon that has started again begins at 0. */
uint64_t interval_grown(uint64_t before, uint64_t now);

/* The values that came between two readings. A version that went took its own along. */
void interval_histogram(const struct histogram *before, const struct histogram *now,
			struct histogram *ret_interval);

#endif

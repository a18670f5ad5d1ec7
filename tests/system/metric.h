/* SPDX-License-Identifier: MIT */
/*
 * tests/system/metric.h - one metric of a daemon, as `hearthctl -o prom` has it
 *
 * Owns:     nothing
 * Threads:  one thread at a time
 * Errors:   `must`
 */
#ifndef HEARTH_TESTS_SYSTEM_METRIC_H
#define HEARTH_TESTS_SYSTEM_METRIC_H

#include "appliance.h"

/* The text of those that belong to a command; the caller's, to be freed. */
char *metric_text(const struct appliance *appliance, const char *command);
/* `sample` is a name, with its labels. */
double metric_read(const struct appliance *appliance, const char *command, const char *sample);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/metrics/metrics.h - the figures that hearthd shows to Prometheus: one list of all
 *
 * Owns:     nothing
 * Threads:  the control thread
 * Errors:   metrics_write -ENOMEM
 *
 * The list is what is exposed, what hearth-metrics(7) tells (`hearthd --list-metrics` prints its
 * table) and what the tests check: names by Prometheus' conventions, seconds and bytes, counters
 * in _total. A figure is read where the daemon keeps it; nothing is kept for this file alone.
 */
#ifndef HEARTH_OPS_METRICS_METRICS_H
#define HEARTH_OPS_METRICS_METRICS_H

#include <stdio.h>

#include "ops/metrics/exposition.h"

struct control;

/* A line each: name, type, dimension, labels, help, separated by tabs. */
void metrics_print(FILE *stream);

must_check int metrics_write(struct control *control, struct exposition *exposition);

#endif

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

/* Of hearthctl, whose -o prom has the metrics that belong to it. */
enum metrics_command {
	METRICS_STATUS,
	METRICS_MODELS,
	METRICS_MEM,
	METRICS_LATENCY,
	METRICS_CLIENTS,
	METRICS_USERS,
	METRICS_ALL,
};
#define METRICS_COMMANDS_TEXT "status, models, mem, latency, clients, users"

/* METRICS_ALL: none belongs to a command of that name. */
enum metrics_command metrics_command_of(const char *name);

must_check int metrics_write(struct control *control, enum metrics_command command,
			     struct exposition *exposition);

#endif

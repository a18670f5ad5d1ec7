/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/metrics/parts.h - who writes the samples of each metric, for the list alone
 *
 * Threads:  the control thread
 */
#ifndef HEARTH_OPS_METRICS_PARTS_H
#define HEARTH_OPS_METRICS_PARTS_H

#include "ops/metrics/exposition.h"
#include "serve/models/registry.h"

struct control;

/* What is written of one version, and its labels. */
struct samples {
	struct exposition *exposition;
	const struct registry_model *model;
	const struct registry_version *slot;
	const struct version *version; /* NULL: it is loading, or has failed */
	struct label labels[2];	       /* model and version */
};

/* versions.c */
void metrics_requests(const struct samples *samples);
void metrics_rows(const struct samples *samples);
void metrics_durations(const struct samples *samples);
void metrics_batch_rows(const struct samples *samples);
void metrics_batches_closed(const struct samples *samples);
void metrics_current(const struct samples *samples);
void metrics_states(const struct samples *samples);
void metrics_version_memory(const struct samples *samples);
void metrics_nodes(const struct samples *samples);
void metrics_steps(const struct samples *samples);
void metrics_plans(const struct samples *samples);
void metrics_arena_bytes(const struct samples *samples);
void metrics_load_bytes(const struct samples *samples);
void metrics_load_seconds(const struct samples *samples);
void metrics_cold_lookups(const struct samples *samples);
void metrics_cold_failures(const struct samples *samples);
void metrics_cold_waits(const struct samples *samples);
void metrics_cold_read(const struct samples *samples);
void metrics_cold_bytes(const struct samples *samples);

/* clients.c */
void metrics_clients(struct control *control, struct exposition *exposition);
void metrics_outstanding(struct control *control, struct exposition *exposition);
void metrics_queue_depth(struct control *control, struct exposition *exposition);
void metrics_requests_refused(struct control *control, struct exposition *exposition);
void metrics_connections_refused(struct control *control, struct exposition *exposition);
void metrics_user_requests(struct control *control, struct exposition *exposition);
void metrics_user_busy(struct control *control, struct exposition *exposition);
void metrics_user_arena(struct control *control, struct exposition *exposition);

/* host.c: the process, and the machine below it */
void metrics_build(struct control *control, struct exposition *exposition);
void metrics_ready(struct control *control, struct exposition *exposition);
void metrics_started(struct control *control, struct exposition *exposition);
void metrics_arrivals(struct control *control, struct exposition *exposition);
void metrics_start_seconds(struct control *control, struct exposition *exposition);
void metrics_cpu(struct control *control, struct exposition *exposition);
void metrics_taken(struct control *control, struct exposition *exposition);
void metrics_answered(struct control *control, struct exposition *exposition);
void metrics_changes(struct control *control, struct exposition *exposition);
void metrics_passes(struct control *control, struct exposition *exposition);
void metrics_sleeps(struct control *control, struct exposition *exposition);
void metrics_calls(struct control *control, struct exposition *exposition);
void metrics_rings(struct control *control, struct exposition *exposition);
void metrics_wakes(struct control *control, struct exposition *exposition);
void metrics_memory(struct control *control, struct exposition *exposition);
void metrics_reserve(struct control *control, struct exposition *exposition);
void metrics_huge_pages(struct control *control, struct exposition *exposition);
void metrics_memory_available(struct control *control, struct exposition *exposition);

#endif

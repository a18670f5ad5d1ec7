/* SPDX-License-Identifier: MIT */
/* daemon/ops/metrics/metrics.c - the list */
#include "ops/metrics/metrics.h"

#include <assert.h>
#include <string.h>

#include "ops/loop.h"
#include "ops/metrics/parts.h"

/* Whom a figure tells something. */
enum metric_dimension {
	METRIC_HARDWARE, /* memory, CPU, pages, disks */
	METRIC_SOFTWARE, /* the daemon's inner life */
	METRIC_BUSINESS, /* what was asked and what was answered */
};

struct metric {
	const char *name;
	enum metrics_command command;
	enum metric_kind kind;
	enum metric_dimension dimension;
	const char *labels; /* names, separated by blanks */
	const char *help;
	/* One of the two. */
	void (*write)(struct control *control, struct exposition *exposition);
	void (*write_version)(const struct samples *samples); /* of each version that is there */
};

/* clang-format off */
static const struct metric metrics[] = {
	{ "hearth_requests_total", METRICS_MODELS, METRIC_COUNTER, METRIC_BUSINESS, "model version outcome",
	  "Requests a version was admitted for, by what came of them: ok, or the reason.",
	  NULL, metrics_requests },
	{ "hearth_rows_total", METRICS_MODELS, METRIC_COUNTER, METRIC_BUSINESS, "model version",
	  "Rows computed.", NULL, metrics_rows },
	{ "hearth_request_duration_seconds", METRICS_LATENCY, METRIC_HISTOGRAM, METRIC_BUSINESS,
	  "model version stage",
	  "Time of answered requests: ring, queue, batch, execute, answer, and their total.",
	  NULL, metrics_durations },
	{ "hearth_requests_taken_total", METRICS_STATUS, METRIC_COUNTER, METRIC_BUSINESS, "",
	  "Requests taken from the rings, of all kinds: their rate is that of arrivals.",
	  metrics_taken, NULL },
	{ "hearth_requests_answered_total", METRICS_STATUS, METRIC_COUNTER, METRIC_BUSINESS, "",
	  "Final completions published, refusals as well.", metrics_answered, NULL },
	{ "hearth_changes_total", METRICS_STATUS, METRIC_COUNTER, METRIC_BUSINESS, "change outcome",
	  "Loads (those of the start as well), swaps, swaps that drain, rollbacks and unloads, by "
	  "outcome: ok, failed.", metrics_changes, NULL },
	{ "hearth_requests_refused_total", METRICS_STATUS, METRIC_COUNTER, METRIC_BUSINESS, "reason",
	  "Requests that were refused or failed, of all users.", metrics_requests_refused, NULL },
	{ "hearth_user_requests_total", METRICS_USERS, METRIC_COUNTER, METRIC_BUSINESS, "uid",
	  "Requests taken from a user's rings.", metrics_user_requests, NULL },
	{ "hearth_user_busy_seconds_total", METRICS_USERS, METRIC_COUNTER, METRIC_BUSINESS, "uid",
	  "Time of the data thread that a user's requests took.", metrics_user_busy, NULL },
	{ "hearth_version_info", METRICS_MODELS, METRIC_GAUGE, METRIC_BUSINESS, "model version state",
	  "1 for each version that is there.", NULL, metrics_states },
	{ "hearth_version_current", METRICS_MODELS, METRIC_GAUGE, METRIC_BUSINESS, "model version",
	  "1 for the version that answers requests that name none, 0 for the others.",
	  NULL, metrics_current },

	{ "hearth_build_info", METRICS_STATUS, METRIC_GAUGE, METRIC_SOFTWARE, "version device wait bell",
	  "1: what runs, on what, and how it waits.", metrics_build, NULL },
	{ "hearth_ready", METRICS_STATUS, METRIC_GAUGE, METRIC_SOFTWARE, "",
	  "1 when the loads of the start have ended.", metrics_ready, NULL },
	{ "hearth_start_time_seconds", METRICS_STATUS, METRIC_GAUGE, METRIC_SOFTWARE, "",
	  "When the daemon started, since 1970.", metrics_started, NULL },
	{ "hearth_start_seconds", METRICS_STATUS, METRIC_GAUGE, METRIC_SOFTWARE, "",
	  "Time from the daemon's start until the loads of the start had ended.",
	  metrics_start_seconds, NULL },
	{ "hearth_start_versions", METRICS_STATUS, METRIC_GAUGE, METRIC_SOFTWARE, "from",
	  "Versions that the start made: of what systemd's store had kept (store: a warm start), "
	  "and of files (files: a cold one).", metrics_arrivals, NULL },
	{ "hearth_batch_rows", METRICS_MODELS, METRIC_HISTOGRAM, METRIC_SOFTWARE, "model version",
	  "Rows of a batch.", NULL, metrics_batch_rows },
	{ "hearth_batches_closed_total", METRICS_MODELS, METRIC_COUNTER, METRIC_SOFTWARE, "model version reason",
	  "Batches by why they closed: idle (nothing more waited), full (the next request did not "
	  "fit), alone (it can share with none).", NULL, metrics_batches_closed },
	{ "hearth_version_nodes", METRICS_MODELS, METRIC_GAUGE, METRIC_SOFTWARE, "model version",
	  "Nodes of a version's file; over its steps it is how much was fused.", NULL, metrics_nodes },
	{ "hearth_version_steps", METRICS_MODELS, METRIC_GAUGE, METRIC_SOFTWARE, "model version",
	  "Kernel calls of a run.", NULL, metrics_steps },
	{ "hearth_version_plans", METRICS_MODELS, METRIC_GAUGE, METRIC_SOFTWARE, "model version",
	  "Plans of a version, one a bucket.", NULL, metrics_plans },
	{ "hearth_requests_outstanding", METRICS_STATUS, METRIC_GAUGE, METRIC_SOFTWARE, "",
	  "Requests that were taken and whose answers are not consumed yet.", metrics_outstanding, NULL },
	{ "hearth_queue_depth", METRICS_STATUS, METRIC_GAUGE, METRIC_SOFTWARE, "",
	  "Requests that were taken and are not answered yet.", metrics_queue_depth, NULL },
	{ "hearth_clients", METRICS_CLIENTS, METRIC_GAUGE, METRIC_SOFTWARE, "state",
	  "Connections: accepted, greeted, served, closing; and kept segments of who has left.",
	  metrics_clients, NULL },
	{ "hearth_connections_refused_total", METRICS_CLIENTS, METRIC_COUNTER, METRIC_SOFTWARE, "reason",
	  "Connections that were refused.", metrics_connections_refused, NULL },
	{ "hearth_user_arena_bytes", METRICS_USERS, METRIC_GAUGE, METRIC_SOFTWARE, "uid",
	  "Shared memory that stands on a user's account.", metrics_user_arena, NULL },
	{ "hearth_loop_passes_total", METRICS_STATUS, METRIC_COUNTER, METRIC_SOFTWARE, "",
	  "Passes of the data loop; the watchdog is fed by them.", metrics_passes, NULL },
	{ "hearth_loop_sleeps_total", METRICS_STATUS, METRIC_COUNTER, METRIC_SOFTWARE, "",
	  "Times that the data loop went to sleep.", metrics_sleeps, NULL },
	{ "hearth_loop_calls_total", METRICS_STATUS, METRIC_COUNTER, METRIC_SOFTWARE, "call",
	  "System calls of the data loop: wait (to sleep, with all that is to be submitted), submit "
	  "(the same and no sleep), wake (a client that no other call wakes). Beside these it makes "
	  "some for rows that it reads, messages of the control thread, and workers that sleep.",
	  metrics_calls, NULL },
	{ "hearth_rings_total", METRICS_STATUS, METRIC_COUNTER, METRIC_SOFTWARE, "",
	  "Times that a client woke the data loop.", metrics_rings, NULL },
	{ "hearth_wakes_total", METRICS_STATUS, METRIC_COUNTER, METRIC_SOFTWARE, "",
	  "Wakes of clients, by a system call of their own or by the one that waits or submits.",
	  metrics_wakes, NULL },
	{ "hearth_cold_rows_total", METRICS_MODELS, METRIC_COUNTER, METRIC_SOFTWARE, "model version result",
	  "Ids of cold tables: hit (the row was in memory or on its way), miss.",
	  NULL, metrics_cold_lookups },
	{ "hearth_cold_failures_total", METRICS_MODELS, METRIC_COUNTER, METRIC_SOFTWARE, "model version",
	  "Rows of cold tables that could not be read.", NULL, metrics_cold_failures },
	{ "hearth_cold_wait_seconds", METRICS_LATENCY, METRIC_HISTOGRAM, METRIC_SOFTWARE, "model version",
	  "Time that batches waited for rows out of files.", NULL, metrics_cold_waits },

	{ "hearth_thread_cpu_seconds_total", METRICS_STATUS, METRIC_COUNTER, METRIC_HARDWARE, "thread",
	  "CPU time of the data and the control thread, and of all threads together.",
	  metrics_cpu, NULL },
	{ "hearth_memory_bytes", METRICS_MEM, METRIC_GAUGE, METRIC_HARDWARE, "node use",
	  "Memory mapped, by what it is for and the node it is bound to (`hearthctl mem` tells each page).", metrics_memory, NULL },
	{ "hearth_huge_pages", METRICS_MEM, METRIC_GAUGE, METRIC_HARDWARE, "node page_bytes state",
	  "Huge pages reserved on the machine: free and total.", metrics_huge_pages, NULL },
	{ "hearth_reserve_bytes", METRICS_MEM, METRIC_GAUGE, METRIC_HARDWARE, "node page_bytes state",
	  "Huge pages of --reserve: wanted (all), used (models have them), missing (somebody else has them).",
	  metrics_reserve, NULL },
	{ "hearth_memory_available_bytes", METRICS_MEM, METRIC_GAUGE, METRIC_HARDWARE, "node",
	  "Ordinary memory that the machine and the control group have left.",
	  metrics_memory_available, NULL },
	{ "hearth_version_memory_bytes", METRICS_MEM, METRIC_GAUGE, METRIC_HARDWARE, "model version use",
	  "Memory of a version: weights, tables, their replicas, activations, staging.",
	  NULL, metrics_version_memory },
	{ "hearth_version_arena_bytes", METRICS_MEM, METRIC_GAUGE, METRIC_HARDWARE, "model version",
	  "Scratch that the largest plan of a version wants.", NULL, metrics_arena_bytes },
	{ "hearth_version_read_bytes", METRICS_MODELS, METRIC_GAUGE, METRIC_HARDWARE, "model version",
	  "Weights that its load read from files; 0 where they were kept over a restart.",
	  NULL, metrics_load_bytes },
	{ "hearth_version_read_seconds", METRICS_MODELS, METRIC_GAUGE, METRIC_HARDWARE, "model version",
	  "Time until all weights of a version were in place.", NULL, metrics_load_seconds },
	{ "hearth_cold_read_bytes_total", METRICS_MODELS, METRIC_COUNTER, METRIC_HARDWARE, "model version",
	  "Bytes read of cold tables: whole blocks, where they are read around the page cache; else "
	  "rows, which may come out of it.", NULL, metrics_cold_read },
	{ "hearth_cold_bytes", METRICS_MEM, METRIC_GAUGE, METRIC_HARDWARE, "model version place",
	  "Cold tables: file (as they are on disk), memory (room for their rows).",
	  NULL, metrics_cold_bytes },
};
/* clang-format on */
#define METRIC_COUNT (sizeof(metrics) / sizeof(metrics[0]))

static const char *metric_dimension_name(enum metric_dimension dimension)
{
	static const char *const names[] = { "hardware", "software", "business" };

	return names[dimension];
}

void metrics_print(FILE *stream)
{
	const struct metric *metric;

	for (metric = metrics; metric < metrics + METRIC_COUNT; metric++)
		fprintf(stream, "%s\t%s\t%s\t%s\t%s\n", metric->name,
			metric_kind_name(metric->kind), metric_dimension_name(metric->dimension),
			metric->labels, metric->help);
}

static void versions_write(const struct metric *metric, struct control *control,
			   struct exposition *exposition)
{
	struct samples samples = { .exposition = exposition };
	uint32_t cursor = 0;
	char number[16];

	while ((samples.slot = registry_next(&control->registry, &cursor, &samples.model))) {
		samples.version = samples.slot->version;
		snprintf(number, sizeof(number), "%u", samples.slot->number);
		samples.labels[0] = (struct label){ "model", samples.model->name };
		samples.labels[1] = (struct label){ "version", number };
		metric->write_version(&samples);
	}
}

static const char *const command_names[METRICS_ALL] = {
	[METRICS_STATUS] = "status",   [METRICS_MODELS] = "models",   [METRICS_MEM] = "mem",
	[METRICS_LATENCY] = "latency", [METRICS_CLIENTS] = "clients", [METRICS_USERS] = "users",
};

enum metrics_command metrics_command_of(const char *name)
{
	enum metrics_command command = 0;

	while (command < METRICS_ALL && strcmp(command_names[command], name) != 0)
		command++;
	return command;
}

int metrics_write(struct control *control, enum metrics_command command,
		  struct exposition *exposition)
{
	const struct metric *metric;
	int r;

	exposition_clear(exposition);
	for (metric = metrics; metric < metrics + METRIC_COUNT; metric++) {
		assert(!metric->write != !metric->write_version);
		if (command != METRICS_ALL && metric->command != command)
			continue;
		exposition_begin(exposition, metric->name, metric->kind, metric->help);
		if (metric->write)
			metric->write(control, exposition);
		else
			versions_write(metric, control, exposition);
	}
	r = exposition_end(exposition);
	return r < 0 ? err_trace(r) : 0;
}

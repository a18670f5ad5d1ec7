/* SPDX-License-Identifier: MIT */
/* daemon/ops/metrics/versions.c - figures of each version that is there */
#include "exec/cold.h"
#include "exec/weights.h"
#include "ops/metrics/parts.h"

/* 2^10 ns is about a microsecond, 2^33 ns about eight seconds. */
static const struct bounds seconds = { 10, 33, 1e-9 };
static const struct bounds rows = { 0, 12, 1 };

static void sample(const struct samples *samples, double value)
{
	exposition_sample(samples->exposition, samples->labels, 2, value);
}

/* With one label more. */
static void sample_of(const struct samples *samples, const char *name, const char *text,
		      double value)
{
	const struct label labels[] = { samples->labels[0], samples->labels[1], { name, text } };

	exposition_sample(samples->exposition, labels, 3, value);
}

static double count_of(const struct counter *counter)
{
	return (double)counter_read(counter);
}

void metrics_requests(const struct samples *samples)
{
	enum reason reason;

	if (!samples->version)
		return;
	sample_of(samples, "outcome", "ok", count_of(&samples->version->counters.answered));
	for (reason = 0; reason < REASON_REQUESTS; reason++) {
		double count = count_of(samples->version->counters.refused + reason);

		if (count > 0)
			sample_of(samples, "outcome", reason_name(reason), count);
	}
}

void metrics_rows(const struct samples *samples)
{
	if (samples->version)
		sample(samples, count_of(&samples->version->counters.rows));
}

void metrics_durations(const struct samples *samples)
{
	enum request_time time;

	for (time = 0; samples->version && time < TIME_COUNT; time++) {
		const struct label labels[] = { samples->labels[0], samples->labels[1],
						{ "stage", request_time_name(time) } };

		exposition_histogram(samples->exposition, labels, 3,
				     samples->version->counters.times + time, &seconds);
	}
}

void metrics_batch_rows(const struct samples *samples)
{
	if (samples->version)
		exposition_histogram(samples->exposition, samples->labels, 2,
				     &samples->version->counters.batch_rows, &rows);
}

void metrics_batches_closed(const struct samples *samples)
{
	enum batch_close close;

	for (close = 0; samples->version && close < CLOSE_COUNT; close++)
		sample_of(samples, "reason", batch_close_name(close),
			  count_of(samples->version->counters.closed + close));
}

void metrics_current(const struct samples *samples)
{
	if (samples->version)
		sample(samples, samples->model->current == samples->version);
}

void metrics_states(const struct samples *samples)
{
	sample_of(samples, "state", registry_state_name(samples->slot->state), 1);
}

static double spans_bytes(const struct span spans[], uint32_t count)
{
	uint64_t bytes = 0;
	uint32_t index;

	for (index = 0; index < count; index++)
		bytes += spans[index].used_bytes;
	return (double)bytes;
}

void metrics_version_memory(const struct samples *samples)
{
	struct engine_memory memory;

	if (!samples->version)
		return;
	memory = engine_memory(samples->version->engine);
	sample_of(samples, "use", "weights", (double)memory.tables_offset);
	sample_of(samples, "use", "tables",
		  (double)(memory.weights->used_bytes - memory.tables_offset));
	if (memory.replica_count > 0)
		sample_of(samples, "use", "replicas",
			  spans_bytes(memory.replicas, memory.replica_count));
	sample_of(samples, "use", "activations",
		  spans_bytes(memory.activations, memory.activation_count));
	sample_of(samples, "use", "staging", (double)samples->version->staging.used_bytes);
}

void metrics_nodes(const struct samples *samples)
{
	if (samples->version)
		sample(samples, engine_plans(samples->version->engine).node_count);
}

void metrics_steps(const struct samples *samples)
{
	if (samples->version)
		sample(samples, engine_plans(samples->version->engine).step_count);
}

void metrics_plans(const struct samples *samples)
{
	if (samples->version)
		sample(samples, engine_plans(samples->version->engine).plan_count);
}

void metrics_arena_bytes(const struct samples *samples)
{
	if (samples->version)
		sample(samples, (double)engine_plans(samples->version->engine).arena_bytes);
}

void metrics_load_bytes(const struct samples *samples)
{
	if (samples->version)
		sample(samples, (double)engine_arrival(samples->version->engine)->bytes);
}

void metrics_load_seconds(const struct samples *samples)
{
	if (samples->version)
		sample(samples, (double)engine_arrival(samples->version->engine)->ns * 1e-9);
}

/* --- cold tables ---------------------------------------------------------------------------------- */

/* NULL: all its tables are in memory. */
static const struct cold *cold_of(const struct samples *samples)
{
	return samples->version ? engine_cold(samples->version->engine) : NULL;
}

void metrics_cold_lookups(const struct samples *samples)
{
	const struct cold *cold = cold_of(samples);

	if (!cold)
		return;
	sample_of(samples, "result", "hit", count_of(&cold_counters(cold)->hits));
	sample_of(samples, "result", "miss", count_of(&cold_counters(cold)->misses));
}

void metrics_cold_failures(const struct samples *samples)
{
	const struct cold *cold = cold_of(samples);

	if (cold)
		sample(samples, count_of(&cold_counters(cold)->failures));
}

void metrics_cold_waits(const struct samples *samples)
{
	const struct cold *cold = cold_of(samples);

	if (cold)
		exposition_histogram(samples->exposition, samples->labels, 2,
				     &cold_counters(cold)->waits, &seconds);
}

void metrics_cold_read(const struct samples *samples)
{
	const struct cold *cold = cold_of(samples);

	if (cold)
		sample(samples, count_of(&cold_counters(cold)->read_bytes));
}

void metrics_cold_bytes(const struct samples *samples)
{
	const struct cold *cold = cold_of(samples);

	if (!cold)
		return;
	sample_of(samples, "place", "file", (double)cold_table_bytes(cold));
	sample_of(samples, "place", "memory", (double)cold_row_bytes(cold));
}

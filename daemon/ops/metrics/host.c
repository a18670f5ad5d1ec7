/* SPDX-License-Identifier: MIT */
/* daemon/ops/metrics/host.c - figures of the process, and of the machine below it */
#include <stdio.h>
#include <time.h>

#include "base/topology.h"
#include "ops/loop.h"
#include "ops/metrics/parts.h"

#define NS 1e-9

static void counter_sample(struct exposition *exposition, const struct counter *counter)
{
	exposition_sample(exposition, NULL, 0, (double)counter_read(counter));
}

void metrics_build(struct control *control, struct exposition *exposition)
{
	const struct label labels[] = {
		{ "version", HEARTH_VERSION },
		{ "device", control->registry.engine.device->name },
		{ "wait", control->waiter.way->name },
		{ "bell", control->data.options.bell == DATA_BELL_FUTEX ? "futex" : "socket" },
	};

	exposition_sample(exposition, labels, sizeof(labels) / sizeof(labels[0]), 1);
}

static double seconds(struct timespec time)
{
	return (double)time.tv_sec + (double)time.tv_nsec * NS;
}

void metrics_ready(struct control *control, struct exposition *exposition)
{
	exposition_sample(exposition, NULL, 0, control->is_ready);
}

void metrics_started(struct control *control, struct exposition *exposition)
{
	exposition_sample(exposition, NULL, 0, seconds(control->started));
}

void metrics_arrivals(struct control *control, struct exposition *exposition)
{
	const struct registry_arrivals *arrivals =
		control->is_ready ? &control->arrivals : &control->registry.arrivals;

	exposition_sample(exposition, &(struct label){ "from", "store" }, 1,
			  (double)arrivals->kept);
	exposition_sample(exposition, &(struct label){ "from", "files" }, 1,
			  (double)arrivals->read);
}

void metrics_start_seconds(struct control *control, struct exposition *exposition)
{
	if (control->is_ready)
		exposition_sample(exposition, NULL, 0,
				  (double)(control->ready_ns - control->started_ns) * NS);
}

static void cpu_sample(struct exposition *exposition, const char *thread, clockid_t clock)
{
	struct timespec used;

	if (clock_gettime(clock, &used) == 0)
		exposition_sample(exposition, &(struct label){ "thread", thread }, 1,
				  seconds(used));
}

void metrics_cpu(struct control *control, struct exposition *exposition)
{
	clockid_t clock;

	if (!control->is_stopped && pthread_getcpuclockid(control->data.thread, &clock) == 0)
		cpu_sample(exposition, "data", clock);
	cpu_sample(exposition, "control", CLOCK_THREAD_CPUTIME_ID);
	cpu_sample(exposition, "all", CLOCK_PROCESS_CPUTIME_ID);
}

void metrics_taken(struct control *control, struct exposition *exposition)
{
	counter_sample(exposition, &control->data.counters->requests);
}

void metrics_answered(struct control *control, struct exposition *exposition)
{
	counter_sample(exposition, &control->data.counters->completions);
}

void metrics_changes(struct control *control, struct exposition *exposition)
{
	enum registry_change change;

	for (change = 0; change < REGISTRY_CHANGE_COUNT; change++) {
		const struct registry_changes *changes = control->registry.changes + change;
		struct label labels[] = { { "change", registry_change_name(change) },
					  { "outcome", "ok" } };

		exposition_sample(exposition, labels, 2, (double)changes->done);
		labels[1].value = "failed";
		exposition_sample(exposition, labels, 2, (double)changes->failed);
	}
}

void metrics_passes(struct control *control, struct exposition *exposition)
{
	counter_sample(exposition, &control->data.counters->passes);
}

void metrics_sleeps(struct control *control, struct exposition *exposition)
{
	counter_sample(exposition, &control->data.counters->sleeps);
}

void metrics_calls(struct control *control, struct exposition *exposition)
{
	const struct stats_counters *counters = control->data.counters;
	const struct {
		const char *name;
		const struct counter *counter;
	} calls[] = {
		{ "wait", &counters->sleeps },
		{ "submit", &counters->submits },
		{ "wake", &counters->calls },
	};

	for (size_t index = 0; index < sizeof(calls) / sizeof(calls[0]); index++)
		exposition_sample(exposition, &(struct label){ "call", calls[index].name }, 1,
				  (double)counter_read(calls[index].counter));
}

void metrics_rings(struct control *control, struct exposition *exposition)
{
	counter_sample(exposition, &control->data.counters->rings);
}

void metrics_wakes(struct control *control, struct exposition *exposition)
{
	counter_sample(exposition, &control->data.counters->wakes);
}

/* --- memory ---------------------------------------------------------------------------------------- */

/* What the tiers' rows have together, over their owners; node -1 is behind the last. */
static void memory_sum(struct tier_table *tiers,
		       uint64_t sums[TOPOLOGY_NODES_MAX + 1][TIER_USE_COUNT])
{
	struct tier_entry entry;
	uint32_t row = 0;

	while (tier_next(tiers, &row, &entry)) {
		bool is_bound = entry.node >= 0 && entry.node < TOPOLOGY_NODES_MAX;

		sums[is_bound ? entry.node : TOPOLOGY_NODES_MAX][entry.use] += entry.mapped_bytes;
	}
}

void metrics_memory(struct control *control, struct exposition *exposition)
{
	uint64_t sums[TOPOLOGY_NODES_MAX + 1][TIER_USE_COUNT] = { 0 };
	uint32_t node;
	enum tier_use use;
	char name[16];

	memory_sum(&control->tiers, sums);
	for (node = 0; node <= TOPOLOGY_NODES_MAX; node++) {
		if (node < TOPOLOGY_NODES_MAX)
			snprintf(name, sizeof(name), "%u", node);
		for (use = 0; use < TIER_USE_COUNT; use++) {
			const struct label labels[] = {
				{ "node", node < TOPOLOGY_NODES_MAX ? name : "any" },
				{ "use", tier_use_name(use) },
			};

			if (sums[node][use] > 0)
				exposition_sample(exposition, labels, 2, (double)sums[node][use]);
		}
	}
}

static void pages_sample(struct exposition *exposition, int node, uint64_t page_bytes,
			 const char *state, uint64_t value)
{
	char node_text[16];
	char bytes_text[24];
	const struct label labels[] = { { "node", node_text },
					{ "page_bytes", bytes_text },
					{ "state", state } };

	snprintf(node_text, sizeof(node_text), "%d", node);
	snprintf(bytes_text, sizeof(bytes_text), "%llu", (unsigned long long)page_bytes);
	exposition_sample(exposition, labels, 3, (double)value);
}

void metrics_huge_pages(struct control *control, struct exposition *exposition)
{
	struct topology topology;
	uint32_t index;
	uint32_t pool;

	(void)control;
	if (topology_read(&topology) < 0)
		return;
	for (index = 0; index < topology.node_count; index++) {
		const struct topology_node *node = topology.nodes + index;

		for (pool = 0; pool < node->pool_count; pool++) {
			const struct topology_pool *pages = node->pools + pool;

			pages_sample(exposition, node->node, pages->page_bytes, "free",
				     pages->free_pages);
			pages_sample(exposition, node->node, pages->page_bytes, "total",
				     pages->total_pages);
		}
	}
}

void metrics_reserve(struct control *control, struct exposition *exposition)
{
	struct reserve_pool pool;
	uint64_t missing_bytes;
	uint32_t index;

	for (index = 0; reserve_look(&control->reserve, index, &pool, &missing_bytes); index++) {
		const struct reserve_want *want = &pool.want;

		pages_sample(exposition, want->node, want->page_bytes, "wanted", want->bytes);
		pages_sample(exposition, want->node, want->page_bytes, "used", pool.lent_bytes);
		pages_sample(exposition, want->node, want->page_bytes, "missing", missing_bytes);
	}
}

void metrics_memory_available(struct control *control, struct exposition *exposition)
{
	struct topology topology;
	uint32_t index;

	(void)control;
	if (topology_read(&topology) < 0)
		return;
	for (index = 0; index < topology.node_count; index++) {
		int node = topology.nodes[index].node;
		char name[16];

		snprintf(name, sizeof(name), "%d", node);
		exposition_sample(exposition, &(struct label){ "node", name }, 1,
				  (double)topology_available(&topology, node));
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/hostile/bench_hostile.c - what an honest client loses beside a hostile one, against the same
 * run with an honest one in the hostile one's place
 *
 * The data thread has one CPU; the daemon's other threads and the clients have another, which the
 * kernel divides between the clients and not the daemon: there the honest client goes first
 * (SCHED_FIFO, where this runs as root). It sends DEPTH requests of ROWS rows at once, sleeps until
 * they are answered, and checks every answer. Slices alternate: vandal, twin, twin, vandal. Each
 * pair gives a ratio of the honest client's p99 and one of its rows; the medians are judged.
 *
 *     HEARTH_VANDAL=flips   only those whose name has this in it
 *     HEARTH_PAIRS=20       slices of each kind
 *
 * Where this runs as root the vandals are another user's.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/hearth.h"
#include "tests/hostile/vandals.h"
#include "tests/system/appliance.h"
#include "tests/system/crowd.h"
#include "tests/system/measure.h"
#include "tests/system/shoppers.h"

#define SLICE_NS 250000000
#define SETTLE_NS 30000000
#define PAIRS 20
#define DEPTH 16
#define ROWS 8
#define NOBODY 65534
#define P99_RATIO_GOAL 1.5
#define ROWS_RATIO_GOAL 0.9
#define ARENA_BYTES_PER_UID (64u << 20)
#define RESIDENT_SLACK_BYTES (16u << 20) /* stacks, heap, and what the C library keeps of both */

/* --- the honest client ----------------------------------------------------------------------- */

struct probe {
	struct samples samples; /* of the slice that is measured */
	uint64_t rows;
	uint64_t wanted; /* which slice is to be measured; 0: none. The bench's word */
	uint64_t seen;	 /* the probe's echo of it */
	uint64_t stop;	 /* the bench's word */
};

struct probe_plan {
	const char *socket;
	struct probe *probe;
	int cpu;
};

/* In flight, by the number of the request. */
struct question {
	uint64_t asked_ticks;
	uint32_t row;
};

struct asker {
	struct hearth *hearth;
	const struct hearth_model_info *model;
	struct question questions[DEPTH];
	uint64_t asked;
	uint64_t taken;
};

static void ask(struct asker *asker)
{
	struct question *question = asker->questions + asker->asked % DEPTH;
	struct hearth_request *request;
	int r;

	r = hearth_acquire(asker->hearth, asker->model, ROWS, &request);
	must(r == 0, "hearth_acquire: %s", hearth_strerror(r));
	question->row = (uint32_t)(asker->asked * ROWS % SHOPPERS_ROWS);
	shoppers_fill(request, asker->model, question->row, ROWS);
	request->user_data = asker->asked % DEPTH;
	question->asked_ticks = ticks();
	r = hearth_submit(asker->hearth, request);
	must(r == 0, "hearth_submit: %s", hearth_strerror(r));
	asker->asked++;
}

/* Answers come in the order of the questions. */
static void take(struct asker *asker, struct probe *probe, bool is_measured)
{
	const struct hearth_completion *completion;
	const struct question *question = asker->questions + asker->taken % DEPTH;
	int r;

	r = hearth_wait(asker->hearth, CROWD_PATIENCE_NS, &completion);
	must(r == 0 && completion->status == 0, "hearth_wait: %s", hearth_strerror(r));
	must(completion->user_data == asker->taken++ % DEPTH, "an answer out of order");
	shoppers_check(completion, question->row, ROWS);
	if (is_measured && probe->samples.count < MEASURE_SAMPLES_MAX - 1) {
		samples_add(&probe->samples, ticks() - question->asked_ticks);
		probe->rows += ROWS;
	}
	hearth_release(asker->hearth, completion->id);
}

static void probe_run(void *argument)
{
	const struct probe_plan *plan = argument;
	struct hearth_options options = { .size = sizeof(options), .spin_ns = -1 };
	struct sched_param first = { .sched_priority = 1 };
	struct probe *probe = plan->probe;
	struct asker asker = { .asked = 0 };
	uint32_t turn;
	int r;

	cpu_pin(0, plan->cpu);
	(void)sched_setscheduler(0, SCHED_FIFO, &first);
	r = hearth_open(plan->socket, &options, &asker.hearth);
	must(r == 0, "hearth_open: %s", hearth_strerror(r));
	must(hearth_model(asker.hearth, "shoppers", 0, &asker.model) == 0, "no model");
	while (!crowd_read(&probe->stop)) {
		uint64_t wanted = crowd_read(&probe->wanted);

		if (wanted && wanted != probe->seen) {
			probe->samples.count = 0;
			probe->rows = 0;
		}
		crowd_write(&probe->seen, wanted);
		for (turn = 0; turn < DEPTH; turn++)
			ask(&asker);
		for (turn = 0; turn < DEPTH; turn++)
			take(&asker, probe, wanted != 0);
	}
	hearth_close(asker.hearth);
}

/* --- slices ---------------------------------------------------------------------------------- */

struct bench {
	struct appliance appliance;
	struct probe *probe;
	struct vandal_plan plan;
	uint64_t *words; /* what a plan shares: stop, acts */
	uint64_t slice;
	uint64_t resident_bytes; /* of the daemon, before anybody hostile came */
	uint64_t resident_bytes_max;
	uint32_t descriptors;
	uint32_t pairs;
	int cpu_daemon;
	int cpu_clients;
};

struct outcome {
	double p99_us;
	double rows_per_s;
	double acts_per_s;
};

static struct outcome measure(struct bench *bench)
{
	struct probe *probe = bench->probe;
	struct outcome outcome;
	uint64_t resident_bytes;
	uint64_t acts = crowd_read(bench->plan.acts);
	int64_t ns;

	crowd_write(&probe->wanted, ++bench->slice);
	await(crowd_read(&probe->seen) == bench->slice);
	ns = crowd_now_ns();
	crowd_pause_ns(SLICE_NS);
	acts = crowd_read(bench->plan.acts) - acts;
	crowd_write(&probe->wanted, 0);
	ns = crowd_now_ns() - ns;
	resident_bytes = appliance_resident_bytes(&bench->appliance);
	if (resident_bytes > bench->resident_bytes_max)
		bench->resident_bytes_max = resident_bytes;
	await(crowd_read(&probe->seen) == 0);
	outcome.p99_us = samples_ns(&probe->samples, 0.99) / 1e3;
	outcome.rows_per_s = (double)probe->rows / (double)ns * 1e9;
	outcome.acts_per_s = (double)acts / (double)ns * 1e9;
	return outcome;
}

/* Either of a pair, started, measured, ended; the daemon is then as it was before. */
static struct outcome slice_run(struct bench *bench, void (*run)(void *plan))
{
	struct outcome outcome;
	pid_t pid;

	crowd_write(bench->words, 0);
	crowd_write(bench->plan.acts, 0);
	pid = crowd_start(run, &bench->plan);
	await(crowd_read(bench->plan.acts) > 0);
	crowd_pause_ns(SETTLE_NS);
	outcome = measure(bench);
	crowd_write(bench->words, 1);
	crowd_finish(pid);
	appliance_await_clients(&bench->appliance, 1, bench->descriptors);
	return outcome;
}

/* --- one vandal ------------------------------------------------------------------------------ */

static void row_print(struct bench *bench, struct series *p99, struct series *rows, double acts_per_s,
		      double steal_ratio)
{
	double p99_ratio = median_of(p99->ratios, p99->count);
	double rows_ratio = median_of(rows->ratios, rows->count);
	const char *verdict = "met";

	if (p99_ratio > P99_RATIO_GOAL || rows_ratio < ROWS_RATIO_GOAL)
		verdict = "missed";
	if (steal_ratio > MEASURE_STEAL_RATIO_MAX || p99->count < MEASURE_SLICES_MIN)
		verdict = "inconclusive";
	printf("  %-22s %9.0f %9.0f %9.0f %6.2f %5.2f..%-5.2f %6.2f %5.2f..%-5.2f %s\n",
	       bench->plan.vandal->name, acts_per_s, median_of(p99->values, p99->count),
	       median_of(p99->limits, p99->count), p99_ratio,
	       percentile_of(p99->ratios, p99->count, 0.1),
	       percentile_of(p99->ratios, p99->count, 0.9), rows_ratio,
	       percentile_of(rows->ratios, rows->count, 0.1),
	       percentile_of(rows->ratios, rows->count, 0.9), verdict);
	fflush(stdout);
}

static void vandal_measure(struct bench *bench)
{
	static struct series p99;
	static struct series rows;
	double acts[MEASURE_SLICES_MAX];
	struct noise noise;
	uint32_t pair;

	memset(&p99, 0, sizeof(p99));
	memset(&rows, 0, sizeof(rows));
	noise_begin(&noise);
	for (pair = 0; pair < bench->pairs; pair++) {
		struct outcome of_vandal;
		struct outcome of_twin;

		if (pair % 2) {
			of_twin = slice_run(bench, vandal_twin_run);
			of_vandal = slice_run(bench, vandal_run);
		} else {
			of_vandal = slice_run(bench, vandal_run);
			of_twin = slice_run(bench, vandal_twin_run);
		}
		series_add(&p99, of_twin.p99_us, of_vandal.p99_us, of_twin.p99_us);
		series_add(&rows, of_twin.rows_per_s, of_vandal.rows_per_s, of_twin.rows_per_s);
		acts[pair] = of_vandal.acts_per_s;
	}
	row_print(bench, &p99, &rows, median_of(acts, bench->pairs), noise_steal_ratio(&noise));
}

/* --- all ------------------------------------------------------------------------------------- */

static void set_up(struct bench *bench)
{
	static const char *const flags[] = { "--arena-bytes-per-uid", "64M", NULL };
	pid_t data;

	cpu_pin(0, bench->cpu_clients); /* its threads inherit it */
	appliance_open(&bench->appliance, flags);
	appliance_let_others_in(&bench->appliance);
	data = thread_find(bench->appliance.pid, "hearth-data");
	must(data > 0, "hearthd has no data thread");
	cpu_pin(data, bench->cpu_daemon);
	tick_ns();
	bench->words = crowd_share(2 * sizeof(*bench->words));
	bench->plan = (struct vandal_plan){
		.socket = bench->appliance.socket,
		.uid = geteuid() == 0 ? NOBODY : geteuid(),
		.seed = crowd_seed("vandals"),
		.stop = bench->words,
		.acts = bench->words + 1,
	};
	bench->probe = crowd_share(sizeof(*bench->probe));
	bench->probe->samples.ticks =
		crowd_share(MEASURE_SAMPLES_MAX * sizeof(*bench->probe->samples.ticks));
	memset(bench->probe->samples.ticks, 1,
	       MEASURE_SAMPLES_MAX * sizeof(*bench->probe->samples.ticks));
}

static void campaign(void)
{
	static struct bench bench;
	const char *wanted = getenv("HEARTH_VANDAL");
	struct probe_plan probe_plan;
	uint64_t grown_bytes;
	uint32_t index;
	pid_t pid;

	bench.pairs = (uint32_t)crowd_setting("HEARTH_PAIRS", PAIRS);
	bench.pairs = bench.pairs < MEASURE_SLICES_MAX ? bench.pairs : MEASURE_SLICES_MAX;
	bench.cpu_clients = cpu_allowed(0);
	bench.cpu_daemon = cpu_allowed(1);
	set_up(&bench);
	probe_plan = (struct probe_plan){ bench.appliance.socket, bench.probe, bench.cpu_clients };
	pid = crowd_start(probe_run, &probe_plan);
	await(appliance_number(&bench.appliance, "clients") == 1);
	bench.descriptors = appliance_descriptors(&bench.appliance);
	bench.resident_bytes = appliance_resident_bytes(&bench.appliance);

	printf("hostile: an honest client beside a vandal, against the same beside its honest twin\n"
	       "  data thread on CPU %d, all else on CPU %d; %u pairs of slices of %d ms; goals: p99 at most "
	       "%.1fx, rows at least %.1fx\n"
	       "  %-22s %9s %9s %9s %18s %18s\n"
	       "  %-22s %9s %9s %9s %6s %11s %6s %11s\n",
	       bench.cpu_daemon, bench.cpu_clients, bench.pairs, SLICE_NS / 1000000, P99_RATIO_GOAL,
	       ROWS_RATIO_GOAL, "", "acts", "p99 us", "p99 us", "p99 ratio", "rows ratio", "vandal",
	       "a second", "vandal", "twin", "", "p10..p90", "", "p10..p90");
	for (index = 0; index < vandal_count; index++) {
		if (wanted && !strstr(vandals[index].name, wanted))
			continue;
		bench.plan.vandal = vandals + index;
		vandal_measure(&bench);
	}
	grown_bytes = bench.resident_bytes_max > bench.resident_bytes
			      ? bench.resident_bytes_max - bench.resident_bytes : 0;
	printf("  the daemon lives; it had at most %.1f MiB more than before, the user's quota is "
	       "%u MiB\n", (double)grown_bytes / (1 << 20), ARENA_BYTES_PER_UID >> 20);
	must(grown_bytes <= ARENA_BYTES_PER_UID + RESIDENT_SLACK_BYTES, "more than the quota");
	crowd_write(&bench.probe->stop, 1);
	crowd_finish(pid);
	appliance_close(&bench.appliance);
}

int main(void)
{
	if (cpu_allowed(1) < 0) {
		printf("SKIP: the daemon and its clients want a CPU each, and one may be used\n");
		return MEASURE_SKIP;
	}
	return appliance_campaign(campaign);
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/system/bench_ping.c - an empty request through hearthd, against a bare cache line
 *
 * The limit is what two processes can do at best: 64 bytes in one cache line
 * there, 64 bytes in another one back, both sides polling. The candidate is
 * acquire, submit, wait and release of a ping, both sides polling as well. Both
 * run on the same two CPUs in slices that alternate: this process on the first
 * one, and on the second one a child, or the daemon's data thread. Whoever has
 * no slice sleeps.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance.h"
#include "client/hearth.h"
#include "crowd.h"
#include "line.h"
#include "measure.h"
#include "shm/barrier.h"

#define SLICE_NS 20000000
#define WARM_ROUNDS 2000
#define SLICES_WANTED 60
#define SLICES_TRIED_MAX 240
#define PATIENCE_NS (INT64_C(90) * 1000000000)
#define RATIO_GOAL 2.0

struct bare {
	struct line there;
	struct line back;
};

struct results {
	struct series p50;
	struct series p99;
};

struct bench {
	struct bare *bare;
	struct hearth *hearth;
	struct appliance appliance;
	struct samples samples;
	pid_t child_pid;
	pid_t data_thread;
	int cpu;
	int cpu_other;
	int start_fd; /* the child waits here between its slices */
	uint64_t turn;
	uint32_t tried;
	uint32_t kept;
	struct results results[PLACE_COUNT];
	double steal_ratio;
};

/* --- the limit ------------------------------------------------------------------------------- */

static uint64_t line_receive(const struct line *line, uint64_t turn)
{
	uint64_t body;

	while (!line_take(line, turn, &body))
		hearth_pause();
	return body;
}

struct child {
	struct bare *bare;
	int cpu;
	int start_fd;
	int other_fd; /* the end of the pipe that is not its own */
};

/* Answers turn after turn; a body of 0 ends a slice, and the end of the pipe everything. */
static void child_run(void *argument)
{
	struct child *child = argument;
	uint64_t turn = 0;
	char start;

	close(child->other_fd);
	cpu_pin(0, child->cpu);
	while (read(child->start_fd, &start, 1) == 1) {
		uint64_t body;

		do {
			body = line_receive(&child->bare->there, ++turn);
			line_send(&child->bare->back, turn, body + 1);
		} while (body > 0);
	}
}

static void bare_round(struct bench *bench, uint64_t body)
{
	bench->turn++;
	line_send(&bench->bare->there, bench->turn, body);
	must(line_receive(&bench->bare->back, bench->turn) == body + 1,
	     "the child answered something else");
}

static void limit_slice(struct bench *bench)
{
	struct samples *samples = &bench->samples;
	uint64_t slice_ticks = (uint64_t)(SLICE_NS / tick_ns());
	uint64_t begun;
	uint64_t last;
	uint64_t now;
	uint32_t round;

	must(write(bench->start_fd, "", 1) == 1, "cannot start the child");
	for (round = 0; round < WARM_ROUNDS; round++)
		bare_round(bench, 1);
	samples->count = 0;
	begun = last = ticks();
	do {
		bare_round(bench, 1);
		now = ticks();
		if (!samples_add(samples, now - last))
			break;
		last = now;
	} while (now - begun < slice_ticks);
	bare_round(bench, 0);
}

/* --- the candidate --------------------------------------------------------------------------- */

static void ping(struct hearth *hearth)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;
	int r;

	r = hearth_acquire_ping(hearth, &request);
	must(r == 0, "acquire: %s", hearth_strerror(r));
	r = hearth_submit(hearth, request);
	must(r == 0, "submit: %s", hearth_strerror(r));
	r = hearth_wait(hearth, -1, &completion);
	must(r == 0 && completion->status == 0, "wait: %s", hearth_strerror(r));
	r = hearth_release(hearth, completion->id);
	must(r == 0, "release: %s", hearth_strerror(r));
}

static void ping_slice(struct bench *bench)
{
	struct samples *samples = &bench->samples;
	uint64_t slice_ticks = (uint64_t)(SLICE_NS / tick_ns());
	uint64_t begun;
	uint64_t last;
	uint64_t now;
	uint32_t round;

	for (round = 0; round < WARM_ROUNDS; round++)
		ping(bench->hearth);
	samples->count = 0;
	begun = last = ticks();
	do {
		ping(bench->hearth);
		now = ticks();
		if (!samples_add(samples, now - last))
			break;
		last = now;
	} while (now - begun < slice_ticks);
	thread_await_sleep(bench->appliance.pid, bench->data_thread);
}

/* --- both ------------------------------------------------------------------------------------ */

static void set_up(struct bench *bench, struct child *child)
{
	static const char *const flags[] = { "--load", "none", "--spin-us", "1000", NULL };
	struct hearth_options options = { .size = sizeof(options), .spin_ns = 1000000000 };
	int ends[2];
	int r;

	appliance_open(&bench->appliance, flags);
	bench->data_thread = thread_find(bench->appliance.pid, "hearth-data");
	must(bench->data_thread > 0, "hearthd has no data thread");
	cpu_pin(bench->data_thread, bench->cpu_other);
	r = hearth_open(bench->appliance.socket, &options, &bench->hearth);
	must(r == 0, "hearth_open: %s", hearth_strerror(r));

	bench->bare = crowd_share(sizeof(*bench->bare));
	must(pipe(ends) == 0, "no pipe");
	*child = (struct child){ bench->bare, bench->cpu_other, ends[0], ends[1] };
	bench->child_pid = crowd_start(child_run, child);
	close(ends[0]);
	bench->start_fd = ends[1];
	cpu_pin(0, bench->cpu);
	samples_init(&bench->samples);
}

static void measure(struct bench *bench)
{
	int64_t until_ns = crowd_now_ns() + PATIENCE_NS;
	double before_p50;
	double before_p99;
	double p50;
	double p99;

	limit_slice(bench);
	before_p50 = samples_middle_ns(&bench->samples);
	before_p99 = samples_ns(&bench->samples, 0.99);
	while (bench->tried < SLICES_TRIED_MAX && bench->kept < SLICES_WANTED &&
	       crowd_now_ns() < until_ns) {
		struct results *results;
		double after_p50;
		double after_p99;

		ping_slice(bench);
		p50 = samples_middle_ns(&bench->samples);
		p99 = samples_ns(&bench->samples, 0.99);
		limit_slice(bench);
		after_p50 = samples_middle_ns(&bench->samples);
		after_p99 = samples_ns(&bench->samples, 0.99);
		bench->tried++;
		if (limits_agree(before_p50, after_p50)) {
			results = &bench->results[place_of((before_p50 + after_p50) / 2)];
			series_add(&results->p50, before_p50, p50, after_p50);
			series_add(&results->p99, before_p99, p99, after_p99);
			bench->kept++;
		}
		before_p50 = after_p50;
		before_p99 = after_p99;
	}
}

static const char *verdict_of(const struct bench *bench, struct results *results)
{
	if (results->p50.count < MEASURE_SLICES_MIN ||
	    bench->steal_ratio > MEASURE_STEAL_RATIO_MAX)
		return "inconclusive";
	return median_of(results->p50.ratios, results->p50.count) <= RATIO_GOAL ? "met" : "missed";
}

static void row_print(const char *name, struct series *series)
{
	printf("  %-4s %10.0f %10.0f %10.2f %9.2f .. %.2f\n", name,
	       median_of(series->limits, series->count), median_of(series->values, series->count),
	       median_of(series->ratios, series->count),
	       percentile_of(series->ratios, series->count, 0.1),
	       percentile_of(series->ratios, series->count, 0.9));
}

static void table_print(struct bench *bench, enum place place)
{
	struct results *results = &bench->results[place];

	printf("\n  %s: %u slices; goal p50 within %.0fx of the limit: %s\n", place_name(place),
	       results->p50.count, RATIO_GOAL, verdict_of(bench, results));
	printf("  %-4s %10s %10s %10s %9s .. %s\n", "", "limit ns", "ping ns", "ratio", "p10",
	       "p90 of the ratio");
	row_print("p50", &results->p50);
	row_print("p99", &results->p99);
}

static void json_print(struct bench *bench, enum place place)
{
	struct results *results = &bench->results[place];
	struct series *p50 = &results->p50;
	struct series *p99 = &results->p99;

	printf(",\"%s\":{\"kept\":%u,\"ratio_p50\":%.3f,\"ratio_p99\":%.3f,"
	       "\"ping_p50_ns\":%.0f,\"ping_p99_ns\":%.0f,\"limit_p50_ns\":%.0f,"
	       "\"limit_p99_ns\":%.0f,\"verdict\":\"%s\"}",
	       place_key(place), p50->count, median_of(p50->ratios, p50->count),
	       median_of(p99->ratios, p99->count), median_of(p50->values, p50->count),
	       median_of(p99->values, p99->count), median_of(p50->limits, p50->count),
	       median_of(p99->limits, p99->count), verdict_of(bench, results));
}

static void report(struct bench *bench, bool is_json)
{
	enum place place;

	if (is_json) {
		printf("{\"bench\":\"ping\",\"kept\":%u,\"tried\":%u,\"steal_ratio\":%.4f,"
		       "\"goal\":%.1f",
		       bench->kept, bench->tried, bench->steal_ratio, RATIO_GOAL);
		for (place = 0; place < PLACE_COUNT; place++)
			json_print(bench, place);
		printf("}\n");
		return;
	}
	printf("ping: an empty request through hearthd, against 64 bytes in a bare cache line each "
	       "way\n"
	       "  CPUs %d and %d, both sides polling; slices of %d ms: limit, ping, limit\n"
	       "  %u of %u slices kept (around the others the limit moved by more than %.0f %%); "
	       "steal %.1f %%\n",
	       bench->cpu, bench->cpu_other, SLICE_NS / 1000000, bench->kept, bench->tried,
	       100 * MEASURE_LIMIT_DRIFT_MAX, 100 * bench->steal_ratio);
	for (place = 0; place < PLACE_COUNT; place++)
		if (bench->results[place].p50.count > 0)
			table_print(bench, place);
}

static bool is_json;

static void campaign(void)
{
	static struct bench bench;
	struct child child;
	struct noise noise;

	bench.cpu = cpu_allowed(0);
	bench.cpu_other = cpu_allowed(1);
	set_up(&bench, &child);
	noise_begin(&noise);
	measure(&bench);
	bench.steal_ratio = noise_steal_ratio(&noise);
	report(&bench, is_json);
	hearth_close(bench.hearth);
	close(bench.start_fd);
	crowd_finish(bench.child_pid);
	appliance_close(&bench.appliance);
}

int main(int argc, char **argv)
{
	is_json = argc == 3 && strcmp(argv[1], "-o") == 0 && strcmp(argv[2], "json") == 0;
	if (argc > 1 && !is_json) {
		fprintf(stderr, "usage: bench_ping [-o json]\n");
		return 2;
	}
	if (cpu_allowed(1) < 0) {
		printf("SKIP: two polling sides want two CPUs, and one may be used\n");
		return MEASURE_SKIP;
	}
	return appliance_campaign(campaign);
}

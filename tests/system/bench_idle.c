/* SPDX-License-Identifier: MIT */
/*
 * tests/system/bench_idle.c - what clients cost that are connected and ask nothing
 *
 * Two daemons take turns on one CPU, slice by slice: one has the client that asks, the other has it
 * and idle ones beside it. The difference of a ping is the idle clients' price. And with 64 idle
 * clients and nobody who asks, the daemon's processor time over some seconds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "appliance.h"
#include "client/hearth.h"
#include "crowd.h"
#include "measure.h"

#define SPIN_US "1000"
#define SPIN_NS 1000000
#define SLICE_NS 20000000
#define WARM_ROUNDS 2000
#define SLICES 40
#define IDLE_MAX 512
#define QUIET_NS INT64_C(3000000000)
#define QUIET_CLIENTS 64
#define QUIET_GOAL 0.01

struct side {
	struct appliance appliance;
	struct hearth *hearth;
	pid_t data_thread;
	struct hearth *idle[IDLE_MAX];
	uint32_t idle_count;
};

struct bench {
	struct side alone;
	struct side crowded;
	struct samples samples;
	int cpu;
	int cpu_other;
};

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
	hearth_release(hearth, completion->id);
}

static void side_open(struct side *side, const char *spin_us, int cpu_other)
{
	const char *const flags[] = { "--load", "none", "--clients-per-uid", "1024",
				      "--slots-per-uid", "65536", "--arena-bytes-per-uid", "1G",
				      spin_us ? "--spin-us" : NULL, spin_us, NULL };
	struct hearth_options options = { .size = sizeof(options), .spin_ns = SPIN_NS };
	int r;

	memset(side, 0, sizeof(*side));
	appliance_open(&side->appliance, flags);
	side->data_thread = thread_find(side->appliance.pid, "hearth-data");
	must(side->data_thread > 0, "hearthd has no data thread");
	cpu_pin(side->data_thread, cpu_other);
	r = hearth_open(side->appliance.socket, &options, &side->hearth);
	must(r == 0, "hearth_open: %s", hearth_strerror(r));
}

static void side_crowd(struct side *side, uint32_t count)
{
	struct hearth_options options = { .size = sizeof(options), .slots = 1,
					  .request_area_bytes = 4096,
					  .response_area_bytes = 4096 };
	int r;

	for (; side->idle_count < count; side->idle_count++) {
		r = hearth_open(side->appliance.socket, &options,
				side->idle + side->idle_count);
		must(r == 0, "hearth_open: %s", hearth_strerror(r));
		/* It is served, and has asked once. */
		ping(side->idle[side->idle_count]);
	}
}

static void side_close(struct side *side)
{
	while (side->idle_count > 0)
		hearth_close(side->idle[--side->idle_count]);
	hearth_close(side->hearth);
	appliance_close(&side->appliance);
}

static double ping_slice_ns(struct bench *bench, struct side *side)
{
	uint64_t slice_ticks = (uint64_t)(SLICE_NS / tick_ns());
	uint64_t begun;
	uint64_t last;
	uint64_t now;
	uint32_t round;

	for (round = 0; round < WARM_ROUNDS; round++)
		ping(side->hearth);
	bench->samples.count = 0;
	begun = last = ticks();
	do {
		ping(side->hearth);
		now = ticks();
		if (!samples_add(&bench->samples, now - last))
			break;
		last = now;
	} while (now - begun < slice_ticks);
	/* The other daemon has the CPU next. */
	thread_await_sleep(side->appliance.pid, side->data_thread);
	return samples_middle_ns(&bench->samples);
}

static bool is_json;

static void crowd_measure(struct bench *bench, uint32_t count, double goal_ns)
{
	static struct series series;
	struct noise noise;
	const char *verdict;
	double over_ns;
	uint32_t slice;

	memset(&series, 0, sizeof(series));
	side_crowd(&bench->crowded, count);
	noise_begin(&noise);
	for (slice = 0; slice < SLICES; slice++) {
		double before = ping_slice_ns(bench, &bench->alone);
		double crowded = ping_slice_ns(bench, &bench->crowded);
		double after = ping_slice_ns(bench, &bench->alone);

		if (limits_agree(before, after))
			series_add(&series, before, crowded, after);
	}
	over_ns = median_of(series.excesses, series.count);
	verdict = series.count < MEASURE_SLICES_MIN ||
				  noise_steal_ratio(&noise) > MEASURE_STEAL_RATIO_MAX
			  ? "inconclusive"
			  : over_ns <= goal_ns ? "met" : "missed";
	if (is_json)
		printf(",\"idle_%u\":{\"kept\":%u,\"over_ns\":%.1f,\"verdict\":\"%s\"}", count,
		       series.count, over_ns, verdict);
	else
		printf("  %4u idle clients: %6.0f ns beside %6.0f ns without, %+5.0f ns (p10 %+.0f, p90 "
		       "%+.0f); goal %.0f: %s\n", count, median_of(series.values, series.count),
		       median_of(series.limits, series.count), over_ns,
		       percentile_of(series.excesses, series.count, 0.1),
		       percentile_of(series.excesses, series.count, 0.9), goal_ns, verdict);
	fflush(stdout);
}

static void quiet_measure(int cpu_other)
{
	static struct side side;
	double seconds;
	double share;

	side_open(&side, NULL, cpu_other);
	side_crowd(&side, QUIET_CLIENTS);
	crowd_pause_ns(200000000);
	seconds = appliance_processor_s(&side.appliance);
	crowd_pause_ns(QUIET_NS);
	share = (appliance_processor_s(&side.appliance) - seconds) / ((double)QUIET_NS / 1e9);
	if (is_json)
		printf(",\"quiet\":{\"clients\":%d,\"core_share\":%.4f,\"verdict\":\"%s\"}",
		       QUIET_CLIENTS, share, share < QUIET_GOAL ? "met" : "missed");
	else
		printf("  %4d idle clients and nobody asks: %.2f %% of a core; goal below %.0f %%: %s\n",
		       QUIET_CLIENTS, 100 * share, 100 * QUIET_GOAL,
		       share < QUIET_GOAL ? "met" : "missed");
	side_close(&side);
}

static void campaign(void)
{
	static struct bench bench;
	struct rlimit files;

	must(getrlimit(RLIMIT_NOFILE, &files) == 0, "no limits");
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	bench.cpu = cpu_allowed(0);
	bench.cpu_other = cpu_allowed(1);
	samples_init(&bench.samples);
	if (is_json)
		printf("{\"bench\":\"idle\"");
	else
		printf("idle: a ping beside clients that are connected and ask nothing\n");
	quiet_measure(bench.cpu_other);
	side_open(&bench.alone, SPIN_US, bench.cpu_other);
	side_open(&bench.crowded, SPIN_US, bench.cpu_other);
	cpu_pin(0, bench.cpu);
	crowd_measure(&bench, 64, 100);
	crowd_measure(&bench, 512, 300);
	if (is_json)
		printf("}\n");
	side_close(&bench.crowded);
	side_close(&bench.alone);
}

int main(int argc, char **argv)
{
	int status = measure_arguments(argc, argv, &is_json);

	return status ? status : appliance_campaign(campaign);
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/shm/bench_ring.c - the shipped ring against a bare cache line and against other rings
 *
 * Two processes, each pinned to a CPU, both polling. Between two slices of the
 * limit, 64 bytes in a cache line there and back, a ring has a slice of round
 * trips, and then one of messages one way, in batches; beside it the shipped
 * ring has one too. So each round trip has its limit and each stream has the
 * shipped one next to it, whatever the host does with the CPUs meanwhile. What
 * lies between limits that disagree is dropped. A round trip, and a turn of a
 * stream, is a sample; the mean of the middle half stands for a slice, so that
 * what happens while one side has no CPU counts little.
 */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "spsc.h"
#include "tests/system/crowd.h"

#define SLICE_NS 4000000
#define STREAM_NS 2000000
#define ROUNDS 90
#define PATIENCE_NS (INT64_C(45) * 1000000000)
#define RATIO_GOAL 1.05    /* of the limit, between two cores */
#define EXCESS_NS_GOAL 15.0 /* over the limit, between two hyperthreads */
#define STREAM_GOAL 0.9    /* of the best other ring whose slots are not smaller */
#define SLOT_BYTES 64

struct command {
	uint32_t ring;
	bool is_stream;
};

/* limit, a ring; a ring one way, the shipped one beside it */
struct results {
	struct series ping;
	struct series stream;
};

struct bench {
	struct line *answer; /* the sum of what the child consumed */
	struct spsc_side sides[SPSC_COUNT_MAX];
	struct samples samples;
	int cpu;
	int cpu_other;
	int command_fds[2];
	uint64_t turn;
	uint32_t tried;
	uint32_t kept;
	double steal_ratio;
	struct results results[PLACE_COUNT][SPSC_COUNT_MAX];
};

/* --- both sides of a slice ------------------------------------------------------------------- */

static void child_run(void *argument)
{
	struct bench *bench = argument;
	struct command command;

	close(bench->command_fds[1]);
	cpu_pin(0, bench->cpu_other);
	while (read(bench->command_fds[0], &command, sizeof(command)) == sizeof(command)) {
		const struct spsc *ring = &spsc_all[command.ring];
		struct spsc_side *side = &bench->sides[command.ring];
		uint64_t sum = 0;

		if (command.is_stream)
			sum = ring->consume(side);
		else
			ring->answer(side);
		line_send(bench->answer, ++bench->turn, sum);
	}
}

static void child_start(const struct bench *bench, uint32_t ring, bool is_stream)
{
	struct command command = { ring, is_stream };

	must(write(bench->command_fds[1], &command, sizeof(command)) == sizeof(command),
	     "cannot start the child");
}

static uint64_t child_await(struct bench *bench)
{
	uint64_t sum;

	bench->turn++;
	while (!line_take(bench->answer, bench->turn, &sum))
		hearth_pause();
	return sum;
}

static double ping_slice(struct bench *bench, uint32_t ring)
{
	child_start(bench, ring, false);
	spsc_all[ring].ping(&bench->sides[ring], (uint64_t)(SLICE_NS / tick_ns()), &bench->samples);
	child_await(bench);
	return samples_middle_ns(&bench->samples);
}

/* Millions of messages a second. */
static double stream_slice(struct bench *bench, uint32_t ring)
{
	uint64_t sum;

	child_start(bench, ring, true);
	sum = spsc_all[ring].produce(&bench->sides[ring], (uint64_t)(STREAM_NS / tick_ns()),
				     &bench->samples);
	must(child_await(bench) == sum, "%s lost a message", spsc_all[ring].key);
	return SPSC_TURN_MESSAGES / samples_middle_ns(&bench->samples) * 1e3;
}

static void measure(struct bench *bench)
{
	int64_t until_ns = crowd_now_ns() + PATIENCE_NS;
	double before_ns = ping_slice(bench, SPSC_LIMIT);
	uint32_t round;
	uint32_t ring;

	for (round = 0; round < ROUNDS && crowd_now_ns() < until_ns; round++) {
		for (ring = SPSC_SHIPPED; ring < spsc_count; ring++) {
			double ping_ns = ping_slice(bench, ring);
			double other = stream_slice(bench, ring);
			double shipped = stream_slice(bench, SPSC_SHIPPED);
			double after_ns = ping_slice(bench, SPSC_LIMIT);

			bench->tried++;
			if (limits_agree(before_ns, after_ns)) {
				enum cpu_place place = place_of((before_ns + after_ns) / 2);
				struct results *results = &bench->results[place][ring];

				bench->kept++;
				series_add(&results->ping, before_ns, ping_ns, after_ns);
				series_add(&results->stream, other, shipped, other);
			}
			before_ns = after_ns;
		}
	}
}

/* --- what it says ---------------------------------------------------------------------------- */

/* The other ring whose stream was fastest beside the shipped one's, among those whose slots are not
 * smaller than that; 0: none has been measured often enough. */
static uint32_t rival_find(struct results results[], uint32_t bytes_min)
{
	uint32_t found = 0;
	double least = 0;
	uint32_t ring;

	for (ring = 0; ring < spsc_count; ring++) {
		struct series *stream = &results[ring].stream;
		double ratio = median_of(stream->ratios, stream->count);

		if (!spsc_all[ring].is_rival || spsc_all[ring].bytes < bytes_min ||
		    stream->count < MEASURE_SLICES_MIN)
			continue;
		if (found == 0 || ratio < least) {
			found = ring;
			least = ratio;
		}
	}
	return found;
}

static const char *verdict_of(const struct bench *bench, const struct series *series, bool is_met)
{
	if (series->count < MEASURE_SLICES_MIN || bench->steal_ratio > MEASURE_STEAL_RATIO_MAX)
		return "inconclusive";
	return is_met ? "met" : "missed";
}

static const char *ping_verdict(const struct bench *bench, enum cpu_place place, struct series *ping)
{
	double ratio = median_of(ping->ratios, ping->count);
	double excess_ns = median_of(ping->excesses, ping->count);

	return verdict_of(bench, ping,
			  place == PLACE_APART ? ratio <= RATIO_GOAL : excess_ns <= EXCESS_NS_GOAL);
}

static const char *stream_verdict(const struct bench *bench, struct series *stream)
{
	return verdict_of(bench, stream, median_of(stream->ratios, stream->count) >= STREAM_GOAL);
}

static void row_print(const struct spsc *ring, struct results *results)
{
	struct series *ping = &results->ping;
	struct series *stream = &results->stream;

	printf("  %-29s %5u %6u %6.0f %6.2f  %.2f .. %.2f %6.0f %6u %6.0f %6.2f  %.2f .. %.2f\n",
	       ring->name, ring->bytes, ping->count, median_of(ping->values, ping->count),
	       median_of(ping->ratios, ping->count), percentile_of(ping->ratios, ping->count, 0.1),
	       percentile_of(ping->ratios, ping->count, 0.9),
	       median_of(ping->excesses, ping->count), stream->count,
	       median_of(stream->limits, stream->count), median_of(stream->ratios, stream->count),
	       percentile_of(stream->ratios, stream->count, 0.1),
	       percentile_of(stream->ratios, stream->count, 0.9));
}

static void stream_print(const struct bench *bench, struct results results[], uint32_t bytes_min)
{
	uint32_t rival = rival_find(results, bytes_min);
	struct series *stream = &results[rival].stream;

	if (rival == 0) {
		printf("inconclusive");
		return;
	}
	printf("%.2f (%.2f .. %.2f) of %s: %s", median_of(stream->ratios, stream->count),
	       percentile_of(stream->ratios, stream->count, 0.1),
	       percentile_of(stream->ratios, stream->count, 0.9), spsc_all[rival].key,
	       stream_verdict(bench, stream));
}

static void table_print(struct bench *bench, enum cpu_place place)
{
	struct results *results = bench->results[place];
	struct series *ping = &results[SPSC_SHIPPED].ping;
	uint32_t ring;

	printf("\n  %s: limit %.0f ns\n", place_name(place), median_of(ping->limits, ping->count));
	printf("  round trip %.2fx the limit (%.2f .. %.2f), %.0f ns over it; goal ",
	       median_of(ping->ratios, ping->count), percentile_of(ping->ratios, ping->count, 0.1),
	       percentile_of(ping->ratios, ping->count, 0.9),
	       median_of(ping->excesses, ping->count));
	if (place == PLACE_APART)
		printf("at most %.2fx: ", RATIO_GOAL);
	else
		printf("here, at most %.0f ns over it: ", EXCESS_NS_GOAL);
	printf("%s\n  one way, goal at least %.1f of the best other ring: with slots not smaller, ",
	       ping_verdict(bench, place, ping), STREAM_GOAL);
	stream_print(bench, results, SLOT_BYTES);
	printf("; of any slot, ");
	stream_print(bench, results, 0);
	printf("\n  %-29s %5s %6s %6s %6s  %s %6s %6s %6s %6s  %s\n", "", "bytes", "slices", "ns",
	       "ratio", "p10 .. p90  ", "over", "slices", "M/s", "hearth", "p10 .. p90");
	for (ring = SPSC_SHIPPED; ring < spsc_count; ring++)
		row_print(&spsc_all[ring], &results[ring]);
}

static void json_print(const struct bench *bench, struct results results[], enum cpu_place place)
{
	struct series *shipped = &results[SPSC_SHIPPED].ping;
	uint32_t rival = rival_find(results, SLOT_BYTES);
	uint32_t ring;

	printf(",\"%s\":{\"limit_ns\":%.1f,\"ping\":\"%s\",\"stream\":\"%s\",\"rival\":\"%s\","
	       "\"rings\":{",
	       place_key(place), median_of(shipped->limits, shipped->count),
	       ping_verdict(bench, place, shipped), stream_verdict(bench, &results[rival].stream),
	       rival > 0 ? spsc_all[rival].key : "");
	for (ring = SPSC_SHIPPED; ring < spsc_count; ring++) {
		struct series *ping = &results[ring].ping;
		struct series *stream = &results[ring].stream;

		printf("%s\"%s\":{\"bytes\":%u,\"pings\":%u,\"ping_ns\":%.1f,\"ratio\":%.3f,"
		       "\"over_ns\":%.1f,\"streams\":%u,\"m_per_s\":%.1f,\"hearth\":%.3f}",
		       ring == SPSC_SHIPPED ? "" : ",", spsc_all[ring].key, spsc_all[ring].bytes,
		       ping->count, median_of(ping->values, ping->count),
		       median_of(ping->ratios, ping->count),
		       median_of(ping->excesses, ping->count), stream->count,
		       median_of(stream->limits, stream->count),
		       median_of(stream->ratios, stream->count));
	}
	printf("}}");
}

static void report(struct bench *bench, bool is_json)
{
	enum cpu_place place;

	if (is_json) {
		printf("{\"bench\":\"ring\",\"kept\":%u,\"tried\":%u,\"steal_ratio\":%.4f,"
		       "\"goals\":{\"ratio\":%.2f,\"over_ns\":%.0f,\"stream\":%.2f}",
		       bench->kept, bench->tried, bench->steal_ratio, RATIO_GOAL, EXCESS_NS_GOAL,
		       STREAM_GOAL);
		for (place = 0; place < PLACE_COUNT; place++)
			json_print(bench, bench->results[place], place);
		printf("}\n");
		return;
	}
	printf("ring: slots through shm/ring.h, against 64 bytes in a bare cache line each way, "
	       "and beside other rings\n"
	       "  CPUs %d and %d, both sides polling; slices of %.0f ms: limit, round trips, "
	       "limit; %.0f ms one way, in batches of %u\n"
	       "  %u of %u slices kept (around the others the limit moved by more than %.0f %%); "
	       "steal %.1f %%\n"
	       "  over: ns over the limit; hearth: the shipped ring's M/s next to it, divided by "
	       "its own\n",
	       bench->cpu, bench->cpu_other, SLICE_NS / 1e6, STREAM_NS / 1e6, SPSC_BATCH,
	       bench->kept, bench->tried, 100 * MEASURE_LIMIT_DRIFT_MAX,
	       100 * bench->steal_ratio);
	for (place = 0; place < PLACE_COUNT; place++)
		if (bench->results[place][SPSC_SHIPPED].ping.count > 0)
			table_print(bench, place);
}

int main(int argc, char **argv)
{
	static struct bench bench;
	bool is_json = argc == 3 && strcmp(argv[1], "-o") == 0 && strcmp(argv[2], "json") == 0;
	struct noise noise;
	pid_t child_pid;
	uint32_t ring;

	if (argc > 1 && !is_json) {
		fprintf(stderr, "usage: bench_ring [-o json]\n");
		return 2;
	}
	bench.cpu = cpu_allowed(0);
	bench.cpu_other = cpu_allowed(1);
	if (bench.cpu_other < 0) {
		printf("SKIP: two polling sides want two CPUs, and one may be used\n");
		return MEASURE_SKIP;
	}
	must(spsc_count <= SPSC_COUNT_MAX, "no room for %u rings", spsc_count);
	for (ring = 0; ring < spsc_count; ring++)
		spsc_side_init(&bench.sides[ring],
			       crowd_share(SPSC_WAYS * sizeof(struct spsc_way)));
	bench.answer = crowd_share(sizeof(*bench.answer));
	must(pipe(bench.command_fds) == 0, "no pipe");
	child_pid = crowd_start(child_run, &bench);
	close(bench.command_fds[0]);
	cpu_pin(0, bench.cpu);
	samples_init(&bench.samples);
	noise_begin(&noise);
	measure(&bench);
	bench.steal_ratio = noise_steal_ratio(&noise);
	report(&bench, is_json);
	close(bench.command_fds[1]);
	crowd_finish(child_pid);
	return 0;
}

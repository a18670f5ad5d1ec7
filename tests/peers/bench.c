/* SPDX-License-Identifier: MIT */
/*
 * tests/peers/bench.c - hearth beside what else carries bytes between two processes, in one run
 *
 * Each way has two processes: who asks runs on the first CPU, who answers on the second one, with all
 * of their threads. One request is in flight at a time; its bytes are written before and checked
 * afterwards, within the time. Slices alternate: hearth, another, hearth, the next one. A slice counts
 * when the slices of hearth around it agree, and its ratio is to those. hearth polls; the others sleep
 * until something comes, as they do by default, and so does hearth in a row of its own.
 *
 * Not here: Aeron, which Debian does not have.
 */
#include <stdio.h>

#include "peer.h"
#include "racer.h"
#include "tests/system/appliance.h"
#include "tests/system/bare.h"
#include "tests/system/crowd.h"
#include "tests/system/measure.h"

#define SLICE_NS 40000000.0
#define SLICE_HEARTH_NS 10000000.0
#define SLICES_WANTED 24
#define ROUNDS_MAX 80
#define PATIENCE_NS (INT64_C(90) * 1000000000)
#define NS_PER_US 1e3

static const uint32_t sizes[] = { 64, 65536 };

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct entry {
	const struct peer *peer; /* NULL: not built */
	const char *package;     /* that it needs */
	double goals[SIZES];     /* at least so many times hearth's p50; 0: none */
	struct racer racer;
	struct series p50[SIZES][PLACE_COUNT];
	struct series p99[SIZES][PLACE_COUNT];
};

/* hearth is the first one. */
static struct entry entries[] = {
	{ .peer = &peer_hearth_polling },
	{ .peer = &peer_hearth_sleeping },
	{ .peer = &peer_unix_seqpacket },
	{ .peer = &peer_unix_stream },
	{ .peer = &peer_tcp },
	{ .peer = &peer_zeromq, .package = "libzmq3-dev" },
	{ .peer = &peer_nng, .package = "libnng-dev" },
	{ .peer = &peer_grpc_unix, .package = "libgrpc-dev", .goals = { 300, 15 } },
	{ .peer = &peer_grpc_tcp, .package = "libgrpc-dev", .goals = { 300, 15 } },
};

#define ENTRIES (sizeof(entries) / sizeof(entries[0]))

struct bench {
	struct bare bare;
	struct samples samples;
	int cpu;
	int cpu_other;
	double steal_ratio;
};

/* --- slices ---------------------------------------------------------------------------------- */

/* A slice of hearth, and where the CPUs were. */
struct mark {
	struct racer_point point;
	enum cpu_place place;
};

static struct mark mark_take(struct bench *bench, uint32_t bytes)
{
	struct mark mark;

	bare_begin(&bench->bare);
	mark.place = place_of(bare_line_ns(&bench->bare, &bench->samples));
	bare_end(&bench->bare);
	mark.point = racer_slice(&entries[0].racer, bytes, SLICE_HEARTH_NS);
	return mark;
}

static void entry_add(struct entry *entry, size_t size, const struct mark *before,
		      struct racer_point point, const struct mark *after)
{
	if (before->place != after->place ||
	    !limits_agree(before->point.p50_ns, after->point.p50_ns))
		return;
	series_add(&entry->p50[size][after->place], before->point.p50_ns, point.p50_ns,
		   after->point.p50_ns);
	series_add(&entry->p99[size][after->place], before->point.p99_ns, point.p99_ns,
		   after->point.p99_ns);
}

static bool has_enough(size_t size)
{
	size_t index;

	for (index = 0; index < ENTRIES; index++) {
		const struct series *series = entries[index].p50[size];

		if (entries[index].peer && series[PLACE_APART].count < SLICES_WANTED &&
		    series[PLACE_SHARED].count < SLICES_WANTED)
			return false;
	}
	return true;
}

static void measure(struct bench *bench, size_t size)
{
	int64_t until_ns = crowd_now_ns() + PATIENCE_NS;
	struct mark before = mark_take(bench, sizes[size]);
	uint32_t round;
	size_t index;

	for (round = 0; round < ROUNDS_MAX && !has_enough(size) && crowd_now_ns() < until_ns;
	     round++)
		for (index = 1; index < ENTRIES; index++) {
			struct racer_point point;
			struct mark after;

			if (!entries[index].peer)
				continue;
			point = racer_slice(&entries[index].racer, sizes[size], SLICE_NS);
			after = mark_take(bench, sizes[size]);
			entry_add(entries + index, size, &before, point, &after);
			entry_add(entries, size, &before, before.point, &after);
			before = after;
		}
}

/* --- what they say --------------------------------------------------------------------------- */

static const char *verdict_of(const struct bench *bench, struct entry *entry, size_t size,
			      enum cpu_place place)
{
	struct series *p50 = &entry->p50[size][place];

	if (p50->count < MEASURE_SLICES_MIN || bench->steal_ratio > MEASURE_STEAL_RATIO_MAX)
		return "inconclusive";
	return median_of(p50->ratios, p50->count) >= entry->goals[size] ? "met" : "missed";
}

/* Where the CPUs were only for moments, there is little to say. */
static bool place_is_shown(size_t size, enum cpu_place place)
{
	bool is_any = false;
	size_t index;

	for (index = 1; index < ENTRIES; index++) {
		if (entries[index].p50[size][place].count >= MEASURE_SLICES_MIN)
			return true;
		is_any |= entries[index].p50[size][PLACE_COUNT - 1 - place].count >= MEASURE_SLICES_MIN;
	}
	return !is_any;
}

static void row_print(const struct bench *bench, struct entry *entry, size_t size,
		      enum cpu_place place)
{
	struct series *p50 = &entry->p50[size][place];
	struct series *p99 = &entry->p99[size][place];

	if (p50->count == 0)
		return;
	printf("  %-18s %9.2f %9.2f %9.1f %9.1f .. %-7.1f %6u", entry->peer->name,
	       median_of(p50->values, p50->count) / NS_PER_US,
	       median_of(p99->values, p99->count) / NS_PER_US,
	       median_of(p50->ratios, p50->count), percentile_of(p50->ratios, p50->count, 0.1),
	       percentile_of(p50->ratios, p50->count, 0.9), p50->count);
	if (entry->goals[size] > 0)
		printf("  goal %gx: %s", entry->goals[size],
		       verdict_of(bench, entry, size, place));
	printf("\n");
}

static void table_print(const struct bench *bench)
{
	const char *said = "";
	size_t index;
	size_t size;
	int place;

	printf("peers: bytes to another process and back, one message at a time\n"
	       "  who asks on CPU %d, who answers on CPU %d; slices of %.0f ms between slices of "
	       "hearth; steal %.1f %%\n",
	       bench->cpu, bench->cpu_other, SLICE_NS / 1e6, 100 * bench->steal_ratio);
	for (index = 0; index < ENTRIES; index++)
		if (!entries[index].peer && entries[index].package != said) {
			said = entries[index].package;
			printf("  skip  %s is not installed\n", said);
		}
	for (size = 0; size < SIZES; size++)
		for (place = 0; place < PLACE_COUNT; place++) {
			if (!place_is_shown(size, (enum cpu_place)place))
				continue;
			printf("\n  %u bytes, %s\n  %-18s %9s %9s %9s %9s .. %-7s %6s\n",
			       sizes[size], place_name((enum cpu_place)place), "", "p50 us", "p99 us", "x hearth",
			       "p10", "p90", "slices");
			for (index = 0; index < ENTRIES; index++)
				row_print(bench, entries + index, size, (enum cpu_place)place);
		}
}

static void json_print(const struct bench *bench)
{
	const char *separator = "";
	size_t index;
	size_t size;
	int place;

	printf("{\"bench\":\"peers\",\"steal_ratio\":%.4f,\"rows\":[", bench->steal_ratio);
	for (size = 0; size < SIZES; size++)
		for (place = 0; place < PLACE_COUNT; place++)
			for (index = 0; index < ENTRIES; index++) {
				struct entry *entry = entries + index;
				struct series *p50 = &entry->p50[size][place];
				struct series *p99 = &entry->p99[size][place];

				if (p50->count == 0)
					continue;
				printf("%s{\"peer\":\"%s\",\"bytes\":%u,\"place\":\"%s\","
				       "\"kept\":%u,\"p50_ns\":%.0f,\"p99_ns\":%.0f,"
				       "\"ratio_p50\":%.3f",
				       separator, entry->peer->name, sizes[size],
				       place_key((enum cpu_place)place), p50->count,
				       median_of(p50->values, p50->count),
				       median_of(p99->values, p99->count),
				       median_of(p50->ratios, p50->count));
				if (entry->goals[size] > 0)
					printf(",\"goal\":%g,\"verdict\":\"%s\"",
					       entry->goals[size],
					       verdict_of(bench, entry, size, (enum cpu_place)place));
				printf("}");
				separator = ",";
			}
	printf("]}\n");
}

static bool is_json;

static void campaign(void)
{
	static struct bench bench;
	struct peer_plan plan = { cpu_allowed(0), cpu_allowed(1), sizes[SIZES - 1] };
	struct noise noise;
	size_t index;
	size_t size;

	bench.cpu = plan.cpu;
	bench.cpu_other = plan.cpu_other;
	for (index = 0; index < ENTRIES; index++)
		if (entries[index].peer)
			racer_open(&entries[index].racer, entries[index].peer, &plan);
	samples_init(&bench.samples);
	bare_open(&bench.bare, plan.cpu_other, 0);
	cpu_pin(0, plan.cpu);
	noise_begin(&noise);
	for (size = 0; size < SIZES; size++)
		measure(&bench, size);
	bench.steal_ratio = noise_steal_ratio(&noise);
	for (index = 0; index < ENTRIES; index++)
		if (entries[index].peer)
			racer_close(&entries[index].racer);
	bare_close(&bench.bare);
	if (is_json)
		json_print(&bench);
	else
		table_print(&bench);
}

int main(int argc, char **argv)
{
	int status = measure_arguments(argc, argv, &is_json);

	return status ? status : appliance_campaign(campaign);
}

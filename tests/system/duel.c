/* SPDX-License-Identifier: MIT */
/* tests/system/duel.c - slices in turn, and what they say about the ratio */
#include "duel.h"

#include <stdio.h>
#include <string.h>

#include "bare.h"
#include "crowd.h"

#define SLICE_NS 20000000
#define WARM_NS 2000000
#define SLICES_WANTED 60
#define SLICES_TRIED_MAX 240
#define PATIENCE_NS (INT64_C(90) * 1000000000)

/* One slice. */
struct point {
	double line_ns; /* of a bare line before it; the limit's only */
	double p50_ns;
	double p99_ns;
};

/* All slices of one place. */
struct ranking {
	struct series p50;
	struct series p99;
};

struct duel {
	const struct duel_plan *plan;
	struct bare bare;
	struct samples samples;
	struct ranking rankings[PLACE_COUNT];
	uint64_t turn;
	uint32_t tried;
	double steal_ratio;
};

/* --- slices ---------------------------------------------------------------------------------- */

static void limit_round(struct duel *duel)
{
	bare_round(&duel->bare, duel->plan->bytes);
}

static void candidate_round(struct duel *duel)
{
	duel->plan->round(duel->plan->context, duel->turn++);
}

/* Rounds for so long, each of them a sample. */
static void rounds_run(struct duel *duel, void (*round)(struct duel *), double slice_ns)
{
	uint64_t slice_ticks = (uint64_t)(slice_ns / tick_ns());
	uint64_t begun = ticks();
	uint64_t last = begun;
	uint64_t now;

	duel->samples.count = 0;
	do {
		round(duel);
		now = ticks();
		if (!samples_add(&duel->samples, now - last))
			break;
		last = now;
	} while (now - begun < slice_ticks);
}

static struct point slice_run(struct duel *duel, void (*round)(struct duel *))
{
	struct point point = { 0 };

	rounds_run(duel, round, WARM_NS);
	rounds_run(duel, round, SLICE_NS);
	point.p50_ns = samples_middle_ns(&duel->samples);
	point.p99_ns = samples_ns(&duel->samples, 0.99);
	return point;
}

static struct point limit_slice(struct duel *duel)
{
	struct point point;
	double line;

	bare_begin(&duel->bare);
	line = bare_line_ns(&duel->bare, &duel->samples);
	point = slice_run(duel, limit_round);
	bare_end(&duel->bare);
	point.line_ns = line;
	return point;
}

static struct point candidate_slice(struct duel *duel)
{
	struct point point = slice_run(duel, candidate_round);

	duel->plan->rest(duel->plan->context);
	return point;
}

static uint32_t kept(const struct duel *duel)
{
	return duel->rankings[PLACE_APART].p50.count + duel->rankings[PLACE_SHARED].p50.count;
}

static void measure(struct duel *duel)
{
	int64_t until_ns = crowd_now_ns() + PATIENCE_NS;
	struct point before = limit_slice(duel);

	while (duel->tried < SLICES_TRIED_MAX && kept(duel) < SLICES_WANTED &&
	       crowd_now_ns() < until_ns) {
		struct point point = candidate_slice(duel);
		struct point after = limit_slice(duel);

		duel->tried++;
		if (limits_agree(before.line_ns, after.line_ns) &&
		    limits_agree(before.p50_ns, after.p50_ns)) {
			struct ranking *ranking = duel->rankings + place_of(after.line_ns);

			series_add(&ranking->p50, before.p50_ns, point.p50_ns, after.p50_ns);
			series_add(&ranking->p99, before.p99_ns, point.p99_ns, after.p99_ns);
		}
		before = after;
	}
}

/* --- what they say --------------------------------------------------------------------------- */

static const char *verdict_of(struct duel *duel, enum cpu_place place)
{
	struct series *p50 = &duel->rankings[place].p50;
	struct series *p99 = &duel->rankings[place].p99;
	const struct duel_plan *plan = duel->plan;
	bool is_met;

	if (p50->count < MEASURE_SLICES_MIN || duel->steal_ratio > MEASURE_STEAL_RATIO_MAX)
		return "inconclusive";
	if (place == PLACE_SHARED && plan->shared_goal_ns > 0)
		is_met = median_of(p50->excesses, p50->count) <= plan->shared_goal_ns;
	else
		is_met = median_of(p50->ratios, p50->count) <= plan->p50_goal &&
			 (plan->p99_goal == 0 ||
			  median_of(p99->ratios, p99->count) <= plan->p99_goal);
	return is_met ? "met" : "missed";
}

static void goal_print(const struct duel_plan *plan, enum cpu_place place)
{
	if (place == PLACE_SHARED && plan->shared_goal_ns > 0)
		printf("p50 at most %.0f ns over the limit", plan->shared_goal_ns);
	else
		printf("p50 within %gx of the limit", plan->p50_goal);
	if (plan->p99_goal > 0 && !(place == PLACE_SHARED && plan->shared_goal_ns > 0))
		printf(", p99 within %gx", plan->p99_goal);
}

static void row_print(const char *name, struct series *series)
{
	printf("  %-4s %10.0f %10.0f %10.0f %10.2f %9.2f .. %.2f\n", name,
	       median_of(series->limits, series->count), median_of(series->values, series->count),
	       median_of(series->excesses, series->count), median_of(series->ratios, series->count),
	       percentile_of(series->ratios, series->count, 0.1),
	       percentile_of(series->ratios, series->count, 0.9));
}

static void place_print(struct duel *duel, enum cpu_place place)
{
	struct ranking *ranking = duel->rankings + place;

	if (ranking->p50.count == 0)
		return;
	printf("\n  %s: %u slices; goal ", place_name(place), ranking->p50.count);
	goal_print(duel->plan, place);
	printf(": %s\n", verdict_of(duel, place));
	printf("  %-4s %10s %7s ns %10s %10s %9s .. %s\n", "", "limit ns", duel->plan->name, "over",
	       "ratio", "p10", "p90 of the ratio");
	row_print("p50", &ranking->p50);
	row_print("p99", &ranking->p99);
}

static void table_print(struct duel *duel)
{
	const struct duel_plan *plan = duel->plan;

	printf("%s: %s\n"
	       "  CPUs %d and %d, both sides polling; slices of %d ms: limit, %s, limit\n"
	       "  %u of %u slices kept (around the others the limit moved by more than %.0f %%); "
	       "steal %.1f %%\n",
	       plan->name, plan->meaning, plan->cpu, plan->cpu_other, SLICE_NS / 1000000,
	       plan->name, kept(duel), duel->tried, 100 * MEASURE_LIMIT_DRIFT_MAX,
	       100 * duel->steal_ratio);
	place_print(duel, PLACE_APART);
	place_print(duel, PLACE_SHARED);
}

static void place_print_json(struct duel *duel, enum cpu_place place)
{
	const char *name = duel->plan->name;
	struct series *p50 = &duel->rankings[place].p50;
	struct series *p99 = &duel->rankings[place].p99;

	printf(",\"%s\":{\"kept\":%u,\"ratio_p50\":%.3f,\"ratio_p99\":%.3f,\"over_p50_ns\":%.0f,"
	       "\"%s_p50_ns\":%.0f,\"%s_p99_ns\":%.0f,\"limit_p50_ns\":%.0f,"
	       "\"limit_p99_ns\":%.0f,\"verdict\":\"%s\"}",
	       place_key(place), p50->count, median_of(p50->ratios, p50->count),
	       median_of(p99->ratios, p99->count), median_of(p50->excesses, p50->count), name,
	       median_of(p50->values, p50->count), name, median_of(p99->values, p99->count),
	       median_of(p50->limits, p50->count), median_of(p99->limits, p99->count),
	       verdict_of(duel, place));
}

static void json_print(struct duel *duel)
{
	printf("{\"bench\":\"%s\",\"kept\":%u,\"tried\":%u,\"steal_ratio\":%.4f,\"goal\":%.2f",
	       duel->plan->name, kept(duel), duel->tried, duel->steal_ratio, duel->plan->p50_goal);
	place_print_json(duel, PLACE_APART);
	place_print_json(duel, PLACE_SHARED);
	printf("}\n");
}

void duel_run(const struct duel_plan *plan, bool is_json)
{
	static struct duel duel;
	struct noise noise;

	memset(&duel, 0, sizeof(duel));
	duel.plan = plan;
	samples_init(&duel.samples);
	bare_open(&duel.bare, plan->cpu_other, plan->bytes);
	noise_begin(&noise);
	measure(&duel);
	duel.steal_ratio = noise_steal_ratio(&noise);
	bare_close(&duel.bare);
	if (is_json)
		json_print(&duel);
	else
		table_print(&duel);
}

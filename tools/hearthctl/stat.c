/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/stat.c - stat: what went on in each interval, a line each, as vmstat does it */
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "tools/hearthctl/chart.h"
#include "tools/hearthctl/interval.h"
#include "tools/hearthctl/listing.h"
#include "tools/hearthctl/watch.h"

#define INTERVAL_SECONDS 1.0
#define TITLE_LINES 20 /* so often the titles are repeated */

enum figure {
	FIGURE_REQUESTS,
	FIGURE_ROWS,
	FIGURE_BATCHES,
	FIGURE_ERRORS,
	FIGURE_SLEEPS,
	FIGURE_RINGS,
	FIGURE_WAKES,
	FIGURE_COUNT,
};

/* As the verb status calls them, and as they are called here by the second. */
static const struct {
	const char *total;
	const char *rate;
} figures[FIGURE_COUNT] = {
	[FIGURE_REQUESTS] = {"requests_total", "requests_per_s"},
	[FIGURE_ROWS] = {"rows_total", "rows_per_s"},
	[FIGURE_BATCHES] = {"batches_total", "batches_per_s"},
	[FIGURE_ERRORS] = {"errors_total", "errors_per_s"},
	[FIGURE_SLEEPS] = {"sleeps_total", "sleeps_per_s"},
	[FIGURE_RINGS] = {"rings_total", "rings_per_s"},
	[FIGURE_WAKES] = {"wakes_total", "wakes_per_s"},
};

/* The listing is first, so that a row's context is both. */
struct sample {
	struct listing listing;
	uint64_t at_ns;
	uint64_t clients;
	uint64_t totals[FIGURE_COUNT];
	struct histogram times; /* of answered requests, of all versions */
};

struct stat {
	struct sample samples[2];
	struct histogram interval;
};

static int status_row(const json_t *row, void *context)
{
	struct sample *sample = context;

	for (enum figure figure = 0; figure < FIGURE_COUNT; figure++)
		sample->totals[figure] = row_number(row, figures[figure].total);
	sample->clients = row_number(row, "clients");
	return EXIT_OK;
}

static int latency_row(const json_t *row, void *context)
{
	struct sample *sample = context;

	if (strcmp(row_text(row, "time"), "total") == 0)
		row_add_histogram(row, &sample->times);
	return EXIT_OK;
}

static int sample_take(void *context)
{
	struct sample *sample = context;
	const struct invocation *invocation = sample->listing.invocation;
	int code;

	*sample = (struct sample){.listing.invocation = invocation, .at_ns = clock_ns()};
	code = listing_ask_verb(&sample->listing, "status", status_row);
	return code == EXIT_OK ? listing_ask_verb(&sample->listing, "latency", latency_row) : code;
}

static void title_print(void)
{
	printf("%-8s %7s %9s %10s %10s %9s %9s %7s %8s %8s %8s\n", "TIME", "CLIENTS", "REQ/S",
	       "ROWS/S", "ROWS/BATCH", "P50", "P99", "ERR/S", "SLEEP/S", "RING/S", "WAKE/S");
}

static void interval_print(const struct sample *now, const double rates[FIGURE_COUNT],
			   const struct percentiles *percentiles)
{
	time_t seconds = time(NULL);
	char clock[16], text[2][TEXT_BYTES];
	struct tm local;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&seconds, &local));
	printf("%-8s %7" PRIu64 " %9.0f %10.0f %10.1f %9s %9s %7.0f %8.0f %8.0f %8.0f\n", clock,
	       now->clients, rates[FIGURE_REQUESTS], rates[FIGURE_ROWS],
	       rates[FIGURE_BATCHES] > 0 ? rates[FIGURE_ROWS] / rates[FIGURE_BATCHES] : 0.0,
	       percentiles->count ? text_ns(percentiles->p50_ns, text[0]) : "-",
	       percentiles->count ? text_ns(percentiles->p99_ns, text[1]) : "-",
	       rates[FIGURE_ERRORS], rates[FIGURE_SLEEPS], rates[FIGURE_RINGS],
	       rates[FIGURE_WAKES]);
}

static int interval_json(const struct sample *now, double interval_s,
			 const double rates[FIGURE_COUNT], const struct histogram *interval)
{
	json_t *row = json_pack("{s:f, s:I}", "interval_s", interval_s, "clients",
				(json_int_t)now->clients);
	int code;

	for (enum figure figure = 0; figure < FIGURE_COUNT; figure++)
		json_object_set_new(row, figures[figure].rate, json_real(rates[figure]));
	row_set_percentiles(row, interval);
	code = listing_emit(row);
	json_decref(row);
	return code;
}

static int interval_show(const struct sample *before, const struct sample *now,
			 struct histogram *interval)
{
	double interval_s = (double)(now->at_ns - before->at_ns) / 1e9;
	double rates[FIGURE_COUNT];
	struct percentiles percentiles;

	for (enum figure figure = 0; figure < FIGURE_COUNT; figure++)
		rates[figure] =
			(double)interval_grown(before->totals[figure], now->totals[figure]) / interval_s;
	interval_histogram(&before->times, &now->times, interval);
	if (now->listing.invocation->is_json)
		return interval_json(now, interval_s, rates, interval);
	percentiles = percentiles_of(interval);
	interval_print(now, rates, &percentiles);
	return listing_flush();
}

int stat_run(const struct invocation *invocation)
{
	double seconds = invocation->seconds > 0 ? invocation->seconds : INTERVAL_SECONDS;
	struct stat *stat = calloc(1, sizeof(*stat));
	struct watch watch = {0};
	uint32_t line = 0;
	int code;

	if (!stat)
		return complain(EXIT_FAILED, "no memory for histograms");
	for (unsigned at = 0; at < 2; at++)
		stat->samples[at].listing.invocation = invocation;
	code = watch_ask(&watch, sample_take, &stat->samples[0]);
	if (code == EXIT_OK && !invocation->is_json)
		title_print();
	while (code == EXIT_OK && (invocation->count == 0 || line < invocation->count)) {
		struct sample *before = &stat->samples[line % 2];
		struct sample *now = &stat->samples[(line + 1) % 2];

		watch_wait(&watch, seconds);
		code = watch_ask(&watch, sample_take, now);
		if (code == EXIT_UNREACHABLE) {
			code = EXIT_OK; /* it may come again */
			continue;
		}
		if (code == EXIT_OK && !invocation->is_json && line > 0 && line % TITLE_LINES == 0)
			title_print();
		if (code == EXIT_OK)
			code = interval_show(before, now, &stat->interval);
		line++;
	}
	free(stat);
	return code;
}

/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/latency.c - latency: how long requests took, and where the time went */
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hearthctl/chart.h"
#include "tools/hearthctl/listing.h"

/* The listing is first, so that a row's context is both. */
struct latency {
	struct listing listing;
	struct histogram histogram; /* of the row that was shown last */
	uint32_t drawn_count; /* versions that have answered something */
};

static bool is_total(const json_t *row)
{
	return strcmp(row_text(row, "time"), "total") == 0;
}

static bool is_asked_for(const struct invocation *invocation, const json_t *row)
{
	if (*invocation->model && strcmp(row_text(row, "model"), invocation->model) != 0)
		return false;
	if (invocation->version > 0 && row_number(row, "version") != invocation->version)
		return false;
	return is_total(row) || invocation->is_breakdown;
}

static int latency_json(const json_t *row, const struct histogram *histogram)
{
	json_t *shown = json_deep_copy(row);
	int code;

	if (!shown)
		return complain(EXIT_FAILED, "no memory for the answer");
	row_set_percentiles(shown, histogram);
	code = listing_emit(shown);
	json_decref(shown);
	return code;
}

static void latency_add(struct table *table, const json_t *row, const struct histogram *histogram)
{
	struct percentiles percentiles = percentiles_of(histogram);
	const uint64_t times[] = {percentiles.p50_ns, percentiles.p90_ns, percentiles.p99_ns,
				  percentiles.p999_ns, percentiles.max_ns};
	enum table_style style = is_total(row) ? TABLE_STRONG : TABLE_PLAIN;
	char text[TEXT_BYTES];

	table_add(table, style, "%s@%" PRIu64, row_text(row, "model"), row_number(row, "version"));
	table_add(table, style, "%s", row_text(row, "time"));
	for (size_t at = 0; at < sizeof(times) / sizeof(times[0]); at++)
		table_add(table, style, "%s", text_ns(times[at], text));
	table_add(table, style, "%s",
		  text_ns((uint64_t)histogram_mean(histogram), text));
	table_add(table, style, "%" PRIu64, percentiles.count);
}

static int latency_row(const json_t *row, void *context)
{
	struct latency *latency = context;
	const struct invocation *invocation = latency->listing.invocation;

	if (!is_asked_for(invocation, row))
		return EXIT_OK;
	latency->listing.row_count++;
	if (!invocation->is_json && json_array_size(json_object_get(row, "buckets")) == 0)
		return EXIT_OK;
	histogram_clear(&latency->histogram);
	row_add_histogram(row, &latency->histogram);
	if (invocation->is_json)
		return latency_json(row, &latency->histogram);
	latency->drawn_count += is_total(row);
	latency_add(&latency->listing.table, row, &latency->histogram);
	return EXIT_OK;
}

/* The total, which comes last, is what is drawn, of one version. */
static void latency_print(const struct latency *latency)
{
	if (latency->drawn_count == 0) {
		puts("no request has been answered yet");
		return;
	}
	table_print(&latency->listing.table, stdout);
	if (latency->drawn_count == 1)
		chart_print(&latency->histogram, stdout);
}

int latency_run(const struct invocation *invocation)
{
	struct latency *latency = calloc(1, sizeof(*latency));
	int code;

	if (!latency)
		return complain(EXIT_FAILED, "no memory for a histogram");
	latency->listing.invocation = invocation;
	table_init(&latency->listing.table,
		   "MODEL TIME >P50 >P90 >P99 >P99.9 >MAX >MEAN >REQUESTS");
	code = listing_ask(&latency->listing, latency_row);
	if (code == EXIT_OK && latency->listing.row_count == 0)
		code = complain(EXIT_NOT_FOUND,
				"no such model or version is loaded; `hearthctl models` lists them");
	else if (code == EXIT_OK && !invocation->is_json)
		latency_print(latency);
	table_deinit(&latency->listing.table);
	free(latency);
	return code;
}

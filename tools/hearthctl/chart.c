/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/chart.c - bars of equal ratio
 *
 * Latencies spread over orders of magnitude, so each bar's bound is the one
 * before it times a ratio, chosen from a short list such that minimum to p99.9
 * fits. The few above p99.9 share the last line, with the maximum named.
 */

#include "tools/hearthctl/chart.h"

#include <inttypes.h>
#include <langinfo.h>
#include <stdbool.h>
#include <string.h>

#include "tools/hearthctl/table.h"

#define BARS_MAX 16
#define BAR_WIDTH 40

struct percentiles percentiles_of(const struct histogram *histogram)
{
	struct percentiles percentiles = {
		.p50_ns = histogram_percentile(histogram, 50),
		.p90_ns = histogram_percentile(histogram, 90),
		.p99_ns = histogram_percentile(histogram, 99),
		.p999_ns = histogram_percentile(histogram, 99.9),
		.max_ns = histogram_max(histogram),
		.count = histogram_count(histogram),
	};

	return percentiles;
}

void percentiles_print(const struct histogram *histogram, FILE *stream)
{
	struct percentiles percentiles = percentiles_of(histogram);
	char text[5][TEXT_BYTES];

	fprintf(stream, "p50 %s  p90 %s  p99 %s  p99.9 %s  max %s  (%" PRIu64 " requests)\n",
		text_ns(percentiles.p50_ns, text[0]), text_ns(percentiles.p90_ns, text[1]),
		text_ns(percentiles.p99_ns, text[2]), text_ns(percentiles.p999_ns, text[3]),
		text_ns(percentiles.max_ns, text[4]), percentiles.count);
}

/* The smallest ratio with which BARS_MAX bars reach from `first` to `last`. */
static double ratio_choose(double first, double last)
{
	static const double ratios[] = {1.1, 1.25, 1.5, 2, 3, 5, 10};
	const unsigned ratio_count = sizeof(ratios) / sizeof(ratios[0]);
	unsigned index;
	unsigned bar;

	for (index = 0; index + 1 < ratio_count; index++) {
		double bound = first;
		for (bar = 0; bar < BARS_MAX; bar++)
			bound *= ratios[index];
		if (bound >= last)
			break;
	}
	return ratios[index];
}

static void bar_print(FILE *stream, uint64_t count, uint64_t total, uint64_t highest)
{
	/* Eighths of a column: U+258F is one, U+2588 is eight. */
	static const char *const blocks[] = {"",       "\u258f", "\u258e", "\u258d",
					     "\u258c", "\u258b", "\u258a", "\u2589"};
	bool is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	double columns = (double)count / (double)highest * BAR_WIDTH;
	unsigned whole = (unsigned)columns;
	unsigned eighths = (unsigned)((columns - whole) * 8);
	unsigned column;

	if (count > 0 && whole == 0 && eighths == 0)
		eighths = 1;
	fprintf(stream, "%9" PRIu64 " %5.1f%%  ", count, 100.0 * (double)count / (double)total);
	for (column = 0; column < whole; column++)
		fputs(is_utf8 ? "\u2588" : "#", stream);
	fputs(is_utf8 ? blocks[eighths] : count > 0 && whole == 0 ? "." : "", stream);
	fputc('\n', stream);
}

void chart_print(const struct histogram *histogram, FILE *stream)
{
	uint64_t bounds[BARS_MAX];
	uint64_t counts[BARS_MAX];
	uint64_t total = histogram_count(histogram);
	uint64_t last = histogram_percentile(histogram, 99.9);
	uint64_t seen = 0;
	uint64_t highest = 1;
	uint32_t bar_count = 0;
	uint32_t bar;
	double bound = (double)histogram_min(histogram);
	double ratio;
	char text[2][TEXT_BYTES];

	if (total == 0)
		return;
	if (bound < 1)
		bound = 1;
	ratio = ratio_choose(bound, (double)last);
	do {
		bound *= ratio;
		bounds[bar_count] = bar_count + 1 == BARS_MAX ? last : (uint64_t)bound;
		/* A sliver of a bar at the end would be below the histogram's own error. */
		if (bounds[bar_count] >= last - last / 16)
			bounds[bar_count] = last;
		counts[bar_count] = histogram_count_below(histogram, bounds[bar_count]) - seen;
		seen += counts[bar_count];
		if (counts[bar_count] > highest)
			highest = counts[bar_count];
		bar_count++;
	} while (bar_count < BARS_MAX && bounds[bar_count - 1] < last);

	for (bar = 0; bar < bar_count; bar++) {
		fprintf(stream, "  <= %9s", text_ns(bounds[bar], text[0]));
		bar_print(stream, counts[bar], total, highest);
	}
	if (seen < total) {
		fprintf(stream, "  <= %9s", text_ns(histogram_max(histogram), text[1]));
		bar_print(stream, total - seen, total, highest);
	}
}

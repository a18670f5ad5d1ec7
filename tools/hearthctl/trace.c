/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/trace.c - trace: single requests, with where the time of each went */
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "tools/hearthctl/chrome.h"
#include "tools/hearthctl/listing.h"

/* The listing is first, so that a row's context is both. */
struct trace {
	struct listing listing;
	json_t **rows; /* that are asked for */
	size_t row_count;
	size_t row_count_max;
	uint64_t from; /* the position that comes next */
	uint64_t told; /* of the last answer */
	uint64_t lost; /* overwritten before they were asked for */
	uint64_t unix_ns; /* what makes a clock_ns the time of day */
};

static bool is_asked_for(const struct invocation *invocation, const json_t *row)
{
	if (*invocation->model && strcmp(row_text(row, "model"), invocation->model) != 0)
		return false;
	if (invocation->version > 0 && row_number(row, "version") != invocation->version)
		return false;
	return row_number(row, "total_ns") >= invocation->slow_ns;
}

static bool row_keep(struct trace *trace, const json_t *row)
{
	if (trace->row_count == trace->row_count_max) {
		size_t count_max = trace->row_count_max ? 2 * trace->row_count_max : 1024;
		json_t **rows = reallocarray(trace->rows, count_max, sizeof(*rows));

		if (!rows)
			return false;
		trace->rows = rows;
		trace->row_count_max = count_max;
	}
	trace->rows[trace->row_count] = json_deep_copy(row);
	return trace->rows[trace->row_count] &&
	       json_object_set_new(trace->rows[trace->row_count++], "submitted_unix_ns",
				   json_integer((json_int_t)(row_number(row, "submitted_ns") +
							     trace->unix_ns))) == 0;
}

static int trace_row(const json_t *row, void *context)
{
	struct trace *trace = context;

	if (json_object_get(row, "next")) {
		uint64_t next = row_number(row, "next");

		if (next > trace->from + trace->told)
			trace->lost += next - trace->from - trace->told;
		trace->from = next;
		return EXIT_OK;
	}
	trace->told++;
	if (is_asked_for(trace->listing.invocation, row) && !row_keep(trace, row))
		return complain(EXIT_FAILED, "no memory for %zu requests", trace->row_count);
	return EXIT_OK;
}

static int trace_ask(struct trace *trace, uint64_t from)
{
	trace->told = 0;
	return listing_ask_from(&trace->listing, from, trace_row);
}

static int trace_ask_on(struct listing *listing)
{
	struct trace *trace = (struct trace *)listing;

	uint64_t from = trace->from;
	int code = trace_ask(trace, from);

	trace->from = listing_go_on(from, trace->from);
	return code;
}

/* What ends from now on. */
static int trace_follow(struct trace *trace, double seconds)
{
	int code = trace_ask(trace, INT64_MAX); /* where no request is: only how many there were */

	trace->lost = 0;
	return code == EXIT_OK ? listing_follow(&trace->listing, seconds, trace_ask_on) : code;
}

static int by_key(const void *left, const void *right, const char *key)
{
	uint64_t left_ns = row_number(*(json_t *const *)left, key);
	uint64_t right_ns = row_number(*(json_t *const *)right, key);

	return (left_ns > right_ns) - (left_ns < right_ns);
}

static int by_submission(const void *left, const void *right)
{
	return by_key(left, right, "submitted_ns");
}

static int slowest_first(const void *left, const void *right)
{
	return by_key(right, left, "total_ns");
}

static void request_add(struct table *table, const json_t *row)
{
	uint64_t unix_ns = row_number(row, "submitted_unix_ns");
	struct timespec time = clock_timespec(unix_ns);
	const char *reason = row_text(row, "reason");
	enum table_style style = *reason ? TABLE_BAD : TABLE_PLAIN;
	char text[TEXT_BYTES] = "";
	struct tm day;

	if (localtime_r(&time.tv_sec, &day))
		strftime(text, sizeof(text), "%T", &day);
	table_add(table, style, "%s.%06ld", text, time.tv_nsec / 1000);
	table_add(table, style, "%s@%" PRIu64, row_text(row, "model"), row_number(row, "version"));
	table_add(table, style, "%" PRIu64, row_number(row, "pid"));
	table_add(table, style, "%" PRIu64 "/%" PRIu64, row_number(row, "rows"),
		  row_number(row, "batch_rows"));
	table_add(table, style, "%s", *reason ? reason : "ok");
	for (uint32_t stage = 0; stage < STAGE_COUNT; stage++) {
		char key[16];

		snprintf(key, sizeof(key), "%s_ns", stage_names[stage]);
		table_add(table, style, "%s", text_ns(row_number(row, key), text));
	}
	table_add(table, *reason ? TABLE_BAD : TABLE_STRONG, "%s",
		  text_ns(row_number(row, "total_ns"), text));
}

static int trace_print(struct trace *trace)
{
	const struct invocation *invocation = trace->listing.invocation;
	int code = EXIT_OK;

	for (size_t index = 0; index < trace->row_count && code == EXIT_OK; index++) {
		if (invocation->is_json)
			code = listing_emit(trace->rows[index]);
		else
			request_add(&trace->listing.table, trace->rows[index]);
	}
	if (!invocation->is_json && trace->row_count > 0)
		table_print(&trace->listing.table, stdout);
	else if (!invocation->is_json)
		puts("no such request is among those that ended");
	return code;
}

static int trace_export(struct trace *trace)
{
	const struct invocation *invocation = trace->listing.invocation;
	int code = chrome_write(invocation->chrome, trace->rows, trace->row_count);
	json_t *row;

	if (code != EXIT_OK)
		return code;
	if (!invocation->is_json) {
		printf("%zu requests are in %s; ui.perfetto.dev and chrome://tracing open it\n",
		       trace->row_count, invocation->chrome);
		return EXIT_OK;
	}
	row = json_pack("{s:s, s:I}", "file", invocation->chrome, "requests",
			(json_int_t)trace->row_count);
	code = listing_emit(row);
	json_decref(row);
	return code;
}

static int trace_show(struct trace *trace)
{
	const struct invocation *invocation = trace->listing.invocation;

	if (trace->lost > 0)
		fprintf(stderr, "hearthctl: %" PRIu64 " requests were overwritten by later ones "
			"before they could be read\n", trace->lost);
	if (trace->row_count > 0)
		qsort(trace->rows, trace->row_count, sizeof(*trace->rows),
		      invocation->slow_ns && !invocation->chrome ? slowest_first : by_submission);
	return invocation->chrome ? trace_export(trace) : trace_print(trace);
}

int trace_run(const struct invocation *invocation)
{
	struct trace trace = {.listing.invocation = invocation};
	int code;

	trace.unix_ns = clock_unix_ns() - clock_ns();
	table_init(&trace.listing.table, "TIME MODEL >PID >ROWS STATUS >RING >QUEUE >BATCH >EXECUTE "
					 ">ANSWER >TOTAL");
	if (invocation->seconds > 0) {
		code = trace_follow(&trace, invocation->seconds);
	} else {
		code = trace_ask(&trace, 0);
		trace.lost = 0; /* what is older than the oldest is nobody's loss */
	}
	if (code == EXIT_OK)
		code = trace_show(&trace);
	for (size_t index = 0; index < trace.row_count; index++)
		json_decref(trace.rows[index]);
	free(trace.rows);
	table_deinit(&trace.listing.table);
	return code;
}

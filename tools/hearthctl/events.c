/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/events.c - events: the last lines of the daemon's log, and those that come */
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "tools/hearthctl/listing.h"

#define FOLLOW_LINES 10 /* that are there already */

/* The listing is first, so that a row's context is both. */
struct events {
	struct listing listing;
	uint64_t next; /* position */
};

static void event_print(const json_t *row)
{
	struct timespec time = clock_timespec(row_number(row, "unix_ns"));
	const char *level = row_text(row, "level");
	enum table_style style = strcmp(level, "error") == 0	 ? TABLE_BAD
				 : strcmp(level, "warning") == 0 ? TABLE_STRONG
								 : TABLE_PLAIN;
	char day[TEXT_BYTES] = "";
	struct tm local;

	if (localtime_r(&time.tv_sec, &local))
		strftime(day, sizeof(day), "%F %T", &local);
	printf("%s.%03ld  %s%-7s%s  ", day, time.tv_nsec / 1000000, style_begin(stdout, style), level,
	       style_end(stdout, style));
	text_put(row_text(row, "text"), stdout);
	putchar('\n');
}

static int events_row(const json_t *row, void *context)
{
	struct events *events = context;

	if (json_object_get(row, "next")) {
		events->next = row_number(row, "next");
		return EXIT_OK;
	}
	if (events->listing.invocation->is_json)
		return listing_emit(row);
	if (events->listing.row_count++ == 0)
		printf("%s%-23s  %-7s  TEXT%s\n", style_begin(stdout, TABLE_STRONG), "TIME", "LEVEL",
		       style_end(stdout, TABLE_STRONG));
	event_print(row);
	return EXIT_OK;
}

/* What has come since. */
static int events_ask(struct listing *listing)
{
	struct events *events = (struct events *)listing;
	uint64_t from = events->next;
	int code = listing_ask_from(listing, from, events_row);

	events->next = listing_go_on(from, events->next);
	return code == EXIT_OK ? listing_flush() : code;
}

int events_run(const struct invocation *invocation)
{
	struct events events = {.listing.invocation = invocation};
	bool follows = invocation->follows || invocation->seconds > 0;
	uint64_t count = invocation->count ? invocation->count : follows ? FOLLOW_LINES : UINT32_MAX;
	int code = listing_ask_from(&events.listing, INT64_MAX, events_row); /* no row: only next */

	if (code != EXIT_OK)
		return code;
	events.next = events.next > count ? events.next - count : 0;
	code = events_ask(&events.listing);
	if (code == EXIT_OK && follows)
		code = listing_follow(&events.listing, invocation->seconds, events_ask);
	return code;
}

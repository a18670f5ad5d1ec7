/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/listing.h - the rows that a verb answers with, as JSON or as a table
 *
 * Owns:     nothing; the caller begins and ends the table
 * Threads:  one
 * Errors:   exit codes, with a sentence on stderr
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_LISTING_H
#define HEARTH_TOOLS_HEARTHCTL_LISTING_H

#include "tools/hearthctl/command.h"
#include "tools/hearthctl/row.h"
#include "tools/hearthctl/table.h"
#include "tools/hearthctl/talk.h"

struct listing {
	const struct invocation *invocation;
	struct table table;
	uint64_t row_count;
};

/* Calls `row` with the listing for each row; the verb is the invocation's, or another one. */
int listing_ask(struct listing *listing, talk_row row);
int listing_ask_verb(struct listing *listing, const char *verb, talk_row row);

/* The same with any question, which it takes over. */
int listing_ask_question(struct listing *listing, json_t *question, talk_row row);

/* The rows of the invocation's verb from a position on; those of a later one are in "next". */
int listing_ask_from(struct listing *listing, uint64_t from, talk_row row);

/* Asks time and again, and a last time when so many seconds are over; 0: without end. */
int listing_follow(struct listing *listing, double seconds, int (*ask)(struct listing *listing));

/* Where the next question begins, of "next" in the answer to one that began at `from`: a daemon that
 * has started again counts from 0, and all of that is to come. */
uint64_t listing_go_on(uint64_t from, uint64_t next);

/* One row as JSON. */
int listing_emit(const json_t *row);

/* What was printed goes out now; EXIT_FAILED: nobody takes it. */
int listing_flush(void);

/* The cell that says on which node what the row tells of is. */
void listing_add_node(struct table *table, const json_t *row);

#endif

/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/listing.c - a verb that only looks: asked, its rows shown */
#include "tools/hearthctl/listing.h"

#include <errno.h>

#include "base/clock.h"
#include "tools/hearthctl/page.h"

#define ANSWER_SECONDS 10
#define ENDED_SECONDS 2 /* as long as a heartbeat is waited for */
#define POLL_NS (100 * CLOCK_NS_PER_MS)

/* Passes rows on, and knows whether there was one. */
struct passage {
	talk_row row;
	void *context;
	uint64_t row_count;
};

static int row_pass(const json_t *row, void *context)
{
	struct passage *passage = context;

	passage->row_count++;
	return passage->row(row, passage->context);
}

static bool is_lost(void *context)
{
	struct page *page = context;

	page_look(page);
	return page->state != PAGE_ALIVE;
}

/* The daemon, while it lives; where nothing comes of that, its page. Behind a page of one that has
 * ended there may be another daemon, which could not make its own: it is asked, and not for long. */
static int daemon_ask(struct page *page, const struct invocation *invocation,
		      const json_t *question, talk_row row, void *context)
{
	double timeout_s = invocation->timeout_s > 0 ? invocation->timeout_s : ANSWER_SECONDS;
	const struct talk_watch watch = { is_lost, page };
	struct passage passage = { .row = row, .context = context };
	int code;
	int r;

	if (page->state == PAGE_ENDED && timeout_s > ENDED_SECONDS)
		timeout_s = ENDED_SECONDS;
	r = talk_try(invocation->socket_path, timeout_s, page->state == PAGE_ALIVE ? &watch : NULL,
		     question, row_pass, &passage, &code);
	if (r >= 0)
		return code;
	page_look(page);
	if (r == -ETIMEDOUT && page->state == PAGE_ALIVE)
		page_give_up(page, timeout_s);
	if (page->state > PAGE_ALIVE && passage.row_count == 0)
		return page_ask(page, question, row, context);
	return talk_failed(invocation->socket_path, timeout_s, r);
}

int listing_ask_question(struct listing *listing, json_t *question, talk_row row)
{
	const struct invocation *invocation = listing->invocation;
	struct page page;
	int code;

	page_open(&page, invocation->socket_path);
	if (invocation->is_page || page.state == PAGE_HUNG)
		code = page_ask(&page, question, row, listing);
	else
		code = daemon_ask(&page, invocation, question, row, listing);
	page_close(&page);
	json_decref(question);
	return code;
}

int listing_ask_verb(struct listing *listing, const char *verb, talk_row row)
{
	return listing_ask_question(listing, json_pack("{s:s}", "verb", verb), row);
}

int listing_ask(struct listing *listing, talk_row row)
{
	return listing_ask_verb(listing, listing->invocation->verb, row);
}

int listing_ask_from(struct listing *listing, uint64_t from, talk_row row)
{
	return listing_ask_question(listing,
				    json_pack("{s:s, s:I}", "verb", listing->invocation->verb,
					      "from", (json_int_t)from),
				    row);
}

int listing_follow(struct listing *listing, double seconds, int (*ask)(struct listing *listing))
{
	uint64_t end_ns = seconds > 0 ? clock_ns() + (uint64_t)(seconds * 1e9) : UINT64_MAX;
	bool is_last = false;
	int code = EXIT_OK;

	while (code == EXIT_OK && !is_last) {
		uint64_t now_ns = clock_ns();
		uint64_t left_ns = end_ns > now_ns ? end_ns - now_ns : 0;
		struct timespec pause = clock_timespec(left_ns < POLL_NS ? left_ns : POLL_NS);

		is_last = left_ns < POLL_NS;
		nanosleep(&pause, NULL);
		code = ask(listing);
	}
	return code;
}

uint64_t listing_go_on(uint64_t from, uint64_t next)
{
	return next < from ? 0 : next;
}

int listing_emit(const json_t *row)
{
	if (row_print(row) < 0)
		return complain(EXIT_FAILED, "stdout takes no more");
	return EXIT_OK;
}

int listing_flush(void)
{
	if (fflush(stdout) == EOF)
		return complain(EXIT_FAILED, "stdout takes no more");
	return EXIT_OK;
}

void listing_add_node(struct table *table, const json_t *row)
{
	const json_t *node = json_object_get(row, "node");

	if (json_is_integer(node) && json_integer_value(node) >= 0)
		table_add(table, TABLE_PLAIN, "%" JSON_INTEGER_FORMAT, json_integer_value(node));
	else
		table_add(table, TABLE_PLAIN, "any");
}

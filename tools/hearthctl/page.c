/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/page.c - does the daemon live, and if not, what has it left? */
#include "tools/hearthctl/page.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tools/hearthctl/row.h"
#include "tools/hearthctl/table.h"

#define HUNG_NS (2 * CLOCK_NS_PER_S) /* the control loop beats twice a second */
#define STUCK_NS (5 * CLOCK_NS_PER_S) /* where somebody waits for a change */
/* The data loop passes ten times a second. Where both stop at once it has not passed for longer than
 * this by the time that the other one is found to hang. */
#define PASSED_NS CLOCK_NS_PER_S

/* --- does it live? ------------------------------------------------------------------------------ */

static bool has_our_clock(const struct stats_page *page)
{
	return page->time_namespace == stats_namespace("time");
}

/* By two clocks, since one may stand still with the machine and the other be set. */
static uint64_t age_ns(const struct stats_page *page, uint64_t at_ns, uint64_t at_unix_ns)
{
	uint64_t now_ns = clock_ns();
	uint64_t unix_ns = clock_unix_ns();

	unix_ns = unix_ns > at_unix_ns ? unix_ns - at_unix_ns : 0;
	if (!has_our_clock(page) || now_ns < at_ns)
		return unix_ns;
	return unix_ns > 0 && unix_ns < now_ns - at_ns ? unix_ns : now_ns - at_ns;
}

static const char *age_text(uint64_t ns, char text[TEXT_BYTES])
{
	return text_duration_s((double)ns / 1e9, text);
}

/* A pid of another namespace is not looked for: it is somebody else here. In another time namespace
 * a process has begun at another time. */
static bool has_ended(const struct stats_page *page, char *ret_state)
{
	uint64_t ticks;

	*ret_state = '?';
	if (page->pid_namespace == 0 || page->pid_namespace != stats_namespace("pid"))
		return false;
	if (kill((pid_t)page->pid, 0) < 0 && errno == ESRCH)
		return true;
	return stats_process_find(page->pid, &ticks, ret_state) == 0 &&
	       ((has_our_clock(page) && ticks != page->pid_ticks) || *ret_state == 'Z' || *ret_state == 'X');
}

/* Both threads have one clock, which need not be this process's. */
static bool has_passed(const struct stats_page *page, uint64_t still_ns)
{
	uint64_t passed_ns = counter_read(&page->counters.passed_ns);

	return passed_ns > page->beat_ns && passed_ns - page->beat_ns + PASSED_NS > still_ns;
}

static void hang_describe(struct page *page, char state, uint64_t still_ns)
{
	const struct stats_page *head = &page->view.page;
	/* On a disk the counters are copied by the thread that hangs. */
	bool is_live = stats_is_in_memory(page->view.fd);
	char text[TEXT_BYTES];

	age_text(still_ns, text);
	if (is_live && has_passed(head, still_ns))
		snprintf(page->why, sizeof(page->why),
			 "the control thread of hearthd (pid %" PRIu64 ") has not moved for %s; who is "
			 "connected is served, and nobody else: journalctl -u hearthd, systemctl restart "
			 "hearthd", head->pid, text);
	else if (state == 'T' || state == 't')
		snprintf(page->why, sizeof(page->why),
			 "hearthd (pid %" PRIu64 ") is stopped by a signal or a debugger, for %s: kill "
			 "-CONT %" PRIu64 ", or systemctl restart hearthd", head->pid, text, head->pid);
	else
		snprintf(page->why, sizeof(page->why),
			 "%s of hearthd (pid %" PRIu64 ") %s not moved for %s: journalctl -u hearthd, "
			 "systemctl restart hearthd", is_live ? "control and data thread"
			 : "the control thread", head->pid, is_live ? "have" : "has", text);
}

static void page_judge(struct page *page)
{
	const struct stats_page *head = &page->view.page;
	uint64_t still_ns = age_ns(head, head->beat_ns, head->beat_unix_ns);
	char text[TEXT_BYTES];
	char state;

	page->why[0] = '\0';
	page->state = PAGE_ALIVE;
	if (head->stopped_unix_ns != 0) {
		snprintf(page->why, sizeof(page->why), "hearthd (pid %" PRIu64 ") has stopped",
			 head->pid);
		stats_view_close(&page->view);
		page->state = PAGE_NONE;
	} else if (has_ended(head, &state)) {
		snprintf(page->why, sizeof(page->why),
			 "hearthd (pid %" PRIu64 ") has ended without a word %s ago: journalctl -u "
			 "hearthd, systemctl restart hearthd", head->pid, age_text(still_ns, text));
		page->state = PAGE_ENDED;
	} else if (still_ns > HUNG_NS) {
		hang_describe(page, state, still_ns);
		page->state = PAGE_HUNG;
	}
}

void page_open(struct page *page, const char *socket_path)
{
	int r;

	*page = (struct page){ .state = PAGE_NONE, .view = { .fd = -1 } };
	if ((size_t)snprintf(page->path, sizeof(page->path), "%s" STATS_PAGE_SUFFIX, socket_path) >=
	    sizeof(page->path))
		r = -ENAMETOOLONG;
	else
		r = stats_view_open(page->path, &page->view);
	if (r == 0)
		page_judge(page);
	else
		snprintf(page->why, sizeof(page->why), "%s", r < 0 ? strerror(-r) :
			 "it is no stats page, or one of another version of hearthd");
}

void page_look(struct page *page)
{
	if (page->state == PAGE_NONE)
		return;
	if (stats_view_look(&page->view) == 0) {
		page_judge(page);
		return;
	}
	page_close(page);
	page->state = PAGE_NONE;
}

void page_give_up(struct page *page, double timeout_s)
{
	snprintf(page->why, sizeof(page->why),
		 "hearthd (pid %" PRIu64 ") did not answer within %g s: journalctl -u hearthd",
		 page->view.page.pid, timeout_s);
	page->state = PAGE_HUNG;
}

void page_close(struct page *page)
{
	if (page->state != PAGE_NONE)
		stats_view_close(&page->view);
	page->state = PAGE_NONE;
}

static enum page_state told; /* of which the reader has read */

void page_tell_again(void)
{
	told = PAGE_NONE;
}

/* --- what it has left --------------------------------------------------------------------------- */

/* Totals of this moment: the data loop counts in the page. */
static void status_complete(const struct page *page, json_t *row, uint64_t written_age_ns)
{
	const struct stats_page *head = &page->view.page;
	const struct {
		const char *key;
		const struct counter *counter;
	} totals[] = {
		{ "requests_total", &head->counters.requests },
		{ "completions_total", &head->counters.completions },
		{ "errors_total", &head->counters.errors },
		{ "batches_total", &head->counters.batches },
		{ "rows_total", &head->counters.rows },
		{ "sleeps_total", &head->counters.sleeps },
		{ "rings_total", &head->counters.rings },
		{ "wakes_total", &head->counters.wakes },
	};

	for (size_t index = 0; index < sizeof(totals) / sizeof(totals[0]); index++)
		json_object_set_new(row, totals[index].key,
				    json_integer((json_int_t)counter_read(totals[index].counter)));
	if (page->state != PAGE_ENDED)
		json_object_set_new(row, "uptime_s",
				    json_real((double)age_ns(head, head->started_ns,
							     head->started_unix_ns) / 1e9));
	if (*page->why)
		json_object_set_new(row, "worst", json_string(page->why));
	json_object_set_new(row, "page_age_s", json_real((double)written_age_ns / 1e9));
}

/* One line; what came before the position "from" is left out. */
static int line_show(const struct page *page, const char *line, size_t bytes, uint64_t from,
		     bool is_status, uint64_t written_age_ns, talk_row row_function, void *context)
{
	json_t *row = json_loadb(line, bytes, 0, NULL);
	int code = EXIT_OK;

	if (!json_is_object(row))
		code = complain(EXIT_FAILED, "%s has something in it that is no row", page->path);
	else if (is_status)
		status_complete(page, row, written_age_ns);
	if (code == EXIT_OK && (!json_object_get(row, "position") ||
				row_number(row, "position") >= from))
		code = row_function(row, context);
	json_decref(row);
	return code;
}

/* Once a state: whoever asks for several things, or again and again, has read it. */
static void tell(const struct page *page, uint64_t written_age_ns)
{
	char text[TEXT_BYTES];

	if (page->state == PAGE_ALIVE || page->state == told) {
		told = page->state;
		return;
	}
	told = page->state;
	complain(EXIT_OK, "%s; these figures are %s old, from %s", page->why,
		 age_text(written_age_ns, text), page->path);
}

static int text_show(struct page *page, enum stats_verb verb, const char *text, uint64_t from,
		     uint64_t written_age_ns, talk_row row, void *context)
{
	int code = EXIT_OK;

	while (*text && code == EXIT_OK) {
		size_t bytes = strcspn(text, "\n");

		code = line_show(page, text, bytes, from, verb == STATS_STATUS, written_age_ns, row,
				 context);
		text += bytes + (text[bytes] == '\n');
	}
	return code;
}

int page_ask(struct page *page, const json_t *question, talk_row row, void *context)
{
	const char *name = json_string_value(json_object_get(question, "verb"));
	enum stats_verb verb = stats_verb_of(name);
	const char *between = *page->why ? "; " : "";
	struct stats_document document;
	uint64_t written_age_ns;
	char *text;
	int code;
	int r;

	if (page->state == PAGE_NONE)
		return complain(EXIT_UNREACHABLE, "no stats page at %s: %s", page->path, page->why);
	if (verb == STATS_VERB_COUNT)
		return complain(EXIT_UNREACHABLE, "%s%sthe stats page %s does not have %s", page->why,
				between, page->path, name);
	r = stats_view_read(&page->view, verb, &document, &text);
	if (r != 0)
		return complain(EXIT_FAILED, "%s%s%s of %s cannot be read: %s", page->why, between, name,
				page->path, r < 0 ? strerror(-r) : "it is not whole");
	if (document.status < 0) {
		free(text);
		return complain(EXIT_UNREACHABLE, "%s%s%s has no %s: %s", page->why, between, page->path,
				name, document.status == -ENODATA ? "none was written yet"
				      : document.status == -ENOSPC ? "it found no room"
								   : strerror(-document.status));
	}
	written_age_ns = age_ns(&page->view.page, document.written_ns, document.written_unix_ns);
	tell(page, written_age_ns);
	code = text_show(page, verb, text, row_number(question, "from"), written_age_ns, row, context);
	free(text);
	return code;
}

/* --- what changes something --------------------------------------------------------------------- */

/* A loop that only stumbles goes on within this: nothing is given up that is done a moment later. */
static bool is_stuck(void *context)
{
	struct page *page = context;

	page_look(page);
	return page->state == PAGE_ENDED ||
	       (page->state == PAGE_HUNG &&
		age_ns(&page->view.page, page->view.page.beat_ns, page->view.page.beat_unix_ns) > STUCK_NS);
}

int page_tell(const struct invocation *invocation, const json_t *question, talk_row row, void *context)
{
	struct page page;
	const struct talk_watch watch = { is_stuck, &page };
	int code;
	int r = 0;

	page_open(&page, invocation->socket_path);
	if (page.state == PAGE_HUNG) {
		code = complain(EXIT_UNREACHABLE, "%s; until then nothing can be changed", page.why);
		goto out;
	}
	r = talk_try(invocation->admin_socket_path, invocation->timeout_s,
		     page.state == PAGE_NONE ? NULL : &watch, question, row, context, &code);
	if (r == -ETIMEDOUT && page.state > PAGE_ALIVE)
		code = complain(EXIT_UNREACHABLE, "%s; what it was told may be done or not: hearthctl "
				"models, hearthctl events", page.why);
	else if (r < 0)
		code = talk_failed(invocation->admin_socket_path, invocation->timeout_s, r);
out:
	page_close(&page);
	return code;
}

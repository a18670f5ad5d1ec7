/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/page/write.c - when the page is written, and what with
 *
 * The rows are those of the verbs, made by them. All of it together has a hundredth of the control
 * thread's time, and an idle daemon writes nothing but that it lives.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "ops/control/control.h"
#include "ops/control/reply.h"
#include "ops/control/worst.h"
#include "ops/loop.h"
#include "shm/barrier.h"

#define NS_PER_S CLOCK_NS_PER_S
#define REST_NS_MIN NS_PER_S
#define REST_RATIO 200 /* times as long as it took */
/* The kernel counts pages for that, and what it counts changes with connections and versions alone. */
#define MEM_REST_NS_MIN (60 * NS_PER_S)
#define MEM_REST_RATIO 1000
#define MEM_WANTED_REST_RATIO 200

/* What is worst changes without anything happening: by then a client has been deaf for long enough, and
 * a refusal is long ago (ops/control/worst.c). */
static const uint64_t settles_ns[] = { 7 * NS_PER_S, 302 * NS_PER_S };
#define SETTLES (sizeof(settles_ns) / sizeof(settles_ns[0]))

static uint64_t rest_ns(uint64_t cost_ns, uint64_t ratio, uint64_t least_ns)
{
	return ratio * cost_ns > least_ns ? ratio * cost_ns : least_ns;
}

/* --- one document -------------------------------------------------------------------------------- */

/* Where the head is a copy. */
static void head_put(struct page *page)
{
	if (!page->is_in_memory && page_put(page, 0, page->head, sizeof(*page->head)) < 0)
		page->has_failed = true;
}

static void document_write(struct control *control, enum stats_verb verb)
{
	struct page *page = &control->page;
	struct stats_document *document = &page->head->documents[verb];
	struct answer answer = { .text = page->text, .room_bytes = document->room_bytes };
	struct peer peer = { .answer = &answer };
	uint64_t hash;

	/* Without memory the last ones stay, with their age. */
	if (!control_read(control, &peer, stats_verb_name(verb)) && answer.status == 0)
		return;
	hash = hash_bytes(answer.text, answer.text_bytes);
	stats_document_begin(document);
	head_put(page);
	if (answer.status == 0)
		answer.status = page_put(page, document->offset, answer.text, answer.text_bytes);
	hearth_store_relaxed(&document->status, answer.status);
	hearth_store_relaxed(&document->row_count, answer.row_count);
	hearth_store_relaxed(&document->text_bytes, answer.status == 0 ? answer.text_bytes : 0);
	hearth_store_relaxed(&document->hash, hash);
	stats_document_end(document);
	head_put(page);
}

static void mem_write(struct control *control)
{
	struct page *page = &control->page;
	uint64_t begun_ns = clock_ns();

	page->is_mem_touched = false;
	page->wants_mem = false;
	worst_look(control);
	document_write(control, STATS_MEM);
	page->mem_ns = clock_ns();
	page->mem_cost_ns = page->mem_ns - begun_ns;
}

static void figures_write(struct control *control)
{
	struct page *page = &control->page;
	uint64_t begun_ns = clock_ns();
	enum stats_verb verb;
	uint64_t now_ns;

	page->is_touched = false;
	for (verb = 0; verb < STATS_VERB_COUNT; verb++)
		if (verb != STATS_MEM)
			document_write(control, verb);
	now_ns = clock_ns();
	page->due_ns = now_ns + rest_ns(now_ns - begun_ns, REST_RATIO, REST_NS_MIN);
}

void page_write(struct control *control)
{
	if (!control->page.head)
		return;
	mem_write(control);
	figures_write(control);
}

/* --- when ---------------------------------------------------------------------------------------- */

/* Grows with what is asked and answered; an idle loop passes, and sleeps. */
static uint64_t activity_of(const struct stats_counters *counters)
{
	return counter_read(&counters->requests) + counter_read(&counters->completions) +
	       counter_read(&counters->batches) + counter_read(&counters->rings) +
	       counter_read(&counters->wakes);
}

static bool has_changed(struct control *control)
{
	struct page *page = &control->page;
	uint64_t activity = activity_of(control->data.counters);
	bool has_changed = page->is_touched || activity != page->activity_seen ||
			   control->events.count != page->event_seen;

	page->is_mem_touched |= page->is_touched;
	page->activity_seen = activity;
	page->event_seen = control->events.count;
	return has_changed;
}

static bool has_settled(struct page *page, uint64_t now_ns)
{
	if (page->settled_count == SETTLES ||
	    now_ns - page->changed_ns < settles_ns[page->settled_count])
		return false;
	page->settled_count++;
	return true;
}

static uint64_t mem_rest_ns(const struct page *page)
{
	return page->wants_mem ? rest_ns(page->mem_cost_ns, MEM_WANTED_REST_RATIO, REST_NS_MIN)
			       : rest_ns(page->mem_cost_ns, MEM_REST_RATIO, MEM_REST_NS_MIN);
}

/* The data loop counts in memory of its own. */
static void counters_copy(const struct stats_counters *from, struct stats_counters *to)
{
	const struct counter *source = (const struct counter *)from;
	struct counter *target = (struct counter *)to;

	for (size_t index = 0; index < sizeof(*from) / sizeof(*source); index++)
		counter_set(target + index, counter_read(source + index));
}

static void changes_write(struct control *control, uint64_t now_ns)
{
	struct page *page = &control->page;

	if (has_changed(control)) {
		page->is_touched = true; /* until it is written */
		page->changed_ns = now_ns;
		page->settled_count = 0;
	}
	if (control->is_ready && (page->wants_mem || page->is_mem_touched) &&
	    now_ns - page->mem_ns >= mem_rest_ns(page))
		mem_write(control);
	if ((page->is_touched && now_ns >= page->due_ns) || has_settled(page, now_ns))
		figures_write(control);
}

void page_tick(struct control *control, uint64_t now_ns)
{
	struct page *page = &control->page;

	if (!page->head)
		return;
	stats_page_beat(page->head);
	if (!page->is_in_memory)
		counters_copy(control->data.counters, &page->head->counters);
	head_put(page);
	changes_write(control, now_ns);
	if (page->has_failed)
		page_give_up(page);
}

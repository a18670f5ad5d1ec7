/* SPDX-License-Identifier: MIT */
/* tests/system/ledger.c - one entry a slot, struck out once */
#include "ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "crowd.h"
#include "shoppers.h"

#define INFER_ROWS_MAX 8
#define STREAM_ITEMS_MAX 200
#define LATE_NS INT64_C(1000000000)
#define NS_PER_MS 1000000

void ledger_open(struct ledger *ledger, const struct ledger_plan *plan)
{
	struct hearth_options options = { .size = sizeof(options), .slots = plan->slots };
	const struct hearth_info *info;
	int r;

	memset(ledger, 0, sizeof(*ledger));
	ledger->plan = *plan;
	ledger->random = plan->seed;
	if (!(plan->kinds & ~LEDGER_PING)) {
		options.request_area_bytes = HEARTH_ARENA_BYTES_MIN;
		options.response_area_bytes = HEARTH_ARENA_BYTES_MIN;
	} else {
		options.request_area_bytes = UINT64_C(1) << 20;
		options.response_area_bytes = UINT64_C(1) << 20;
	}
	do {
		r = hearth_open(plan->socket, &options, &ledger->hearth);
	} while (plan->is_patient && (r == -EBUSY || r == -EDQUOT));
	must(r == 0, "hearth_open: %s", hearth_strerror(r));
	r = hearth_about(ledger->hearth, &info);
	must(r == 0, "hearth_about: %s", hearth_strerror(r));
	ledger->entries = calloc(info->slots, sizeof(*ledger->entries));
	must(ledger->entries, "no memory");
	if (!ledger->plan.depth || ledger->plan.depth > info->slots)
		ledger->plan.depth = info->slots;
	if (plan->kinds & LEDGER_INFER) {
		r = hearth_model(ledger->hearth, "shoppers", 0, &ledger->model);
		must(r == 0, "hearth_model: %s", hearth_strerror(r));
	}
}

static int acquire(struct ledger *ledger, struct ledger_entry *entry,
		   struct hearth_request **ret_request)
{
	switch (entry->kind) {
	case LEDGER_INFER:
		entry->rows = 1 + (uint32_t)(crowd_random(&ledger->random) % INFER_ROWS_MAX);
		entry->row_first = (uint32_t)(crowd_random(&ledger->random) % SHOPPERS_ROWS);
		return hearth_acquire(ledger->hearth, ledger->model, entry->rows, ret_request);
	case LEDGER_STREAM:
		entry->items = 1 + (uint32_t)(crowd_random(&ledger->random) % STREAM_ITEMS_MAX);
		return hearth_acquire_stream_test(ledger->hearth, entry->items, ret_request);
	default:
		return hearth_acquire_ping(ledger->hearth, ret_request);
	}
}

bool ledger_submit(struct ledger *ledger, uint32_t kind)
{
	struct ledger_entry entry = { .kind = kind, .number = ledger->submitted + 1 };
	struct hearth_request *request;
	uint64_t chance = crowd_random(&ledger->random) % 16;
	int r;

	r = acquire(ledger, &entry, &request);
	if (r == -EAGAIN || (r == -ENOTCONN && ledger->plan.may_be_left))
		return false;
	must(r == 0, "acquire: %s", hearth_strerror(r));
	entry.id = request->id;
	request->user_data = entry.number;
	if (kind == LEDGER_INFER)
		shoppers_fill(request, ledger->model, entry.row_first, entry.rows);
	if (kind != LEDGER_PING && ledger->plan.kinds & LEDGER_LATE && chance == 0) {
		entry.is_late = true;
		request->deadline_ns = hearth_deadline(ledger->hearth, -LATE_NS);
	}
	entry.is_canceled = ledger->plan.kinds & LEDGER_CANCEL && chance == 1;
	must(ledger->entries[(uint32_t)entry.id].number == 0, "id %#" PRIx64 " is in use",
	     entry.id);
	ledger->entries[(uint32_t)entry.id] = entry;
	r = hearth_submit(ledger->hearth, request);
	must(r == 0, "submit: %s", hearth_strerror(r));
	ledger->submitted++;
	ledger->in_flight++;
	if (entry.is_canceled) {
		r = hearth_cancel(ledger->hearth, entry.id);
		must(r == 0, "cancel: %s", hearth_strerror(r));
	}
	return true;
}

/* Items below the mark are there, and each holds its own number. */
static void check_items(const struct hearth_completion *completion, uint32_t from, uint32_t to)
{
	const uint64_t *items = completion->response;
	uint32_t item;

	for (item = from; item < to; item++)
		must(hearth_load_relaxed(items + item) == item, "item %u holds %" PRIu64, item,
		     hearth_load_relaxed(items + item));
}

static void check_mark(struct ledger *ledger, struct ledger_entry *entry,
		       const struct hearth_completion *completion)
{
	must(entry->kind == LEDGER_STREAM && !entry->is_late, "request %" PRIu64 " has a mark",
	     entry->number);
	must(completion->response_bytes > entry->items_seen &&
		     completion->response_bytes <= entry->items,
	     "a mark of %u items after one of %u, %u wanted", completion->response_bytes,
	     entry->items_seen, entry->items);
	check_items(completion, entry->items_seen, completion->response_bytes);
	entry->items_seen = completion->response_bytes;
	ledger->marks++;
}

static void check_final(struct ledger *ledger, const struct ledger_entry *entry,
			const struct hearth_completion *completion)
{
	int status = completion->status;

	if (status == -EOWNERDEAD) {
		ledger->orphans++;
		return;
	}
	if (status == -ESHUTDOWN && ledger->plan.may_be_left)
		return; /* it came after the daemon was asked to stop */
	if (status == -ECANCELED && entry->is_canceled) {
		ledger->canceled++;
		return;
	}
	must(status == (entry->is_late ? -ETIME : 0), "request %" PRIu64 " of kind %u: %s",
	     entry->number, entry->kind,
	     hearth_completion_strerror(ledger->hearth, completion));
	if (status < 0)
		return;
	if (entry->kind == LEDGER_INFER) {
		shoppers_check(completion, entry->row_first, entry->rows);
		if (ledger->plan.versions)
			crowd_add(ledger->plan.versions + completion->version, 1);
	}
	if (entry->kind != LEDGER_STREAM)
		return;
	must(completion->response_bytes == entry->items * sizeof(uint64_t),
	     "%u items wanted, %u bytes came", entry->items, completion->response_bytes);
	check_items(completion, 0, entry->items);
}

static void book(struct ledger *ledger, const struct hearth_completion *completion)
{
	struct ledger_entry *entry = ledger->entries + (uint32_t)completion->id;
	int r;

	must(entry->number && entry->id == completion->id &&
		     entry->number == completion->user_data,
	     "an answer to %#" PRIx64 " (number %" PRIu64 "), which is not in flight",
	     completion->id, completion->user_data);
	if (completion->kind == HEARTH_PROGRESS) {
		check_mark(ledger, entry, completion);
		return;
	}
	must(completion->kind == HEARTH_FINAL, "a completion of kind %u", completion->kind);
	check_final(ledger, entry, completion);
	entry->number = 0;
	ledger->answered++;
	ledger->in_flight--;
	if (ledger->plan.answered)
		crowd_add(ledger->plan.answered, 1);
	r = hearth_release(ledger->hearth, completion->id);
	must(r == 0, "release: %s", hearth_strerror(r));
}

static int wait_in_poll(struct hearth *hearth, const struct hearth_completion **ret_completion)
{
	int64_t until_ns = crowd_now_ns() + CROWD_PATIENCE_NS;
	int r;

	while ((r = hearth_peek(hearth, ret_completion)) == -EAGAIN) {
		struct pollfd poller = { .fd = hearth_fd(hearth), .events = POLLIN };

		must(crowd_now_ns() < until_ns, "no answer");
		if (hearth_arm(hearth) == 0)
			poll(&poller, 1, (int)(CROWD_PATIENCE_NS / NS_PER_MS));
	}
	return r;
}

static int wait_in_peek(struct hearth *hearth, const struct hearth_completion **ret_completion)
{
	int64_t until_ns = crowd_now_ns() + CROWD_PATIENCE_NS;
	int r;

	while ((r = hearth_peek(hearth, ret_completion)) == -EAGAIN) {
		must(crowd_now_ns() < until_ns, "no answer");
		hearth_pause();
	}
	return r;
}

bool ledger_take(struct ledger *ledger)
{
	const struct hearth_completion *completion;
	int r;

	if (ledger->plan.way == LEDGER_POLL)
		r = wait_in_poll(ledger->hearth, &completion);
	else if (ledger->plan.way == LEDGER_PEEK)
		r = wait_in_peek(ledger->hearth, &completion);
	else
		r = hearth_wait(ledger->hearth, CROWD_PATIENCE_NS, &completion);
	if (r == -ENOTCONN)
		return false;
	must(r == 0, "waiting: %s", hearth_strerror(r));
	book(ledger, completion);
	return true;
}

void ledger_settle(struct ledger *ledger)
{
	const struct hearth_completion *completion;
	const struct hearth_info *info;
	int r;

	while (ledger->in_flight > 0)
		must(ledger_take(ledger), "%u requests without an answer", ledger->in_flight);
	must(ledger->answered == ledger->submitted, "%" PRIu64 " asked, %" PRIu64 " answered",
	     ledger->submitted, ledger->answered);
	r = hearth_peek(ledger->hearth, &completion);
	must(r == -EAGAIN || r == -ENOTCONN, "one answer more than questions: %d", r);
	r = hearth_about(ledger->hearth, &info);
	must(r == 0, "hearth_about: %s", hearth_strerror(r));
	must(info->unknown_completions == 0 && info->in_flight == 0 && info->held == 0,
	     "%" PRIu64 " unknown completions, %u requests in flight, %u held",
	     info->unknown_completions, info->in_flight, info->held);
}

void ledger_close(struct ledger *ledger)
{
	hearth_close(ledger->hearth);
	free(ledger->entries);
}

static uint32_t choose_kind(struct ledger *ledger)
{
	uint32_t kinds = ledger->plan.kinds & (LEDGER_PING | LEDGER_INFER | LEDGER_STREAM);
	uint32_t kind;

	if ((kinds & (kinds - 1)) == 0)
		return kinds;
	do {
		kind = 1u << crowd_random(&ledger->random) % 3;
	} while (!(kinds & kind));
	return kind;
}

void ledger_run(void *argument)
{
	const struct ledger_plan *plan = argument;
	struct ledger ledger;

	ledger_open(&ledger, plan);
	while ((plan->requests == 0 || ledger.submitted < plan->requests) &&
	       !(plan->stop && crowd_read(plan->stop))) {
		if (ledger.in_flight < ledger.plan.depth &&
		    ledger_submit(&ledger, choose_kind(&ledger)))
			continue;
		if (!ledger_take(&ledger))
			break;
		if (plan->pause_ns > 0)
			crowd_pause_ns(plan->pause_ns);
	}
	ledger_settle(&ledger);
	must(plan->may_be_left || ledger.orphans == 0, "the daemon is gone");
	ledger_close(&ledger);
}

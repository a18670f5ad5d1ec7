/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_ledger.c - every request is answered exactly once, whatever the rings go through
 *
 * Two processes over the rings: a million requests with wrap-around, a full
 * ring, slow readers, expired deadlines, cancellation, many clients at once.
 */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance.h"
#include "crowd.h"
#include "ledger.h"

#define CLIENTS 8
#define PINGS (UINT64_C(1000000) / CROWD_SLOWDOWN)
#define MIXED (UINT64_C(40000) / CROWD_SLOWDOWN)
#define TIMEOUT_S 110

static const char *const *const no_flags = NULL;
static const char *const ways[][3] = { { "--wait", "auto", NULL }, { "--wait", "poll", NULL } };

/* `count` clients at once, each with another ring and another way to wait. */
static void run_clients(const struct appliance *appliance, uint32_t count, uint32_t kinds,
			uint64_t requests)
{
	static const uint64_t slots[] = { 1, 2, 8, 64, 256, 4, 16, 128 };
	struct ledger_plan plans[CLIENTS];
	uint64_t *answered = crowd_share(sizeof(*answered));
	uint64_t seed = crowd_seed("clients");
	pid_t pids[CLIENTS];
	uint32_t client;

	for (client = 0; client < count; client++) {
		plans[client] = (struct ledger_plan){
			.socket = appliance->socket,
			.slots = slots[client],
			.seed = seed + client,
			.requests = requests / count,
			.answered = answered,
			.kinds = kinds,
			/* who looks again and again takes the core from all others */
			.way = client == 3 ? LEDGER_PEEK : client % 2 ? LEDGER_POLL : LEDGER_WAIT,
		};
		pids[client] = crowd_start(ledger_run, plans + client);
	}
	for (client = 0; client < count; client++)
		crowd_finish(pids[client]);
	ck_assert_uint_eq(crowd_read(answered), requests / count * count);
}

START_TEST(a_million_pings_through_small_rings_are_each_answered_once)
{
	struct appliance appliance;

	appliance_open(&appliance, ways[_i]);
	run_clients(&appliance, CLIENTS, LEDGER_PING, PINGS);
	ck_assert_uint_eq(appliance_number(&appliance, "requests_total"), PINGS);
	ck_assert_uint_eq(appliance_number(&appliance, "completions_total"), PINGS);
	ck_assert_uint_eq(appliance_number(&appliance, "errors_total"), 0);
	appliance_close(&appliance);
}
END_TEST

START_TEST(one_client_with_one_slot_wraps_its_ring_at_every_request)
{
	struct ledger_plan plan = { .slots = 1, .requests = PINGS / 20, .kinds = LEDGER_PING };
	struct appliance appliance;

	appliance_open(&appliance, no_flags);
	plan.socket = appliance.socket;
	ledger_run(&plan);
	appliance_close(&appliance);
}
END_TEST

START_TEST(infers_streams_pings_late_and_canceled_ones_are_each_answered_once)
{
	struct appliance appliance;

	appliance_open(&appliance, ways[_i]);
	run_clients(&appliance, CLIENTS, LEDGER_ALL, MIXED);
	ck_assert_uint_eq(appliance_number(&appliance, "completions_total"), MIXED);
	appliance_close(&appliance);
}
END_TEST

START_TEST(streams_pings_late_and_canceled_ones_are_each_answered_once)
{
	struct appliance appliance;

	appliance_open(&appliance, no_flags);
	run_clients(&appliance, CLIENTS, LEDGER_ALL & ~LEDGER_INFER, MIXED);
	ck_assert_uint_eq(appliance_number(&appliance, "completions_total"), MIXED);
	appliance_close(&appliance);
}
END_TEST

/* --- full rings and slow readers ------------------------------------------------------------------ */

START_TEST(full_ring_says_eagain_and_loses_nothing)
{
	struct appliance appliance;
	struct ledger_plan plan = { .slots = 8, .kinds = LEDGER_PING };
	struct hearth_request *request;
	struct ledger ledger;
	uint32_t turn;

	appliance_open(&appliance, no_flags);
	plan.socket = appliance.socket;
	ledger_open(&ledger, &plan);
	for (turn = 0; turn < 1000; turn++) {
		while (ledger.in_flight < 8)
			ck_assert(ledger_submit(&ledger, LEDGER_PING));
		ck_assert_int_eq(hearth_acquire_ping(ledger.hearth, &request), -EAGAIN);
		ck_assert(!ledger_submit(&ledger, LEDGER_PING));
		do {
			ck_assert(ledger_take(&ledger));
		} while (ledger.in_flight > turn % 8);
	}
	ledger_settle(&ledger);
	ledger_close(&ledger);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_client_that_never_reads_stalls_only_itself)
{
	struct ledger_plan slow_plan = { .slots = 64, .kinds = LEDGER_PING | LEDGER_STREAM };
	struct ledger_plan plan = { .slots = 32, .requests = PINGS / 20, .kinds = LEDGER_PING };
	struct appliance appliance;
	struct ledger slow;

	appliance_open(&appliance, no_flags);
	plan.socket = appliance.socket;
	slow_plan.socket = appliance.socket;
	ledger_open(&slow, &slow_plan);
	while (ledger_submit(&slow, slow.submitted % 2 ? LEDGER_PING : LEDGER_STREAM))
		;
	ck_assert_uint_eq(slow.in_flight, 64);
	ledger_run(&plan);
	/* All of it is there: nothing was held back, nothing overwritten. */
	await(appliance_number(&appliance, "completions_total") == 64 + plan.requests);
	ledger_settle(&slow);
	ledger_close(&slow);
	appliance_close(&appliance);
}
END_TEST

/* The daemon answers into the second half of the completions while the first is not read. */
START_TEST(marks_are_at_most_one_outstanding_and_the_final_count_is_right)
{
	enum { ITEMS = 20000 };
	struct hearth_options options = { .size = sizeof(options), .slots = 4 };
	const struct hearth_completion *completion;
	struct hearth_request *request;
	struct appliance appliance;
	struct hearth *hearth;
	const uint64_t *items;
	uint32_t item;

	appliance_open(&appliance, no_flags);
	ck_assert_int_eq(hearth_open(appliance.socket, &options, &hearth), 0);
	ck_assert_int_eq(hearth_acquire_stream_test(hearth, ITEMS, &request), 0);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	await(appliance_number(&appliance, "completions_total") == 1);

	/* Nothing was read while 20,000 items came: one mark, then the end. */
	ck_assert_int_eq(hearth_peek(hearth, &completion), 0);
	ck_assert_uint_eq(completion->kind, HEARTH_PROGRESS);
	ck_assert_uint_eq(completion->response_bytes, 1);
	ck_assert_int_eq(hearth_peek(hearth, &completion), 0);
	ck_assert_uint_eq(completion->kind, HEARTH_FINAL);
	ck_assert_int_eq(completion->status, 0);
	ck_assert_uint_eq(completion->response_bytes, ITEMS * sizeof(*items));
	items = completion->response;
	for (item = 0; item < ITEMS; item++)
		must(items[item] == item, "item %u is lost", item);
	ck_assert_int_eq(hearth_peek(hearth, &completion), -EAGAIN);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

/* _i: how long the reader sleeps between two looks. */
START_TEST(a_slow_reader_of_a_stream_loses_no_item)
{
	enum { ITEMS = 3000 };
	struct hearth_options options = { .size = sizeof(options), .slots = 1 };
	const struct hearth_completion *completion;
	struct hearth_request *request;
	struct appliance appliance;
	struct hearth *hearth;
	uint32_t marks = 0;
	uint32_t seen = 0;

	appliance_open(&appliance, no_flags);
	ck_assert_int_eq(hearth_open(appliance.socket, &options, &hearth), 0);
	ck_assert_int_eq(hearth_acquire_stream_test(hearth, ITEMS, &request), 0);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	for (;;) {
		const uint64_t *items;

		ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
		if (completion->kind == HEARTH_FINAL)
			break;
		items = completion->response;
		must(completion->response_bytes > seen, "%u items after %u",
		     completion->response_bytes, seen);
		for (; seen < completion->response_bytes; seen++)
			must(hearth_load_relaxed(items + seen) == seen, "item %u is lost", seen);
		marks++;
		if (_i)
			crowd_pause_ns(_i * 1000);
	}
	ck_assert_int_eq(completion->status, 0);
	ck_assert_uint_eq(completion->response_bytes, ITEMS * sizeof(uint64_t));
	ck_assert_uint_ge(marks, 1);
	ck_assert_uint_le(marks, ITEMS);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

/* --- deadlines and cancellation --------------------------------------------------------------------- */

START_TEST(a_stream_is_canceled_while_it_runs)
{
	enum { ITEMS = 1 << 19, TURNS = 20 };
	struct hearth_options options = { .size = sizeof(options), .slots = 2 };
	const struct hearth_completion *completion;
	struct hearth_request *request;
	struct appliance appliance;
	struct hearth *hearth;
	uint32_t turn;

	appliance_open(&appliance, no_flags);
	ck_assert_int_eq(hearth_open(appliance.socket, &options, &hearth), 0);
	for (turn = 0; turn < TURNS; turn++) {
		uint32_t items = 0;
		uint64_t id;

		ck_assert_int_eq(hearth_acquire_stream_test(hearth, ITEMS, &request), 0);
		id = request->id;
		ck_assert_int_eq(hearth_submit(hearth, request), 0);
		ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
		ck_assert_uint_eq(completion->kind, HEARTH_PROGRESS);
		ck_assert_int_eq(hearth_cancel(hearth, id), 0);
		while (completion->kind == HEARTH_PROGRESS) {
			items = completion->response_bytes;
			ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
		}
		ck_assert_int_eq(completion->status, -ECANCELED);
		ck_assert_uint_ge(completion->response_bytes, items * sizeof(uint64_t));
		ck_assert_uint_lt(completion->response_bytes, ITEMS * sizeof(uint64_t));
		ck_assert_int_eq(hearth_release(hearth, id), 0);
		ck_assert_int_eq(hearth_peek(hearth, &completion), -EAGAIN);
	}
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_stream_ends_with_etime_when_its_deadline_passes)
{
	enum { ITEMS = 1 << 19 };
	struct hearth_options options = { .size = sizeof(options), .slots = 2 };
	const struct hearth_completion *completion;
	struct hearth_request *request;
	struct appliance appliance;
	struct hearth *hearth;

	appliance_open(&appliance, no_flags);
	ck_assert_int_eq(hearth_open(appliance.socket, &options, &hearth), 0);
	ck_assert_int_eq(hearth_acquire_stream_test(hearth, ITEMS, &request), 0);
	request->deadline_ns = hearth_deadline(hearth, 1000000);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	do {
		ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
	} while (completion->kind == HEARTH_PROGRESS);
	ck_assert_int_eq(completion->status, -ETIME);
	ck_assert_uint_lt(completion->response_bytes, ITEMS * sizeof(uint64_t));
	ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

START_TEST(an_infer_with_an_expired_deadline_answers_etime_and_computes_nothing)
{
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	struct hearth_request *request;
	struct appliance appliance;
	struct hearth *hearth;
	uint32_t turn;

	appliance_open(&appliance, no_flags);
	ck_assert_int_eq(hearth_open(appliance.socket, NULL, &hearth), 0);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
	for (turn = 0; turn < 100; turn++) {
		ck_assert_int_eq(hearth_acquire(hearth, model, 1, &request), 0);
		request->deadline_ns = hearth_deadline(hearth, turn % 2 ? 0 : -1000000000);
		ck_assert_int_eq(hearth_submit(hearth, request), 0);
	}
	for (turn = 0; turn < 100; turn++) {
		ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
		ck_assert_int_eq(completion->status, -ETIME);
		ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	}
	ck_assert_uint_eq(appliance_number(&appliance, "batches_total"), 0);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ledger");
	TCase *once = tcase_create("once");
	TCase *slow = tcase_create("slow");
	TCase *ends = tcase_create("ends");

	tcase_set_timeout(once, TIMEOUT_S);
	tcase_add_loop_test(once, a_million_pings_through_small_rings_are_each_answered_once, 0, 2);
	tcase_add_test(once, one_client_with_one_slot_wraps_its_ring_at_every_request);
	tcase_add_test(once, streams_pings_late_and_canceled_ones_are_each_answered_once);
	tcase_add_loop_test(once,
			    infers_streams_pings_late_and_canceled_ones_are_each_answered_once, 0,
			    2);
	suite_add_tcase(suite, once);

	tcase_set_timeout(slow, TIMEOUT_S);
	tcase_add_test(slow, full_ring_says_eagain_and_loses_nothing);
	tcase_add_test(slow, a_client_that_never_reads_stalls_only_itself);
	tcase_add_test(slow, marks_are_at_most_one_outstanding_and_the_final_count_is_right);
	tcase_add_loop_test(slow, a_slow_reader_of_a_stream_loses_no_item, 0, 2);
	suite_add_tcase(suite, slow);

	tcase_set_timeout(ends, TIMEOUT_S);
	tcase_add_test(ends, a_stream_is_canceled_while_it_runs);
	tcase_add_test(ends, a_stream_ends_with_etime_when_its_deadline_passes);
	tcase_add_test(ends, an_infer_with_an_expired_deadline_answers_etime_and_computes_nothing);
	suite_add_tcase(suite, ends);
	return appliance_check(suite);
}

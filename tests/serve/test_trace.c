/* SPDX-License-Identifier: MIT */
/* tests/serve/test_trace.c - the last requests are told, whole or not at all, while others end */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "serve/times.h"
#include "solo.h"
#include "tests/suite.h"

#define RACED (256 * TRACE_REQUESTS)
#define AHEAD 4 /* of the writer is a reader that waits for it */

static struct trace trace;
static struct solo solo;

static void setup(void)
{
	memset(&trace, 0, sizeof(trace));
}

/* Every field tells of its position. */
static struct trace_request request_of(uint64_t position)
{
	uint32_t mark = (uint32_t)position;

	return (struct trace_request){
		.id = ~position,
		.submitted_ns = position,
		.ns = { mark, mark, mark, mark, mark, mark },
		.pid = (int32_t)mark,
		.model = mark,
		.version = mark,
		.rows = mark,
		.batch_rows = mark,
		.status = (int32_t)mark,
	};
}

static bool is_whole(const struct trace_request *request, uint64_t position)
{
	struct trace_request wanted = request_of(position);

	return memcmp(request, &wanted, sizeof(wanted)) == 0;
}

static void write_to(uint64_t end)
{
	for (uint64_t position = counter_read(&trace.count); position < end; position++) {
		struct trace_request request = request_of(position);

		trace_write(&trace, &request);
	}
}

START_TEST(what_was_not_written_is_not_there)
{
	struct trace_request request;

	ck_assert(!trace_read(&trace, 0, &request));
	write_to(1);
	ck_assert(trace_read(&trace, 0, &request) && is_whole(&request, 0));
	ck_assert(!trace_read(&trace, 1, &request));
	ck_assert(!trace_read(&trace, TRACE_REQUESTS, &request));
}
END_TEST

START_TEST(the_newest_take_the_place_of_the_oldest)
{
	struct trace_request request;

	write_to(TRACE_REQUESTS + 3);
	for (uint64_t position = 0; position < TRACE_REQUESTS + 3; position++) {
		bool is_there = trace_read(&trace, position, &request);

		ck_assert(is_there == (position >= 3));
		ck_assert(!is_there || is_whole(&request, position));
	}
}
END_TEST

START_TEST(one_that_is_being_overwritten_is_skipped)
{
	struct trace_request request;

	write_to(2);
	trace.slots[1].seq = 0;
	trace.slots[1].words[3]++;
	ck_assert(trace_read(&trace, 0, &request));
	ck_assert(!trace_read(&trace, 1, &request));
}
END_TEST

static void *race(void *unused)
{
	(void)unused;
	write_to(RACED);
	return NULL;
}

/* A reader that looks at one until it is gone is there when it is overwritten. */
START_TEST(beside_a_writer_each_is_whole_or_gone)
{
	struct trace_request request;
	pthread_t writer;
	uint64_t position;

	write_to(TRACE_REQUESTS);
	ck_assert_int_eq(pthread_create(&writer, NULL, race, NULL), 0);
	while ((position = counter_read(&trace.count) - TRACE_REQUESTS + AHEAD) <
	       RACED - TRACE_REQUESTS)
		while (trace_read(&trace, position, &request))
			ck_assert(is_whole(&request, position));
	pthread_join(writer, NULL);
	ck_assert(trace_read(&trace, RACED - 1, &request) && is_whole(&request, RACED - 1));
}
END_TEST

/* Notes `count` requests, all of them refused but the first. */
static void note(struct times *times, struct version *version, uint32_t count)
{
	for (uint32_t index = 0; index < count; index++) {
		struct times_note *noted = times_note(times);

		noted->version = version;
		noted->request = request_of(index);
	}
}

START_TEST(requests_are_traced_once_and_the_answered_ones_counted)
{
	struct version *version = calloc(1, sizeof(*version));
	struct times times = { .trace = &trace };
	struct trace_request request;

	ck_assert_ptr_nonnull(version);
	note(&times, version, TIMES_NOTED_MAX + 1); /* which is more than there is room for */
	ck_assert_uint_eq(counter_read(&trace.count), TIMES_NOTED_MAX);
	times_count(&times);
	times_count(&times);
	ck_assert_uint_eq(counter_read(&trace.count), TIMES_NOTED_MAX + 1);
	for (uint64_t position = 0; position <= TIMES_NOTED_MAX; position++)
		ck_assert(trace_read(&trace, position, &request) && is_whole(&request, position));
	ck_assert_uint_eq(histogram_count(&version->counters.times[TIME_TOTAL]), 1);
	free(version);
}
END_TEST

/* For row `index` of tests/data, in the slot of that number. */
static void push(uint32_t index, uint64_t submitted_ns, uint64_t deadline_ns)
{
	struct hearth_request_slot slot = solo_slot(index);

	slot.id = UINT64_C(7) << 32 | index;
	slot.submitted_ns = submitted_ns;
	slot.deadline_ns = deadline_ns;
	solo_fill(&solo, index, index);
	solo_push(&solo, &slot);
}

START_TEST(a_client_that_lies_about_its_time_moves_its_request_by_4_s_at_most)
{
	static const uint32_t ring_ns[] = { 0, 0, UINT32_MAX, 1000 };
	struct trace_request request;
	uint64_t now_ns;

	solo_open(&solo);
	solo.data.times.trace = &trace;
	solo.lane->pid = 4711;
	now_ns = solo.data.now_ns = clock_ns();
	push(0, 0, 0); /* unknown */
	push(1, now_ns + CLOCK_NS_PER_S, 0);
	push(2, 1, 0);
	push(3, now_ns - 1000, now_ns + 1); /* and late when its batch closes */
	ck_assert_uint_eq(solo_pass(&solo), 4);
	times_count(&solo.data.times);
	ck_assert_uint_eq(counter_read(&trace.count), 4);
	for (uint32_t index = 0; index < 4; index++) {
		ck_assert(trace_read(&trace, index, &request));
		ck_assert_uint_eq(request.id, UINT64_C(7) << 32 | index);
		ck_assert_uint_eq(request.ns[TIME_RING], ring_ns[index]);
		ck_assert_uint_eq(request.submitted_ns, now_ns - ring_ns[index]);
		ck_assert_int_eq(request.status, index == 3 ? -ETIME : 0);
		ck_assert_int_eq(request.pid, 4711);
		ck_assert_uint_eq(request.version, SOLO_VERSION);
		ck_assert_uint_eq(request.rows, 1);
		ck_assert_uint_eq(request.batch_rows, 4);
	}
	ck_assert_uint_eq(histogram_count(&solo.version->counters.times[TIME_TOTAL]), 3);
	solo_close(&solo);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trace");
	TCase *cases = tcase_create("trace");

	tcase_add_checked_fixture(cases, setup, NULL);
	tcase_add_test(cases, what_was_not_written_is_not_there);
	tcase_add_test(cases, the_newest_take_the_place_of_the_oldest);
	tcase_add_test(cases, one_that_is_being_overwritten_is_skipped);
	tcase_add_test(cases, beside_a_writer_each_is_whole_or_gone);
	tcase_add_test(cases, requests_are_traced_once_and_the_answered_ones_counted);
	tcase_add_test(cases, a_client_that_lies_about_its_time_moves_its_request_by_4_s_at_most);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/shm/test_ring.c - a slot is taken once and whole, and only the expected one */

#include <check.h>
#include <string.h>

#include "shm/ring.h"
#include "tests/suite.h"

#define SLOTS 4
#define COMPLETION_SLOTS (2 * SLOTS)
#define SEED UINT64_C(0x9e3779b97f4a7c15)

/* Both segments of a connection, without their areas. */
struct pair {
	struct hearth_lane_client client;
	struct hearth_lane_daemon daemon;
	struct hearth_request_slot requests[SLOTS];
	struct hearth_completion_slot completions[COMPLETION_SLOTS];
};

static struct hearth_request_slot request_of(uint64_t position)
{
	struct hearth_request_slot request = {
		.id = position,
		.operation = (uint32_t)position + 1,
		.flags = (uint32_t)(position >> 32) + 2,
		.request_offset = (uint32_t)position + 3,
		.request_bytes = (uint32_t)position + 4,
		.response_offset = (uint32_t)position + 5,
		.response_bytes = (uint32_t)position + 6,
		.deadline_ns = position * position,
		.submitted_ns = ~position,
		._reserved = position ^ SEED,
	};

	return request;
}

static struct hearth_completion_slot completion_of(uint64_t position)
{
	struct hearth_completion_slot completion = {
		.id = position,
		.status = (int32_t)position,
		.kind = HEARTH_FINAL,
		.numerics = (uint16_t)position,
		.flags = (uint32_t)position + 1,
		.response_bytes = (uint32_t)position + 2,
		.version = (uint32_t)position + 3,
		.substituted = (uint32_t)position + 4,
		.ring_ns = (uint32_t)position + 5,
		.queue_ns = (uint32_t)position + 6,
		.batch_ns = (uint32_t)position + 7,
		.execute_ns = (uint32_t)position + 8,
		.detail = ~position,
	};

	return completion;
}

START_TEST(what_is_pushed_is_popped_once)
{
	struct pair pair = { 0 };
	struct hearth_request_slot request = request_of(0);
	struct hearth_completion_slot completion = completion_of(0);
	struct hearth_request_slot request_got;
	struct hearth_completion_slot completion_got;

	ck_assert(!hearth_sq_pop(pair.requests, SLOTS, 0, &request_got));
	hearth_sq_push(pair.requests, SLOTS, 0, &request);
	ck_assert(hearth_sq_pop(pair.requests, SLOTS, 0, &request_got));
	ck_assert(!hearth_sq_pop(pair.requests, SLOTS, 1, &request_got));

	ck_assert(!hearth_cq_pop(pair.completions, COMPLETION_SLOTS, 0, &completion_got));
	hearth_cq_push(pair.completions, COMPLETION_SLOTS, 0, &completion);
	ck_assert(hearth_cq_pop(pair.completions, COMPLETION_SLOTS, 0, &completion_got));
	ck_assert(!hearth_cq_pop(pair.completions, COMPLETION_SLOTS, 1, &completion_got));
}
END_TEST

START_TEST(the_body_is_copied_exactly_and_the_sequence_is_the_ring_s_own)
{
	struct pair pair = { 0 };
	struct hearth_request_slot request = request_of(11);
	struct hearth_completion_slot completion = completion_of(13);
	struct hearth_request_slot request_got;
	struct hearth_completion_slot completion_got;

	request.seq = 999;
	completion.seq = 999;
	hearth_sq_push(pair.requests, SLOTS, 11, &request);
	hearth_cq_push(pair.completions, COMPLETION_SLOTS, 13, &completion);
	ck_assert(hearth_sq_pop(pair.requests, SLOTS, 11, &request_got));
	ck_assert(hearth_cq_pop(pair.completions, COMPLETION_SLOTS, 13, &completion_got));

	request.seq = 12;
	completion.seq = 14;
	ck_assert_mem_eq(&request_got, &request, sizeof(request));
	ck_assert_mem_eq(&completion_got, &completion, sizeof(completion));
	ck_assert_mem_eq(&pair.requests[11 % SLOTS], &request, sizeof(request));
	ck_assert_mem_eq(&pair.completions[13 % COMPLETION_SLOTS], &completion,
			 sizeof(completion));
}
END_TEST

START_TEST(a_push_touches_no_other_slot)
{
	struct pair pair;
	struct pair before;
	struct hearth_request_slot request = request_of(2);

	memset(&pair, 0xa5, sizeof(pair));
	memcpy(&before, &pair, sizeof(pair));
	hearth_sq_push(pair.requests, SLOTS, 2, &request);
	memcpy(&pair.requests[2], &before.requests[2], sizeof(pair.requests[2]));
	ck_assert_mem_eq(&pair, &before, sizeof(pair));
}
END_TEST

START_TEST(pop_on_empty_writes_nothing)
{
	struct pair pair = { 0 };
	struct hearth_request_slot request;
	struct hearth_request_slot untouched;

	memset(&request, 0x5a, sizeof(request));
	memset(&untouched, 0x5a, sizeof(untouched));
	ck_assert(!hearth_sq_pop(pair.requests, SLOTS, 0, &request));
	ck_assert_mem_eq(&request, &untouched, sizeof(request));
}
END_TEST

START_TEST(every_lap_takes_the_same_places_again)
{
	struct pair pair = { 0 };
	struct hearth_request_slot request;
	uint64_t position;

	for (position = 0; position < 1000 * SLOTS; position++) {
		struct hearth_request_slot wanted = request_of(position);

		hearth_sq_push(pair.requests, SLOTS, position, &wanted);
		ck_assert_uint_eq(pair.requests[position % SLOTS].seq, position + 1);
		ck_assert(hearth_sq_pop(pair.requests, SLOTS, position, &request));
		ck_assert_uint_eq(request.id, position);
		/* the last lap's occupant is not taken for the next one */
		ck_assert(!hearth_sq_pop(pair.requests, SLOTS, position + SLOTS, &request));
	}
}
END_TEST

/* _i is the number of slots. */
START_TEST(a_ring_of_one_slot_works_like_any_other)
{
	struct hearth_request_slot slots[8] = { 0 };
	struct hearth_request_slot request;
	uint64_t position;

	for (position = 0; position < 64; position++) {
		struct hearth_request_slot wanted = request_of(position);

		hearth_sq_push(slots, 1u << _i, position, &wanted);
		ck_assert(hearth_sq_pop(slots, 1u << _i, position, &request));
		ck_assert_uint_eq(request._reserved, wanted._reserved);
	}
}
END_TEST

/* A peer that differs in the upper half only is not the expected one: 2^32 slots later the ring
 * still knows its laps apart. */
START_TEST(all_64_bits_of_the_sequence_count)
{
	static const uint64_t positions[] = {
		UINT32_MAX - 1, UINT32_MAX, UINT64_C(1) << 32, (UINT64_C(1) << 32) + 1,
		UINT64_C(1) << 63, UINT64_MAX - 1,
	};
	struct pair pair = { 0 };
	struct hearth_request_slot request;
	uint32_t index;

	for (index = 0; index < sizeof(positions) / sizeof(positions[0]); index++) {
		uint64_t position = positions[index];
		struct hearth_request_slot wanted = request_of(position);

		hearth_sq_push(pair.requests, SLOTS, position, &wanted);
		ck_assert(!hearth_sq_pop(pair.requests, SLOTS, position + (UINT64_C(1) << 32),
					 &request));
		ck_assert(!hearth_sq_pop(pair.requests, SLOTS, position - (UINT64_C(1) << 32),
					 &request));
		ck_assert(hearth_sq_pop(pair.requests, SLOTS, position, &request));
		ck_assert_uint_eq(request.seq, position + 1);
	}
}
END_TEST

START_TEST(no_sequence_but_the_expected_one_is_accepted)
{
	struct pair pair = { 0 };
	struct hearth_request_slot request;
	struct hearth_completion_slot completion;
	uint64_t position = UINT64_C(0x123456789);
	uint64_t garbage = SEED;
	uint32_t bit;
	uint32_t turn;

	for (bit = 0; bit < 64; bit++) {
		pair.requests[position % SLOTS].seq = (position + 1) ^ (UINT64_C(1) << bit);
		pair.completions[position % COMPLETION_SLOTS].seq =
			(position + 1) ^ (UINT64_C(1) << bit);
		ck_assert(!hearth_sq_pop(pair.requests, SLOTS, position, &request));
		ck_assert(!hearth_cq_pop(pair.completions, COMPLETION_SLOTS, position,
					 &completion));
	}
	for (turn = 0; turn < 100000; turn++) {
		garbage ^= garbage << 13;
		garbage ^= garbage >> 7;
		garbage ^= garbage << 17;
		pair.requests[position % SLOTS].seq = garbage;
		ck_assert(hearth_sq_pop(pair.requests, SLOTS, position, &request) ==
			  (garbage == position + 1));
	}
}
END_TEST

START_TEST(consumed_is_what_the_client_gave_back)
{
	struct pair pair = { 0 };

	ck_assert_uint_eq(hearth_cq_consumed(&pair.client), 0);
	hearth_cq_consume(&pair.client, (UINT64_C(1) << 40) + 3);
	ck_assert_uint_eq(hearth_cq_consumed(&pair.client), (UINT64_C(1) << 40) + 3);
}
END_TEST

START_TEST(the_daemon_is_rung_only_while_it_dozes)
{
	struct pair pair = { 0 };
	uint32_t bell;

	ck_assert(!hearth_sq_must_ring(&pair.daemon));
	bell = hearth_sq_doze(&pair.daemon, &pair.client);
	ck_assert(hearth_sq_must_ring(&pair.daemon));
	ck_assert_uint_eq(pair.client.sq_bell, bell);
	hearth_sq_ring(&pair.client);
	ck_assert_uint_ne(pair.client.sq_bell, bell);
	hearth_sq_awake(&pair.daemon);
	ck_assert(!hearth_sq_must_ring(&pair.daemon));
}
END_TEST

START_TEST(the_client_is_rung_once_when_its_position_is_crossed)
{
	struct pair pair = { 0 };
	uint32_t bell;

	ck_assert_uint_eq(hearth_cq_must_ring(&pair.client, 0, 5), HEARTH_CQ_POLLING);
	bell = hearth_cq_doze(&pair.client, &pair.daemon, 3, HEARTH_CQ_SOCKET);
	ck_assert_uint_eq(hearth_cq_must_ring(&pair.client, 0, 2), HEARTH_CQ_POLLING);
	ck_assert_uint_eq(hearth_cq_must_ring(&pair.client, 2, 3), HEARTH_CQ_SOCKET);
	ck_assert_uint_eq(hearth_cq_must_ring(&pair.client, 0, 8), HEARTH_CQ_SOCKET);
	ck_assert_uint_eq(hearth_cq_must_ring(&pair.client, 3, 4), HEARTH_CQ_POLLING);
	hearth_cq_ring(&pair.daemon);
	ck_assert_uint_ne(pair.daemon.cq_bell, bell);
	hearth_cq_awake(&pair.client);
	ck_assert_uint_eq(hearth_cq_must_ring(&pair.client, 2, 3), HEARTH_CQ_POLLING);
}
END_TEST

START_TEST(a_bell_may_wrap)
{
	struct pair pair = { 0 };
	uint32_t bell;

	pair.client.sq_bell = UINT32_MAX;
	pair.daemon.cq_bell = UINT32_MAX;
	bell = hearth_sq_doze(&pair.daemon, &pair.client);
	hearth_sq_ring(&pair.client);
	ck_assert_uint_ne(pair.client.sq_bell, bell);
	bell = hearth_cq_doze(&pair.client, &pair.daemon, 1, HEARTH_CQ_FUTEX);
	hearth_cq_ring(&pair.daemon);
	ck_assert_uint_ne(pair.daemon.cq_bell, bell);
}
END_TEST

START_TEST(cancel_is_about_one_generation_of_one_place)
{
	uint32_t cancel[SLOTS] = { 0 };

	ck_assert(!hearth_cancel_wanted(cancel, UINT64_C(1) << 32 | 2));
	hearth_cancel_store(cancel, 2, 7);
	ck_assert(hearth_cancel_wanted(cancel, UINT64_C(7) << 32 | 2));
	ck_assert(!hearth_cancel_wanted(cancel, UINT64_C(8) << 32 | 2));
	ck_assert(!hearth_cancel_wanted(cancel, UINT64_C(7) << 32 | 3));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring");
	TCase *tcase = tcase_create("ring");

	tcase_add_test(tcase, what_is_pushed_is_popped_once);
	tcase_add_test(tcase, the_body_is_copied_exactly_and_the_sequence_is_the_ring_s_own);
	tcase_add_test(tcase, a_push_touches_no_other_slot);
	tcase_add_test(tcase, pop_on_empty_writes_nothing);
	tcase_add_test(tcase, every_lap_takes_the_same_places_again);
	tcase_add_loop_test(tcase, a_ring_of_one_slot_works_like_any_other, 0, 4);
	tcase_add_test(tcase, all_64_bits_of_the_sequence_count);
	tcase_add_test(tcase, no_sequence_but_the_expected_one_is_accepted);
	tcase_add_test(tcase, consumed_is_what_the_client_gave_back);
	tcase_add_test(tcase, the_daemon_is_rung_only_while_it_dozes);
	tcase_add_test(tcase, the_client_is_rung_once_when_its_position_is_crossed);
	tcase_add_test(tcase, a_bell_may_wrap);
	tcase_add_test(tcase, cancel_is_about_one_generation_of_one_place);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

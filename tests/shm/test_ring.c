/* SPDX-License-Identifier: MIT */
/*
 * tests/shm/test_ring.c - a slot is taken once, whole and in order, and no wake is lost
 *
 * The sleeping tests count what only a lost wake can cause: a bounded sleep
 * that ran to its end although there was work. The bound is far above any
 * delay of a loaded machine, so their result does not depend on speed.
 */

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shm/ring.h"

#define SLOTS 4
#define COMPLETION_SLOTS (2 * SLOTS)
#define CROSSINGS 5000000
#define HANDOVERS 500000 /* each way */
#define LOST_S 10 /* a sleep this long with work in the ring is a lost wake */
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

/* --- one thread ----------------------------------------------------------------------------- */

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

/* --- two threads ---------------------------------------------------------------------------- */

struct crossing {
	struct pair pair;
	uint64_t wrong; /* written by the consumer, read after it was joined */
};

static void *crossing_produce(void *argument)
{
	struct crossing *crossing = argument;
	uint64_t position;

	for (position = 0; position < CROSSINGS; position++) {
		struct hearth_completion_slot completion = completion_of(position);

		while (position - hearth_cq_consumed(&crossing->pair.client) == SLOTS)
			sched_yield();
		hearth_cq_push(crossing->pair.completions, SLOTS, position, &completion);
	}
	return NULL;
}

static void *crossing_consume(void *argument)
{
	struct crossing *crossing = argument;
	struct hearth_completion_slot completion;
	uint64_t position;

	for (position = 0; position < CROSSINGS; position++) {
		struct hearth_completion_slot wanted = completion_of(position);

		wanted.seq = position + 1;
		while (!hearth_cq_pop(crossing->pair.completions, SLOTS, position, &completion))
			sched_yield();
		crossing->wrong += memcmp(&completion, &wanted, sizeof(wanted)) != 0;
		hearth_cq_consume(&crossing->pair.client, position + 1);
	}
	return NULL;
}

START_TEST(five_million_slots_cross_a_ring_of_four_whole_and_in_order)
{
	static struct crossing crossing;
	pthread_t producer;
	pthread_t consumer;

	ck_assert_int_eq(pthread_create(&producer, NULL, crossing_produce, &crossing), 0);
	ck_assert_int_eq(pthread_create(&consumer, NULL, crossing_consume, &crossing), 0);
	pthread_join(producer, NULL);
	pthread_join(consumer, NULL);
	ck_assert_uint_eq(crossing.wrong, 0);
}
END_TEST

/* One side of the conversation below. */
struct side {
	struct pair *pair;
	uint32_t cpu_index;
	uint64_t random;
	uint64_t sleeps;
	uint64_t lost;
	uint64_t wrong;
};

static uint64_t side_random(struct side *side)
{
	side->random ^= side->random << 13;
	side->random ^= side->random >> 7;
	side->random ^= side->random << 17;
	return side->random;
}

/* Each side on a CPU of its own, where there are two: wakes draw both to one, and what the fences
 * are for happens between two. */
static void side_pin(const struct side *side)
{
	uint32_t skip = side->cpu_index;
	cpu_set_t allowed;
	cpu_set_t mine;
	size_t cpu;

	CPU_ZERO(&mine);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || skip-- > 0)
			continue;
		CPU_SET(cpu, &mine);
		(void)sched_setaffinity(0, sizeof(mine), &mine);
		return;
	}
}

/* How often to look before dozing: mostly as long as a peer's wake takes, sometimes hardly at all. */
static uint64_t side_looks(struct side *side)
{
	uint64_t looks = side_random(side);

	return looks % 32 == 0 ? looks / 32 % 64 : looks / 32 % 65536;
}

/* Mostly at once, now and then after a while: the moments of push and doze drift through each
 * other. */
static void side_dawdle(struct side *side)
{
	uint64_t turns = side_random(side) % 64;

	if (turns >= 48)
		turns *= 16;
	while (turns--)
		hearth_pause();
}

/* Sleeps while *bell == expected. True: it slept for LOST_S to the end. */
static bool side_sleep(struct side *side, const uint32_t *bell, uint32_t expected)
{
	struct timespec timeout = { .tv_sec = LOST_S };

	side->sleeps++;
	return syscall(SYS_futex, bell, FUTEX_WAIT, expected, &timeout, NULL, 0) < 0 &&
	       errno == ETIMEDOUT;
}

static void side_wake(const uint32_t *bell)
{
	syscall(SYS_futex, bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* The daemon's part: takes a request, dozing when there is none, and answers it. */
static void *daemon_side(void *argument)
{
	struct side *side = argument;
	struct pair *pair = side->pair;
	struct hearth_request_slot request;
	struct hearth_completion_slot completion;
	uint64_t position;
	uint64_t looks;

	side_pin(side);
	for (position = 0; position < HANDOVERS; position++) {
		looks = side_looks(side);
		while (!hearth_sq_pop(pair->requests, SLOTS, position, &request)) {
			bool is_over = false;
			uint32_t bell;

			if (looks > 0) {
				looks--;
				continue;
			}
			bell = hearth_sq_doze(&pair->daemon, &pair->client);
			if (!hearth_sq_pop(pair->requests, SLOTS, position, &request))
				is_over = side_sleep(side, &pair->client.sq_bell, bell);
			hearth_sq_awake(&pair->daemon);
			if (is_over &&
			    hearth_sq_pop(pair->requests, SLOTS, position, &request))
				side->lost++;
		}
		side->wrong += request.id != position;
		side_dawdle(side);
		completion = completion_of(position);
		hearth_cq_push(pair->completions, COMPLETION_SLOTS, position, &completion);
		if (hearth_cq_must_ring(&pair->client, position, position + 1) ==
		    HEARTH_CQ_FUTEX) {
			hearth_cq_ring(&pair->daemon);
			side_wake(&pair->daemon.cq_bell);
		}
	}
	return NULL;
}

/* The client's: keeps one to four requests in flight, and dozes for the oldest. */
static void *client_side(void *argument)
{
	struct side *side = argument;
	struct pair *pair = side->pair;
	struct hearth_completion_slot completion;
	uint64_t submitted = 0;
	uint64_t position;
	uint64_t looks;

	side_pin(side);
	for (position = 0; position < HANDOVERS; position++) {
		uint64_t window = 1 + side_random(side) % SLOTS;

		while (submitted < HANDOVERS && submitted - position < window) {
			struct hearth_request_slot request = request_of(submitted);

			hearth_sq_push(pair->requests, SLOTS, submitted, &request);
			submitted++;
			if (hearth_sq_must_ring(&pair->daemon)) {
				hearth_sq_ring(&pair->client);
				side_wake(&pair->client.sq_bell);
			}
		}
		looks = side_looks(side);
		while (!hearth_cq_pop(pair->completions, COMPLETION_SLOTS, position,
				      &completion)) {
			bool is_over = false;
			uint32_t bell;

			if (looks > 0) {
				looks--;
				continue;
			}
			bell = hearth_cq_doze(&pair->client, &pair->daemon, position + 1,
					      HEARTH_CQ_FUTEX);
			if (!hearth_cq_pop(pair->completions, COMPLETION_SLOTS, position,
					   &completion))
				is_over = side_sleep(side, &pair->daemon.cq_bell, bell);
			hearth_cq_awake(&pair->client);
			if (is_over && hearth_cq_pop(pair->completions, COMPLETION_SLOTS, position,
						     &completion))
				side->lost++;
		}
		hearth_cq_consume(&pair->client, position + 1);
		side->wrong += completion.id != position;
		side_dawdle(side);
	}
	return NULL;
}

START_TEST(no_wake_is_lost_in_a_million_handovers)
{
	static struct pair pair;
	struct side client = { .pair = &pair, .cpu_index = 0, .random = SEED };
	struct side daemon = { .pair = &pair, .cpu_index = 1, .random = ~SEED };
	pthread_t threads[2];

	printf("seeds %#llx %#llx\n", (unsigned long long)client.random,
	       (unsigned long long)daemon.random);
	ck_assert_int_eq(pthread_create(&threads[0], NULL, daemon_side, &daemon), 0);
	ck_assert_int_eq(pthread_create(&threads[1], NULL, client_side, &client), 0);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	printf("sleeps: daemon %llu, client %llu; lost: daemon %llu, client %llu\n",
	       (unsigned long long)daemon.sleeps, (unsigned long long)client.sleeps,
	       (unsigned long long)daemon.lost, (unsigned long long)client.lost);
	ck_assert_uint_eq(daemon.wrong + client.wrong, 0);
	ck_assert_uint_eq(daemon.lost, 0);
	ck_assert_uint_eq(client.lost, 0);
	/* else the test did not try what it is about */
	ck_assert_uint_gt(daemon.sleeps, 0);
	ck_assert_uint_gt(client.sleeps, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring");
	TCase *tcase = tcase_create("ring");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 110);
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
	tcase_add_test(tcase, five_million_slots_cross_a_ring_of_four_whole_and_in_order);
	tcase_add_test(tcase, no_wake_is_lost_in_a_million_handovers);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}

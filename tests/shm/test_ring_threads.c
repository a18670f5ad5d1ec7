/* SPDX-License-Identifier: MIT */
/*
 * tests/shm/test_ring_threads.c - slots cross whole and in order, and no wake is lost
 *
 * The sleeping test counts what only a lost wake can cause: a bounded sleep
 * that ran to its end although there was work. The bound is far above any
 * delay of a loaded machine, so the result does not depend on speed.
 */

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shm/ring.h"
#include "tests/suite.h"

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

/* How often to look before dozing: mostly as long as a wake takes, sometimes hardly at all. */
static uint64_t side_looks(struct side *side)
{
	uint64_t looks = side_random(side);

	return looks % 128 == 0 ? looks / 128 % 64 : looks / 128 % 8192;
}

/* Mostly at once, now and then after a while: the moments of push and doze drift through each
 * other. */
static void side_dawdle(struct side *side)
{
	uint64_t turns = side_random(side) % 64;

	if (turns >= 62)
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
		side->wrong += request.id != position || request.deadline_ns != ~position;
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
			struct hearth_request_slot request = {
				.id = submitted,
				.deadline_ns = ~submitted,
			};

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
		side->wrong += completion.id != position || completion.detail != ~position;
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
	Suite *suite = suite_create("ring_threads");
	TCase *tcase = tcase_create("ring_threads");

	tcase_set_timeout(tcase, 110);
	tcase_add_test(tcase, five_million_slots_cross_a_ring_of_four_whole_and_in_order);
	tcase_add_test(tcase, no_wake_is_lost_in_a_million_handovers);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/shm/model/circle.c - requests and answers while either side may be asleep
 *
 * Mirrors hearth_submit and hearth_wait against wake_cool, intake_lane and wake_clients: all ten
 * orderings of shm/ring.h at once, with plain ranges.
 */
#include "tests/shm/model/connection.h"

#ifndef REQUESTS
#define REQUESTS 1
#endif

static struct futex sq_futex; /* the daemon sleeps here */
static struct futex cq_futex; /* the client sleeps here */
static uint64_t pushed;
static uint64_t popped;
static uint64_t published;
static uint64_t consumed;
static uint64_t input;
static uint64_t output;

static bool client_wait(uint64_t position)
{
	uint32_t bell;

	if (completion_pop(position, 200 + position))
		return true;
	bell = hearth_cq_doze(&client_segment, &daemon_segment, position + 1, HEARTH_CQ_FUTEX);
	if (!completion_pop(position, 200 + position)) {
		if (futex_sleep(&cq_futex, &daemon_segment.cq_bell, bell) &&
		    futex_is_asleep(&cq_futex))
			return false;
		completion_await(position, 200 + position);
	}
	hearth_cq_awake(&client_segment);
	return true;
}

static void *client_main(void *unused)
{
	uint64_t position;

	for (position = 0; position < REQUESTS; position++) {
		input = position;
		request_push(position, 300 + position);
		pushed++;
		if (hearth_sq_must_ring(&daemon_segment)) {
			hearth_sq_ring(&client_segment);
			futex_wake(&sq_futex);
		}
		if (!client_wait(position))
			break;
		assert(output == 100 + position);
		consumed++;
		hearth_cq_consume(&client_segment, consumed);
	}
	return unused;
}

static bool daemon_wait(uint64_t position)
{
	uint32_t bell = hearth_sq_doze(&daemon_segment, &client_segment);

	if (!request_pop(position, 300 + position)) {
		if (futex_sleep(&sq_futex, &client_segment.sq_bell, bell) &&
		    futex_is_asleep(&sq_futex))
			return false;
		request_await(position, 300 + position);
	}
	hearth_sq_awake(&daemon_segment);
	return true;
}

static void *daemon_main(void *unused)
{
	uint64_t position;

	for (position = 0; position < REQUESTS; position++) {
		if (!daemon_wait(position))
			break;
		popped++;
		assert(input == position);
		output = 100 + position;
		assert(position - hearth_cq_consumed(&client_segment) == 0);
		completion_push(position, 200 + position);
		published++;
		if (hearth_cq_must_ring(&client_segment, position, position + 1) ==
		    HEARTH_CQ_FUTEX) {
			hearth_cq_ring(&daemon_segment);
			futex_wake(&cq_futex);
		}
	}
	return unused;
}

int main(void)
{
	run_both();
	assert(popped == pushed || !futex_is_asleep(&sq_futex));
	assert(consumed == published || !futex_is_asleep(&cq_futex));
	return 0;
}

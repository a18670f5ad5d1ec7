/* SPDX-License-Identifier: MIT */
/*
 * tests/shm/model/daemon_sleeps.c - no request is published to a daemon that sleeps on
 *
 * Mirrors wake_cool, lane_arm, wake_rang and hearth_submit, hearth_ring.
 */
#include "tests/shm/model/connection.h"

#define REQUESTS SLOTS /* nobody answers, so no slot is used twice */

static struct futex futex; /* on client_segment.sq_bell */
static uint64_t taken;

static void *client_main(void *unused)
{
	uint64_t position;

	for (position = 0; position < REQUESTS; position++) {
		request_push(position, 300 + position);
		if (!hearth_sq_must_ring(&daemon_segment))
			continue;
		hearth_sq_ring(&client_segment);
		futex_wake(&futex);
	}
	return unused;
}

/* Returns whether the daemon is awake. */
static bool daemon_sleep(void)
{
	uint32_t bell = hearth_sq_doze(&daemon_segment, &client_segment);

	if (!request_pop(taken, 300 + taken) &&
	    futex_sleep(&futex, &client_segment.sq_bell, bell) && futex_is_asleep(&futex))
		return false;
	hearth_sq_awake(&daemon_segment);
	return true;
}

static void *daemon_main(void *unused)
{
	int round;

	/* Each round but the last takes a request or was woken for one. */
	for (round = 0; round <= 2 * REQUESTS && taken < REQUESTS; round++) {
		if (request_pop(taken, 300 + taken))
			taken++;
		else if (!daemon_sleep())
			break;
	}
	return unused;
}

int main(void)
{
	run_both();
	assert(taken == REQUESTS || !futex_is_asleep(&futex));
	return 0;
}

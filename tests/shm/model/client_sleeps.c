/* SPDX-License-Identifier: MIT */
/*
 * tests/shm/model/client_sleeps.c - no completion is published to a client that sleeps on
 *
 * Mirrors hearth_wait (the first completion, on a futex), hearth_arm and poll (the second, on the
 * socket), and lane_complete, lane_ring_client. With BATCH the daemon looks once for both.
 */
#include "tests/shm/model/connection.h"

#define COMPLETIONS 2

static struct futex futex; /* on daemon_segment.cq_bell */
static struct bell_socket bell_socket;
static bool polls; /* the client ended in poll, with nothing to read */
static uint64_t taken;

static void client_ring(uint64_t published_before, uint64_t published)
{
	switch (hearth_cq_must_ring(&client_segment, published_before, published)) {
	case HEARTH_CQ_FUTEX:
		hearth_cq_ring(&daemon_segment);
		futex_wake(&futex);
		break;
	case HEARTH_CQ_SOCKET:
		socket_send(&bell_socket);
		break;
	default:
		break;
	}
}

static void *daemon_main(void *unused)
{
	uint64_t position;

	for (position = 0; position < COMPLETIONS; position++) {
		completion_push(position, 200 + position);
#ifndef BATCH
		client_ring(position, position + 1);
#endif
	}
#ifdef BATCH
	client_ring(0, COMPLETIONS);
#endif
	return unused;
}

static void *client_main(void *unused)
{
	uint32_t bell = hearth_cq_doze(&client_segment, &daemon_segment, 1, HEARTH_CQ_FUTEX);

	if (!completion_pop(0, 200)) {
		if (futex_sleep(&futex, &daemon_segment.cq_bell, bell) && futex_is_asleep(&futex))
			return unused;
		completion_await(0, 200);
	}
	taken = 1;
	hearth_cq_awake(&client_segment);

	(void)hearth_cq_doze(&client_segment, &daemon_segment, 2, HEARTH_CQ_SOCKET);
	if (!completion_pop(1, 201)) {
		if (!socket_is_readable(&bell_socket)) {
			polls = true;
			return unused;
		}
		completion_await(1, 201);
	}
	taken = 2;
	hearth_cq_awake(&client_segment);
	return unused;
}

int main(void)
{
	run_both();
	assert(!futex_is_asleep(&futex));
	assert(!polls || socket_is_readable(&bell_socket));
	assert(taken == COMPLETIONS || polls || !futex_is_asleep(&futex));
	return 0;
}

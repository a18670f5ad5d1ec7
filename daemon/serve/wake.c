/* SPDX-License-Identifier: MIT */
/* daemon/serve/wake.c - doze, arm, heat; and the bell of the client */
#include "serve/wake.h"

#include <linux/futex.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "serve/intake.h"
#include "serve/rows.h"
#include "shm/handshake.h"

#define RINGS_EMPTY_MAX 256
/* A handle sleeps in one hearth_wait or in one wait of its own ring. More than one is woken, since
 * a waiter of a ring just closed can swallow a wake; not all, since a client can queue any number
 * of them and each costs the data loop time. */
#define WAITERS_MAX 8

void wake_touch(struct data *data, struct lane *lane)
{
	if (lane->touched)
		return;
	lane->touched = true;
	data->touched[data->touched_count++] = lane;
}

/* Wakes the lane's client when it sleeps and has got what it waits for. */
static void lane_ring_client(struct data *data, struct lane *lane)
{
	struct hearth_message bell = {
		.magic = HEARTH_MAGIC,
		.type = HEARTH_MESSAGE_BELL,
		.bytes = sizeof(bell),
	};
	uint32_t mode = hearth_cq_must_ring(lane->client, lane->cq_rung, lane->cq_position);

	lane->cq_rung = lane->cq_position;
	if (mode == HEARTH_CQ_POLLING)
		return;
	counter_add(&lane->counters.wakes, 1);
	counter_add(&data->counters->wakes, 1);
	if (mode == HEARTH_CQ_FUTEX) {
		hearth_cq_ring(lane->daemon);
		/* With the call that lets this thread sleep, where another CPU runs the client
		 * meanwhile; on one CPU it would wait for all that the call does. */
		if (!data->options.has_one_cpu &&
		    waiter_wake_futex(&data->waiter, &lane->daemon->cq_bell, WAITERS_MAX))
			return;
		syscall(SYS_futex, &lane->daemon->cq_bell, FUTEX_WAKE, WAITERS_MAX, NULL, NULL, 0);
	} else {
		/* A full socket is a wake already pending. */
		(void)!send(lane->socket_fd, &bell, sizeof(bell), MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	counter_add(&data->counters->calls, 1);
}

void wake_clients(struct data *data)
{
	uint32_t index;

	for (index = 0; index < data->touched_count; index++) {
		data->touched[index]->touched = false;
		if (!data->touched[index]->is_closing)
			lane_ring_client(data, data->touched[index]);
	}
	data->touched_count = 0;
	/* Other batches run before the end of the pass. */
	if (data->forming)
		wake_submit(data);
}

void wake_submit(struct data *data)
{
	if (!waiter_has_entries(&data->waiter))
		return;
	counter_add(&data->counters->submits, 1);
	waiter_submit(&data->waiter);
}

void wake_heat(struct data *data, struct lane *lane)
{
	if (!lane->is_cold)
		return;
	lane->is_cold = false;
	lane->active_ns = data->now_ns;
	hearth_sq_awake(lane->daemon);
	lane->index = data->hot_count;
	data->hot[data->hot_count++] = lane;
}

void wake_leave_hot(struct data *data, struct lane *lane)
{
	struct lane *last = data->hot[--data->hot_count];

	data->hot[lane->index] = last;
	last->index = lane->index;
	lane->is_cold = true;
}

/* Where there is no room, the next recheck finds what its client rings for. */
static void lane_arm(struct data *data, struct lane *lane)
{
	/* Over the socket, the control thread hears the bell and passes it on: two
	 * readers of one socket would take each other's bells away. */
	if (data->options.bell == DATA_BELL_FUTEX)
		lane->is_armed = waiter_watch_futex(&data->waiter, &lane->client->sq_bell,
						    lane->bell, lane);
}

bool wake_cool(struct data *data, struct lane *lane)
{
	intake_judge(lane);
	lane->bell = hearth_sq_doze(lane->daemon, lane->client);
	if (lane->is_lying || intake_has(lane)) {
		hearth_sq_awake(lane->daemon);
		return false;
	}
	wake_leave_hot(data, lane);
	if (!lane->is_armed)
		lane_arm(data, lane);
	return true;
}

void wake_recheck(struct data *data)
{
	uint32_t index;

	for (index = 0; index < data->lane_count; index++) {
		struct lane *lane = data->lanes[index];

		if (!lane->is_cold || lane->is_lying)
			continue;
		/* A client that has its last answer does not ring to say so. */
		if (lane->outstanding > 0)
			intake_judge(lane);
		if (lane->is_lying || intake_has(lane))
			wake_heat(data, lane);
	}
}

void wake_rang(struct data *data, struct lane *lane)
{
	lane->is_armed = false;
	if (lane->is_closing) {
		rows_leave(data, lane);
		return;
	}
	if (lane->is_lying)
		return;
	counter_add(&data->counters->rings, 1);
	if (intake_has(lane)) {
		counter_add(&lane->counters.rings, 1);
	} else {
		counter_add(&lane->counters.rings_empty, 1);
		if (!lane->is_rude &&
		    counter_read(&lane->counters.rings_empty) >
			    RINGS_EMPTY_MAX + counter_read(&lane->counters.rings)) {
			lane->is_rude = true;
			data->rude_count++;
		}
	}
	wake_heat(data, lane);
}

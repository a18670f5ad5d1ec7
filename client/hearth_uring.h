/* SPDX-License-Identifier: MIT */
/*
 * hearth_uring.h - wait for answers in the caller's own io_uring
 *
 *     hearth_uring_init(&uring, hearth, ring, user_data)
 *     loop:
 *             while (hearth_peek(hearth, &completion) == 0)
 *                     ...
 *             hearth_uring_arm(&uring)          before every sleep; 1: peek again, do not sleep
 *             io_uring_submit_and_wait(ring, 1)
 *             hearth_uring_complete(&uring)     for each CQE with user_data, whatever its result
 *
 * Where the kernel waits on futexes in an io_uring (6.7 and later) the daemon wakes the ring
 * without touching the socket, and a poll of the socket stays in the ring to notice the daemon's
 * death. Elsewhere the ring polls the socket for both. Either way a program does the same.
 *
 * Owns:     nothing; `hearth` and `ring` are the caller's and outlive the struct's use
 * Threads:  those of the handle and of the ring: one at a time
 * Errors:   -errno; -EBUSY: the submission queue is full, submit and try again;
 *           -ENOTCONN: the daemon is gone and everything was reported
 * Needs:    liburing 2.2 or later
 */
#ifndef HEARTH_CLIENT_HEARTH_URING_H
#define HEARTH_CLIENT_HEARTH_URING_H

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "hearth.h"

#define HEARTH_URING_OP_FUTEX_WAIT 51
#define HEARTH_URING_FUTEX_U32 2 /* FUTEX2_SIZE_U32, shared between processes */
#define HEARTH_URING_FUTEX_ANY UINT64_C(0xffffffff)
#define HEARTH_URING_POLL_DEATH 0x2000u /* POLLRDHUP; POLLHUP and POLLERR always count */

struct hearth_uring {
	struct hearth *hearth;
	struct io_uring *ring;
	uint64_t user_data; /* of every CQE that these functions cause */
	bool has_futex;	    /* the kernel waits on futexes; clear it to poll the socket */
	bool is_waiting;    /* a wait for answers is in the ring */
	bool is_watching;   /* a poll for the daemon's death is in the ring */
};

/* Asks the kernel once which way it can wait. */
static inline int hearth_uring_init(struct hearth_uring *uring, struct hearth *hearth,
				    struct io_uring *ring, uint64_t user_data)
{
	struct io_uring_probe *probe;

	probe = io_uring_get_probe_ring(ring);
	memset(uring, 0, sizeof(*uring));
	uring->hearth = hearth;
	uring->ring = ring;
	uring->user_data = user_data;
	uring->has_futex = probe && io_uring_opcode_supported(probe, HEARTH_URING_OP_FUTEX_WAIT);
	if (probe)
		io_uring_free_probe(probe);
	return 0;
}

static inline int hearth_uring_poll(struct hearth_uring *uring, unsigned events)
{
	struct io_uring_sqe *sqe;

	sqe = io_uring_get_sqe(uring->ring);
	if (!sqe)
		return -EBUSY;
	io_uring_prep_poll_add(sqe, hearth_fd(uring->hearth), events);
	sqe->user_data = uring->user_data;
	return 0;
}

/* 0: the wait is in the ring or its submission queue: submit and sleep. 1: something is there
 * already: peek. A wait that is still in the ring from an earlier call serves again. */
static inline int hearth_uring_arm(struct hearth_uring *uring)
{
	struct io_uring_sqe *sqe;
	const uint32_t *word = NULL;
	uint32_t expected = 0;
	int r;

	if (!uring->has_futex) {
		r = hearth_arm(uring->hearth);
		if (r != 0 || uring->is_waiting)
			return r;
		r = hearth_uring_poll(uring, POLLIN | HEARTH_URING_POLL_DEATH);
		uring->is_waiting = r == 0;
		return r;
	}
	if (!uring->is_watching) {
		r = hearth_uring_poll(uring, HEARTH_URING_POLL_DEATH);
		if (r < 0)
			return r;
		uring->is_watching = true;
	}
	r = hearth_arm_futex(uring->hearth, &word, &expected);
	if (r != 0 || uring->is_waiting)
		return r; /* the one in the ring sleeps on this value, or has its CQE already */
	sqe = io_uring_get_sqe(uring->ring);
	if (!sqe)
		return -EBUSY;
	/* By hand: liburing before 2.5 has no helper for it. */
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = HEARTH_URING_OP_FUTEX_WAIT;
	sqe->fd = HEARTH_URING_FUTEX_U32;
	sqe->addr = (uint64_t)(uintptr_t)word;
	sqe->off = expected;
	sqe->addr3 = HEARTH_URING_FUTEX_ANY;
	sqe->user_data = uring->user_data;
	uring->is_waiting = true;
	return 0;
}

/* A CQE with user_data was taken from the ring. */
static inline void hearth_uring_complete(struct hearth_uring *uring)
{
	uring->is_waiting = false;
}

/* Takes every wait out of the ring; call it before hearth_close when the ring lives on. Each wait,
 * and the cancellation itself, still completes with user_data. */
static inline int hearth_uring_disarm(struct hearth_uring *uring)
{
	struct io_uring_sqe *sqe;

	sqe = io_uring_get_sqe(uring->ring);
	if (!sqe)
		return -EBUSY;
	io_uring_prep_cancel64(sqe, uring->user_data, (int)IORING_ASYNC_CANCEL_ALL);
	sqe->user_data = uring->user_data;
	uring->is_watching = false;
	return 0;
}

#endif

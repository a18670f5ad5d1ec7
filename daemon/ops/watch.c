/* SPDX-License-Identifier: MIT */
/* daemon/ops/watch.c - single-shot polls, armed again by whoever handled them */
#include "ops/watch.h"

struct io_uring_sqe *watch_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe) {
		io_uring_submit(ring);
		sqe = io_uring_get_sqe(ring);
	}
	return sqe;
}

void watch_arm(struct io_uring *ring, struct watch *watch, unsigned int events)
{
	struct io_uring_sqe *sqe;

	if (watch->is_armed || watch->fd < 0)
		return;
	sqe = watch_sqe(ring);
	if (!sqe)
		return; /* the next tick tries again, or the loop gives up */
	io_uring_prep_poll_add(sqe, watch->fd, events);
	io_uring_sqe_set_data(sqe, watch);
	watch->is_armed = true;
}

void watch_disarm(struct io_uring *ring, struct watch *watch)
{
	struct io_uring_sqe *sqe;

	if (!watch->is_armed)
		return;
	sqe = watch_sqe(ring);
	if (!sqe)
		return;
	io_uring_prep_cancel(sqe, watch, 0);
	io_uring_sqe_set_data64(sqe, 0);
}

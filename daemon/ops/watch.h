/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/watch.h - one descriptor that the control ring polls
 *
 * Owns:     nothing; a watch's address is its user data, so it must stay where
 *           it is while it is armed
 * Threads:  the control thread
 */
#ifndef HEARTH_OPS_WATCH_H
#define HEARTH_OPS_WATCH_H

#include <liburing.h>
#include <stdbool.h>

struct peer;

enum watch_kind {
	WATCH_LISTENER_INFER,
	WATCH_LISTENER_ADMIN,
	WATCH_SIGNAL,
	WATCH_DATA,
	WATCH_LOADER,
	WATCH_TICK,
	WATCH_PEER_SOCKET,
	WATCH_PEER_DEATH,
};

struct watch {
	enum watch_kind kind;
	bool is_armed;
	int fd; /* -1: never armed */
	struct peer *peer;
};

/* Polls once; nothing happens when it is armed already. */
void watch_arm(struct io_uring *ring, struct watch *watch, unsigned int events);
/* Its end comes as a completion like any other. */
void watch_disarm(struct io_uring *ring, struct watch *watch);

struct io_uring_sqe *watch_sqe(struct io_uring *ring);

#endif

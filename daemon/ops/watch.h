/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/watch.h - one descriptor that the control loop watches
 *
 * Owns:     nothing; a watch's address is its name, so it must stay where it is
 *           while it is armed
 * Threads:  the control thread
 */
#ifndef HEARTH_OPS_WATCH_H
#define HEARTH_OPS_WATCH_H

#include <stdbool.h>

#include "base/waiter.h"

struct peer;

enum watch_kind {
	WATCH_LISTENER_INFER,
	WATCH_LISTENER_ADMIN,
	WATCH_SIGNAL,
	WATCH_DATA,
	WATCH_LOADER,
	WATCH_METRICS,
	WATCH_PEER_SOCKET,
	WATCH_PEER_DEATH,
};

struct watch {
	enum watch_kind kind;
	bool is_armed;
	int fd; /* -1: never armed */
	struct peer *peer;
};

/* Once; nothing happens when it is armed already. Where there is no room the next tick tries
 * again, or the loop gives up. */
static inline void watch_arm(struct waiter *waiter, struct watch *watch, unsigned int events)
{
	if (!watch->is_armed && watch->fd >= 0)
		watch->is_armed = waiter_watch(waiter, watch->fd, events, watch);
}

/* Its end comes as an event like any other. */
static inline void watch_disarm(struct waiter *waiter, const struct watch *watch)
{
	if (watch->is_armed)
		waiter_cancel(waiter, watch);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/waiter.h - the one place where a loop waits: for descriptors, futexes and the time
 *
 * There are two ways to wait, and which one is taken is decided at start:
 *
 *     waiter_uring  an io_uring: one system call submits and waits; futexes from Linux 6.7 on
 *     waiter_poll   ppoll(2), for places where io_uring is forbidden: the same for descriptors,
 *                   and each wait costs time for every descriptor that is watched; no futexes
 *
 * A watch is named by its user's pointer, which is not NULL, and ends with one
 * event: what it watched for has come, it was cancelled, or it failed. Who wants
 * to know more watches again.
 *
 * A loop with work to do asks waiter_has_news and stays out of here otherwise:
 * that costs no system call and no call through the table.
 *
 * Owns:     the ring, or the table of what is watched
 * Threads:  the one that opened it
 * Errors:   waiter_open and waiter_uring_probe -errno with a sentence. What has
 *           no room is false: the loop, which waits with a bound, tries again.
 *           waiter_wait -errno without a sentence, when nobody can wait now
 */
#ifndef HEARTH_BASE_WAITER_H
#define HEARTH_BASE_WAITER_H

#include <liburing.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct waiter;

struct waiter_event {
	void *user;
	int result; /* the events of poll(2) that came, 0 from a futex, or -errno: -ECANCELED */
};

struct waiter_way {
	const char *name;
	int (*open)(struct waiter *waiter, uint32_t watches_max, bool has_futexes);
	void (*close)(struct waiter *waiter);
	bool (*poll)(struct waiter *waiter, int fd, unsigned int events, void *user);
	bool (*futex)(struct waiter *waiter, const uint32_t *word, uint32_t value, void *user);
	bool (*wake)(struct waiter *waiter, const uint32_t *word, uint32_t sleepers_max);
	void (*cancel)(struct waiter *waiter, const void *user);
	void (*submit)(struct waiter *waiter);
	int (*wait)(struct waiter *waiter, uint64_t timeout_ns);
	bool (*take)(struct waiter *waiter, struct waiter_event *ret_event);
};

extern const struct waiter_way waiter_uring;
extern const struct waiter_way waiter_poll;

struct waiter {
	const struct waiter_way *way; /* NULL: not open */

	/* waiter_uring */
	struct io_uring ring;
	bool has_futexes;

	/* waiter_poll */
	struct pollfd *polls; /* revents, or fd -1 when it was cancelled: its event waits */
	void **users;         /* of each */
	uint32_t polls_max;
	uint32_t poll_count;
	uint32_t ready_count; /* events that wait */
	uint32_t next;        /* where the next one is looked for */
};

/* May this process have an io_uring, with everything that waiter_uring does with it? */
must_check int waiter_uring_probe(bool *ret_has_futexes);

/* At most `watches_max` at once; of futexes only with `has_futexes`. */
static inline must_check int waiter_open(struct waiter *waiter, const struct waiter_way *way,
					 uint32_t watches_max, bool has_futexes)
{
	int r = way->open(waiter, watches_max, has_futexes);

	if (r == 0)
		waiter->way = way;
	return r;
}

/* Takes one that was not opened, too. What is watched ends without an event. */
static inline void waiter_close(struct waiter *waiter)
{
	if (waiter->way)
		waiter->way->close(waiter);
	waiter->way = NULL;
}

/* Watches a descriptor for these events of poll(2); POLLERR and POLLHUP come in any case. It stays
 * open until its event. */
static inline must_check bool waiter_watch(struct waiter *waiter, int fd, unsigned int events,
					   void *user)
{
	return waiter->way->poll(waiter, fd, events, user);
}

/* Watches a word that is shared with another process, as long as it has this value; waiter_uring
 * alone. It stays mapped until its event. */
static inline must_check bool waiter_watch_futex(struct waiter *waiter, const uint32_t *word,
						 uint32_t value, void *user)
{
	return waiter->way->futex(waiter, word, value, user);
}

/* Wakes at most so many of those that sleep on a word that is shared with another process, with the
 * next waiter_submit or waiter_wait; there is no event. False: the caller has to, by itself. */
static inline must_check bool waiter_wake_futex(struct waiter *waiter, const uint32_t *word,
						uint32_t sleepers_max)
{
	return waiter->way->wake(waiter, word, sleepers_max);
}

/* Its event is -ECANCELED, unless another one was under way. */
static inline void waiter_cancel(struct waiter *waiter, const void *user)
{
	waiter->way->cancel(waiter, user);
}

/* Is there something to submit? */
static inline bool waiter_has_entries(const struct waiter *waiter)
{
	return waiter->way == &waiter_uring && io_uring_sq_ready(&waiter->ring);
}

/* Is there something to submit or to take? */
static inline bool waiter_has_news(const struct waiter *waiter)
{
	const struct io_uring *ring = &waiter->ring;

	if (waiter->way != &waiter_uring)
		return waiter->ready_count > 0;
	return io_uring_sq_ready(ring) || io_uring_cq_ready(ring) ||
	       IO_URING_READ_ONCE(*ring->sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/* Is there something to take? What is to be submitted can wait for waiter_wait. */
static inline bool waiter_has_events(const struct waiter *waiter)
{
	const struct io_uring *ring = &waiter->ring;

	if (waiter->way != &waiter_uring)
		return waiter->ready_count > 0;
	return io_uring_cq_ready(ring) ||
	       IO_URING_READ_ONCE(*ring->sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/* Watches begin, and cancelled ones end, here or with waiter_wait. */
static inline void waiter_submit(struct waiter *waiter)
{
	waiter->way->submit(waiter);
}

/* Returns when there is an event, at the latest after the time, and for a signal. */
static inline must_check int waiter_wait(struct waiter *waiter, uint64_t timeout_ns)
{
	return waiter->way->wait(waiter, timeout_ns);
}

/* The next event, in no order. False: there is none now. */
static inline bool waiter_take(struct waiter *waiter, struct waiter_event *ret_event)
{
	return waiter->way->take(waiter, ret_event);
}

#endif

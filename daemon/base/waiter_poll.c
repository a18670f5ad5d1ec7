/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/waiter_poll.c - ppoll(2) over a table: one entry a watch, gone with its event
 *
 * The kernel looks at every entry at every wait, for 50 ns each (an EPYC): with
 * a thousand clients, whose sockets and pidfds are watched, for 0.1 ms.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "base/waiter.h"

#define NS_PER_S 1000000000

static void poll_close(struct waiter *waiter)
{
	free(waiter->users);
	free(waiter->polls);
	waiter->users = NULL;
	waiter->polls = NULL;
}

static int poll_open(struct waiter *waiter, uint32_t watches_max, bool has_futexes)
{
	assert(!has_futexes);
	waiter->polls = calloc(watches_max, sizeof(*waiter->polls));
	waiter->users = calloc(watches_max, sizeof(*waiter->users));
	if (!waiter->polls || !waiter->users) {
		poll_close(waiter);
		return err_raise(-ENOMEM, "no memory for %u descriptors to poll", watches_max);
	}
	waiter->polls_max = watches_max;
	waiter->poll_count = waiter->ready_count = waiter->next = 0;
	return 0;
}

static bool poll_add(struct waiter *waiter, int fd, unsigned int events, void *user)
{
	assert(fd >= 0);
	if (waiter->poll_count == waiter->polls_max)
		return false;
	waiter->polls[waiter->poll_count] = (struct pollfd){ .fd = fd, .events = (short)events };
	waiter->users[waiter->poll_count] = user;
	waiter->poll_count++;
	return true;
}

static bool poll_wake(struct waiter *waiter, const uint32_t *word, uint32_t sleepers_max)
{
	(void)waiter;
	(void)word;
	(void)sleepers_max;
	return false;
}

static bool is_ready(const struct pollfd *entry)
{
	return entry->fd < 0 || entry->revents;
}

static void poll_cancel(struct waiter *waiter, const void *user)
{
	uint32_t index;

	for (index = 0; index < waiter->poll_count; index++)
		if (waiter->users[index] == user)
			break;
	if (index == waiter->poll_count || is_ready(waiter->polls + index))
		return;
	waiter->polls[index].fd = -1;
	waiter->ready_count++;
}

static void poll_submit(struct waiter *waiter)
{
	(void)waiter;
}

static int poll_wait(struct waiter *waiter, uint64_t timeout_ns)
{
	const struct timespec timeout = {
		.tv_sec = (time_t)(timeout_ns / NS_PER_S),
		.tv_nsec = (long)(timeout_ns % NS_PER_S),
	};
	int r;

	if (waiter->ready_count > 0)
		return 0;
	r = ppoll(waiter->polls, waiter->poll_count, &timeout, NULL);
	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	waiter->ready_count = (uint32_t)r;
	return 0;
}

/* A search goes on where the last one ended, so that all have their turn. */
static bool poll_take(struct waiter *waiter, struct waiter_event *ret_event)
{
	struct pollfd entry;

	if (waiter->ready_count == 0)
		return false;
	for (;; waiter->next++) {
		if (waiter->next >= waiter->poll_count)
			waiter->next = 0;
		entry = waiter->polls[waiter->next];
		if (is_ready(&entry))
			break;
	}
	ret_event->user = waiter->users[waiter->next];
	ret_event->result = entry.fd < 0 ? -ECANCELED
			    : entry.revents & POLLNVAL ? -EBADF : entry.revents;
	waiter->poll_count--;
	waiter->polls[waiter->next] = waiter->polls[waiter->poll_count];
	waiter->users[waiter->next] = waiter->users[waiter->poll_count];
	waiter->ready_count--;
	return true;
}

const struct waiter_way waiter_poll = {
	.name = "poll",
	.open = poll_open,
	.close = poll_close,
	.poll = poll_add,
	.wake = poll_wake,
	.cancel = poll_cancel,
	.submit = poll_submit,
	.wait = poll_wait,
	.take = poll_take,
};

/* SPDX-License-Identifier: MIT */
/* daemon/base/wake_cost.c - two threads that wake each other through eventfds */
#include "base/wake_cost.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

#define ROUNDS 33
#define PAUSE_US 100 /* long enough to be asleep */
#define PATIENCE_MS 100

struct wakers {
	int there;
	int back;
};

static void *answer(void *argument)
{
	const struct wakers *wakers = argument;
	uint64_t count;
	uint32_t round;

	for (round = 0; round < ROUNDS; round++) {
		struct pollfd question = { .fd = wakers->there, .events = POLLIN };

		/* Where one could not be put it does not wait for ever. */
		if (poll(&question, 1, PATIENCE_MS) != 1 ||
		    read(wakers->there, &count, sizeof(count)) != sizeof(count))
			break;
		usleep(PAUSE_US);
		count = clock_ns();
		if (write(wakers->back, &count, sizeof(count)) != sizeof(count))
			break;
	}
	return NULL;
}

static int order(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left;
	uint64_t b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

/* The count that comes through the eventfd is the time at which it was written. */
static uint64_t measure(const struct wakers *wakers)
{
	uint64_t costs_ns[ROUNDS];
	uint64_t sent_ns;
	uint64_t one = 1;
	uint32_t round;

	for (round = 0; round < ROUNDS; round++) {
		struct pollfd answered = { .fd = wakers->back, .events = POLLIN };

		if (write(wakers->there, &one, sizeof(one)) != sizeof(one) ||
		    poll(&answered, 1, PATIENCE_MS) != 1 ||
		    read(wakers->back, &sent_ns, sizeof(sent_ns)) != sizeof(sent_ns))
			return 0;
		costs_ns[round] = clock_ns() - sent_ns;
	}
	qsort(costs_ns, ROUNDS, sizeof(costs_ns[0]), order);
	return costs_ns[ROUNDS / 2];
}

uint64_t wake_cost_ns(void)
{
	struct wakers wakers = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
	pthread_t thread;
	uint64_t cost_ns = 0;

	if (wakers.there >= 0 && wakers.back >= 0 &&
	    pthread_create(&thread, NULL, answer, &wakers) == 0) {
		cost_ns = measure(&wakers);
		pthread_join(thread, NULL);
	}
	if (wakers.there >= 0)
		close(wakers.there);
	if (wakers.back >= 0)
		close(wakers.back);
	return cost_ns;
}

/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/wake_cost.c - two threads that wake each other through eventfds, each on a CPU of its own
 *
 * Left to itself a scheduler puts the two on one CPU or on two, and a wake across CPUs costs several
 * times as much as one that is a switch.
 */
#include "base/wake_cost.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/topology.h"

#define ROUNDS 25
#define PAUSE_US 100 /* long enough to be asleep */
#define PATIENCE_MS 100

struct wakers {
	int there;
	int back;
	uint64_t cost_ns; /* the median; 0: unknown */
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
static void *ask(void *argument)
{
	struct wakers *wakers = argument;
	uint64_t costs_ns[ROUNDS];
	uint64_t sent_ns;
	uint64_t one = 1;
	uint32_t round;

	for (round = 0; round < ROUNDS; round++) {
		struct pollfd answered = { .fd = wakers->back, .events = POLLIN };

		if (write(wakers->there, &one, sizeof(one)) != sizeof(one) ||
		    poll(&answered, 1, PATIENCE_MS) != 1 ||
		    read(wakers->back, &sent_ns, sizeof(sent_ns)) != sizeof(sent_ns))
			return NULL;
		costs_ns[round] = clock_ns() - sent_ns;
	}
	qsort(costs_ns, ROUNDS, sizeof(costs_ns[0]), order);
	wakers->cost_ns = costs_ns[ROUNDS / 2];
	return NULL;
}

/* The last CPU of the list, which is taken from it; with a single one, or none, any. */
static bool thread_start(pthread_t *thread, void *(*run)(void *), struct wakers *wakers,
			 cpu_set_t *cpus)
{
	pthread_attr_t attributes;
	cpu_set_t one;
	int cpu = CPU_SETSIZE - 1;
	int r;

	if (pthread_attr_init(&attributes) != 0)
		return false;
	while (cpu > 0 && !CPU_ISSET((size_t)cpu, cpus))
		cpu--;
	CPU_ZERO(&one);
	CPU_SET((size_t)cpu, &one);
	r = CPU_COUNT(cpus) > 0
		    ? pthread_attr_setaffinity_np(&attributes, sizeof(one), &one) : 0;
	CPU_CLR((size_t)cpu, cpus);
	if (r == 0)
		r = pthread_create(thread, &attributes, run, wakers);
	pthread_attr_destroy(&attributes);
	return r == 0;
}

uint64_t wake_cost_ns(int node)
{
	struct wakers wakers = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC), 0 };
	pthread_t threads[2];
	cpu_set_t cpus;

	if (topology_cpus(node, &cpus) < 2)
		CPU_ZERO(&cpus);
	if (wakers.there >= 0 && wakers.back >= 0 &&
	    thread_start(&threads[0], answer, &wakers, &cpus)) {
		if (thread_start(&threads[1], ask, &wakers, &cpus))
			pthread_join(threads[1], NULL);
		pthread_join(threads[0], NULL);
	}
	if (wakers.there >= 0)
		close(wakers.there);
	if (wakers.back >= 0)
		close(wakers.back);
	return wakers.cost_ns;
}

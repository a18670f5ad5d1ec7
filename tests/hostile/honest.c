/* SPDX-License-Identifier: MIT */
/* tests/hostile/honest.c - honest programs with the threads, processes and load of the vandals */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/hearth.h"
#include "tests/hostile/vandals.h"
#include "tests/system/crowd.h"
#include "tests/system/shoppers.h"

struct visitor {
	struct hearth *hearth;
	const struct hearth_model_info *model;
	uint32_t in_flight;
	uint32_t row;
};

/* False: refused for now, or told to stop. */
static bool visitor_open(struct visitor *visitor, const struct vandal_plan *plan, int64_t spin_ns)
{
	struct hearth_options options = {
		.size = sizeof(options),
		.slots = VANDAL_SLOTS,
		.request_area_bytes = VANDAL_AREA_BYTES,
		.response_area_bytes = VANDAL_AREA_BYTES,
		.spin_ns = spin_ns,
	};
	int r;

	memset(visitor, 0, sizeof(*visitor));
	r = hearth_open(plan->socket, &options, &visitor->hearth);
	must(r == 0 || r == -EDQUOT || r == -EBUSY || r == -EAGAIN, "hearth_open: %s",
	     hearth_strerror(r));
	if (r < 0)
		return false;
	r = hearth_model(visitor->hearth, "shoppers", 0, &visitor->model);
	must(r == 0, "hearth_model: %s", hearth_strerror(r));
	return true;
}

static void visitor_ask(struct visitor *visitor)
{
	struct hearth_request *request;
	int r;

	r = hearth_acquire(visitor->hearth, visitor->model, VANDAL_ROWS, &request);
	must(r == 0, "hearth_acquire: %s", hearth_strerror(r));
	shoppers_fill(request, visitor->model, visitor->row, VANDAL_ROWS);
	visitor->row = (visitor->row + VANDAL_ROWS) % SHOPPERS_ROWS;
	r = hearth_submit(visitor->hearth, request);
	must(r == 0, "hearth_submit: %s", hearth_strerror(r));
	visitor->in_flight++;
}

static void visitor_take(struct visitor *visitor)
{
	const struct hearth_completion *completion;
	int r;

	r = hearth_wait(visitor->hearth, CROWD_PATIENCE_NS, &completion);
	must(r == 0 && completion->status == 0, "hearth_wait: %s", hearth_strerror(r));
	hearth_release(visitor->hearth, completion->id);
	visitor->in_flight--;
}

static void visitor_leave(struct visitor *visitor)
{
	while (visitor->in_flight > 0)
		visitor_take(visitor);
	hearth_close(visitor->hearth);
}

void honest_asks(const struct vandal_plan *plan)
{
	struct visitor visitor;

	/* It looks for its answers as long as it takes: a vandal never sleeps either. */
	if (!visitor_open(&visitor, plan, CROWD_PATIENCE_NS))
		return;
	while (vandal_act(plan)) {
		visitor_ask(&visitor);
		if (visitor.in_flight == VANDAL_SLOTS)
			visitor_take(&visitor);
	}
	visitor_leave(&visitor);
}

static void *asks_in_thread(void *plan)
{
	honest_asks(plan);
	return NULL;
}

void honest_asks_in_two_threads(const struct vandal_plan *plan)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, asks_in_thread, (void *)(uintptr_t)plan) == 0,
	     "no thread");
	honest_asks(plan);
	pthread_join(thread, NULL);
}

struct sleeper {
	const struct vandal_plan *plan;
	uint32_t word;
};

static void *sleep_on_word(void *argument)
{
	struct sleeper *sleeper = argument;
	struct timespec timeout = { .tv_nsec = 250000000 };

	while (!crowd_read(sleeper->plan->stop))
		syscall(SYS_futex, &sleeper->word, FUTEX_WAIT, 0, &timeout, NULL, 0);
	return NULL;
}

void honest_sleeps_among_sleepers(const struct vandal_plan *plan)
{
	struct sleeper sleeper = { plan, 0 };
	pthread_t threads[VANDAL_WAITERS];
	pthread_attr_t attributes;
	struct visitor visitor;
	uint32_t index;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 65536);
	for (index = 0; index < VANDAL_WAITERS; index++)
		must(pthread_create(threads + index, &attributes, sleep_on_word, &sleeper) == 0,
		     "no thread %u", index);
	if (visitor_open(&visitor, plan, -1)) {
		while (vandal_act(plan)) {
			visitor_ask(&visitor);
			visitor_take(&visitor);
		}
		visitor_leave(&visitor);
	}
	for (index = 0; index < VANDAL_WAITERS; index++)
		pthread_join(threads[index], NULL);
	pthread_attr_destroy(&attributes);
}

static void visit(const struct vandal_plan *plan)
{
	struct visitor visitor;
	uint32_t turn;

	if (!visitor_open(&visitor, plan, 0))
		return;
	for (turn = 0; turn < VANDAL_SLOTS; turn++)
		visitor_ask(&visitor);
	visitor_leave(&visitor);
}

void honest_comes_and_goes(const struct vandal_plan *plan)
{
	while (vandal_act(plan)) {
		visit(plan);
		crowd_pause_ns(VANDAL_PAUSE_NS);
	}
}

static void visit_in_process(void *plan)
{
	visit(plan);
}

void honest_comes_in_pairs(const struct vandal_plan *plan)
{
	while (vandal_act(plan)) {
		pid_t pid = crowd_start(visit_in_process, (void *)(uintptr_t)plan);

		visit(plan);
		crowd_finish(pid);
	}
}

static void ask_and_stand(void *argument)
{
	struct visitor visitor;

	if (!visitor_open(&visitor, argument, -1))
		return;
	for (visitor.in_flight = 0; visitor.in_flight < VANDAL_SLOTS;)
		visitor_ask(&visitor);
	crowd_pause_ns(VANDAL_STANDS_NS);
	visitor_leave(&visitor);
}

void honest_stands_still(const struct vandal_plan *plan)
{
	while (vandal_act(plan))
		crowd_finish(crowd_start(ask_and_stand, (void *)(uintptr_t)plan));
}

void honest_describes(const struct vandal_plan *plan)
{
	struct visitor visitor;

	if (!visitor_open(&visitor, plan, 0))
		return;
	while (vandal_act(plan))
		must(hearth_model(visitor.hearth, "shoppers", 0, &visitor.model) == 0, "no model");
	visitor_leave(&visitor);
}

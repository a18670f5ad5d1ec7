/* SPDX-License-Identifier: MIT */
/* daemon/serve/data.c - the data loop: rings, batches, sleep, start and stop */
#include "serve/data.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/topology.h"
#include "memory/resident.h"
#include "serve/batcher.h"
#include "serve/hold.h"
#include "serve/intake.h"
#include "serve/rehearsal.h"
#include "serve/rows.h"
#include "serve/scheduler.h"
#include "serve/stream.h"
#include "serve/wake.h"

/* Every sleep is bounded and re-checked. */
#define SLEEP_NS UINT64_C(100000000)
/* With a client that is only polled, because it rang without work too often, and with a request
 * whose deadline may pass while it waits for a version. */
#define SLEEP_RUDE_NS UINT64_C(10000000)
/* Where the kernel does not let it sleep so. */
#define NAP_US 10000
/* A stop serves what comes for this long, then refuses what still comes, and
 * ends when nothing has come for DRAIN_QUIET_NS. */
#define DRAIN_SERVE_NS UINT64_C(200000000)
#define DRAIN_REFUSE_NS UINT64_C(1000000000)
#define DRAIN_QUIET_NS UINT64_C(20000000)

#define LOOKS 64 /* at lanes, between two passes */

void data_reply(struct data *data, const struct message *message)
{
	bool has_room = queue_push(&data->to_control, message);
	uint64_t one = 1;

	assert(has_room); /* DATA_REPLIES_MAX */
	(void)has_room;
	(void)!write(data->control_eventfd, &one, sizeof(one));
}

/* --- the loop ------------------------------------------------------------------------------- */

static void eventfd_watch(struct data *data)
{
	if (!data->is_eventfd_watched)
		data->is_eventfd_watched =
			waiter_watch(&data->waiter, data->data_eventfd, POLLIN, data);
}

/* One that cannot be read would end its watch at once: it rests until the next recheck. */
static void eventfd_drain(struct data *data)
{
	uint64_t count;

	data->is_eventfd_watched = false;
	if (read(data->data_eventfd, &count, sizeof(count)) == sizeof(count) || errno == EAGAIN)
		eventfd_watch(data);
}

/* The eventfd's user is the loop itself, the rows' is their reader; every other event is of a
 * lane. */
static void events_take(struct data *data)
{
	struct waiter_event event;

	while (waiter_take(&data->waiter, &event)) {
		if (event.user == data)
			eventfd_drain(data);
		else if (event.user == &data->rows)
			data->are_rows_watched = false;
		else
			wake_rang(data, event.user);
	}
}

/* Sleeps until something rings, with every lane cold. */
static void sleep_until_rung(struct data *data, uint64_t idle_ns)
{
	uint32_t index = 0;

	while (index < data->hot_count) {
		if (data->hot[index]->is_rude)
			index++;
		else if (!wake_cool(data, data->hot[index]))
			return;
	}
	counter_add(&data->counters->sleeps, 1);
	spin_sleep(&data->spin, idle_ns);
	times_count(&data->times);
	rows_watch(data);
	/* Where the next request is soon there they look for a while, although their caller sleeps:
	 * it may share its CPU with the client. */
	if (!spin_pays(&data->spin))
		workers_rest(data->options.workers);
	if (waiter_wait(&data->waiter,
			data->rude_count || data->held ? SLEEP_RUDE_NS : SLEEP_NS) < 0) {
		/* Nothing rings where nobody can wait: look everywhere after a nap. */
		usleep(NAP_US);
		data->recheck_ns = 0;
	}
}

uint64_t data_clock_ns(struct data *data)
{
	uint64_t count = hearth_ticks_count();
	uint64_t now_ns;

	if (hearth_ticks_tell(&data->ticks, count, &now_ns))
		return now_ns;
	now_ns = clock_ns();
	return hearth_ticks_sync(&data->ticks, now_ns, count, hearth_ticks_count());
}

/* The first hot lane with a request, or NULL. */
static struct lane *lane_find(const struct data *data)
{
	uint32_t index;

	for (index = 0; index < data->hot_count; index++)
		if (intake_has(data->hot[index]))
			return data->hot[index];
	return NULL;
}

/* Looks at the hot lanes and at nothing else for a while: so a request is seen within one look, and
 * messages and completions of the ring wait no longer than a microsecond or two. */
static void look_out(struct data *data)
{
	uint32_t looks = LOOKS;
	struct lane *lane;

	times_count(&data->times);
	while (!(lane = lane_find(data)) && looks > 0) {
		hearth_pause();
		looks -= looks > data->hot_count ? data->hot_count + 1 : looks;
	}
	if (lane)
		lane_expect(lane);
	data->now_ns = data_clock_ns(data);
}

/* Has everything been answered that was published before the stop? */
static bool is_drained(struct data *data, uint64_t busy_ns)
{
	uint64_t stopping_ns = data->now_ns - data->stop_ns;
	uint64_t quiet_ns = data->now_ns - (busy_ns > data->stop_ns ? busy_ns : data->stop_ns);

	data->is_closed = stopping_ns > DRAIN_SERVE_NS;
	return quiet_ns > DRAIN_QUIET_NS || stopping_ns > DRAIN_SERVE_NS + DRAIN_REFUSE_NS;
}

static void loop(struct data *data)
{
	struct message stopped = { .kind = MESSAGE_STOPPED };
	bool is_idle = true;
	uint64_t busy_ns;

	hearth_ticks_init(&data->ticks, hearth_ticks_are_steady());
	data->now_ns = data_clock_ns(data);
	busy_ns = data->now_ns;
	for (;;) {
		uint64_t begun_ns = data->now_ns;
		uint32_t work;
		bool is_streaming;

		counter_add(&data->counters->passes, 1);
		counter_set(&data->counters->passed_ns, begun_ns);
		work = scheduler_pass(data);
		batcher_run_all(data);
		rows_look(data);
		is_streaming = stream_step_all(data);
		hold_look(data);
		wake_clients(data);

		/* What is not a request comes after those that wait. */
		if (waiter_has_events(&data->waiter))
			events_take(data);
		work += message_obey_all(data);
		if (data->stop_ns || data->now_ns - data->recheck_ns >= SLEEP_NS) {
			wake_recheck(data);
			eventfd_watch(data);
			data->recheck_ns = data->now_ns;
		}

		if (work > 0 || is_streaming) {
			if (is_idle)
				spin_learn(&data->spin, begun_ns - busy_ns);
			busy_ns = data->now_ns;
		}
		is_idle = work == 0 && !is_streaming;
		/* Reads that are on their way end in memory that goes with its version. */
		if (data->stop_ns && !data->waiting && is_drained(data, busy_ns))
			break;
		/* Where looking does not pay it sleeps right after its work, and wakes its clients with
		 * the call that lets it sleep. */
		if (!is_streaming && !data->stop_ns && !lane_find(data) &&
		    data->now_ns - busy_ns >= spin_ns(&data->spin)) {
			is_idle = true;
			sleep_until_rung(data, data->now_ns - busy_ns);
			/* What has rung is not among the lanes that are looked at. */
			data->now_ns = data_clock_ns(data);
			events_take(data);
			continue;
		}
		wake_submit(data);
		if (is_streaming)
			data->now_ns = data_clock_ns(data);
		else
			look_out(data);
	}
	data_reply(data, &stopped);
}

/* --- start and stop --------------------------------------------------------------------------- */

struct start {
	struct data *data;
	pthread_mutex_t mutex;
	pthread_cond_t ready;
	bool is_ready;
};

/* The eventfd, the rows' reader, and with a futex every lane's bell. */
static int waiter_init(struct data *data)
{
	bool has_futexes = data->options.bell == DATA_BELL_FUTEX;
	int r;

	r = waiter_open(&data->waiter, data->options.way,
			2 + (has_futexes ? data->options.lanes_max : 0), has_futexes);
	if (r < 0)
		return err_trace(r);
	eventfd_watch(data);
	return 0;
}

/* The one that the workers leave to this thread, or (-1) those of its node. By the call itself:
 * libnuma ends the process where it finds no memory for its masks. */
static void cpus_take(int node, int cpu)
{
	cpu_set_t cpus;

	if (cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET((size_t)cpu, &cpus);
	} else if (node < 0 || topology_cpus(node, &cpus) == 0) {
		return;
	}
	(void)sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void *data_main(void *argument)
{
	struct start *start = argument;
	struct data *data = start->data;
	int r;

	pthread_setname_np(pthread_self(), "hearth-data");
	cpus_take(data->options.node, workers_caller_cpu(data->options.workers));
	resident_program();
	resident_stack();
	r = waiter_init(data);
	pthread_mutex_lock(&start->mutex);
	data->start_result = r;
	start->is_ready = true;
	pthread_cond_signal(&start->ready);
	pthread_mutex_unlock(&start->mutex);
	if (r < 0)
		return NULL;
	loop(data);
	waiter_close(&data->waiter);
	return NULL;
}

static int data_allocate(struct data *data)
{
	int r;

	data->data_eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	data->control_eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (data->data_eventfd < 0 || data->control_eventfd < 0)
		return err_raise(-errno, "cannot make an eventfd: %s", strerror(errno));
	row_reader_init(&data->rows, data->options.way == &waiter_uring);
	data->lanes = resident_alloc(data->options.lanes_max, sizeof(*data->lanes));
	data->hot = resident_alloc(data->options.lanes_max, sizeof(*data->hot));
	data->touched = resident_alloc(data->options.lanes_max, sizeof(*data->touched));
	if (!data->lanes || !data->hot || !data->touched)
		return err_raise(-ENOMEM, "no memory for %u lanes", data->options.lanes_max);
	data->times.trace = resident_alloc(1, sizeof(*data->times.trace));
	if (!data->times.trace)
		return err_raise(-ENOMEM, "no memory to trace requests");
	r = rehearsal_new(&data->rehearsal);
	if (r < 0)
		return err_trace(r);
	r = queue_init(&data->to_data, MESSAGE_QUEUE_CAPACITY, sizeof(struct message));
	if (r < 0)
		return err_trace(r);
	r = queue_init(&data->to_control, DATA_REPLIES_MAX(data->options.lanes_max),
		       sizeof(struct message));
	if (r < 0)
		return err_trace(r);
	return 0;
}

static int thread_start(struct data *data)
{
	struct start start = { .data = data };
	int r;

	pthread_mutex_init(&start.mutex, NULL);
	pthread_cond_init(&start.ready, NULL);
	r = pthread_create(&data->thread, NULL, data_main, &start);
	if (r != 0)
		return err_raise(-r, "cannot start the data thread: %s", strerror(r));
	pthread_mutex_lock(&start.mutex);
	while (!start.is_ready)
		pthread_cond_wait(&start.ready, &start.mutex);
	pthread_mutex_unlock(&start.mutex);
	if (data->start_result < 0) {
		pthread_join(data->thread, NULL);
		return err_raise(data->start_result,
				 "the data thread cannot wait: %s: %s", data->options.way->name,
				 strerror(-data->start_result));
	}
	return 0;
}

int data_start(struct data *data, const struct data_options *options)
{
	int r;

	memset(data, 0, sizeof(*data));
	data->options = *options;
	data->counters = options->counters ? options->counters : &data->own_counters;
	data->spin.options = options->spin;
	data->held_last = &data->held;
	data->data_eventfd = -1;
	data->control_eventfd = -1;
	r = data_allocate(data);
	if (r == 0)
		r = thread_start(data);
	if (r < 0) {
		data_deinit(data);
		return err_trace(r);
	}
	return 0;
}

void data_join(struct data *data)
{
	pthread_join(data->thread, NULL);
}

void data_deinit(struct data *data)
{
	row_reader_deinit(&data->rows);
	rehearsal_free(data->rehearsal);
	queue_deinit(&data->to_control);
	queue_deinit(&data->to_data);
	free(data->times.trace);
	free(data->touched);
	free(data->hot);
	free(data->lanes);
	if (data->control_eventfd >= 0)
		close(data->control_eventfd);
	if (data->data_eventfd >= 0)
		close(data->data_eventfd);
}

void data_send(struct data *data, const struct message *message)
{
	uint64_t one = 1;

	while (!queue_push(&data->to_data, message))
		usleep(100);
	(void)!write(data->data_eventfd, &one, sizeof(one));
}

bool data_receive(struct data *data, struct message *ret_message)
{
	return queue_pop(&data->to_control, ret_message);
}

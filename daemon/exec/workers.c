/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/workers.c - threads that compute beside the one that asks
 *
 * The ticket is one word, the call's number above the parts that are left, and
 * a part is taken by a compare and swap. So a worker that comes late can take
 * no part of a call that is over, and whoever took one keeps the call's function
 * and context in place until it has counted the part as done.
 */
#include "exec/workers.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/topology.h"

#define LINE_PAIR_BYTES 128
#define LOOKS 32              /* between two looks at the clock */
#define PATIENCE_NS 20000     /* of the caller with a worker that has lost its CPU */
#define STACK_BYTES 65536     /* touched before it is used */
#define LEFT_BITS 32

#if defined(__x86_64__)
#define PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define PAUSE() __asm__ volatile("yield")
#else
#define PAUSE() ((void)0)
#endif

struct worker {
	uint32_t call __attribute__((aligned(LINE_PAIR_BYTES))); /* W: caller R: worker; futex */
	uint32_t is_asleep __attribute__((aligned(LINE_PAIR_BYTES))); /* W: worker R: caller */
	struct workers *workers;
	pthread_t thread;
	uint32_t index;
	bool has_thread;
};

/* Those of one node; workers are numbered node by node. */
struct team {
	int node;
	cpu_set_t cpus;     /* the workers'; none: each runs anywhere */
	uint32_t cpu_count; /* with the caller's */
	uint32_t count;     /* of those that compute, the caller among them */
};

struct workers {
	uint64_t ticket __attribute__((aligned(LINE_PAIR_BYTES)));
	uint64_t done __attribute__((aligned(LINE_PAIR_BYTES)));   /* parts of this call */
	uint32_t is_resting __attribute__((aligned(LINE_PAIR_BYTES)));
	uint32_t is_taken __attribute__((aligned(LINE_PAIR_BYTES)));
	uint32_t is_stopping;

	/* The caller writes them while no part is left. */
	workers_function function __attribute__((aligned(LINE_PAIR_BYTES)));
	void *context;
	uint32_t part_count;
	uint32_t number;
	uint64_t missed_ns; /* that those who sleep would have saved since the caller woke */

	struct workers_options options;
	struct team teams[WORKERS_NODES_MAX];
	uint32_t team_count;
	int caller_cpu;
	struct worker members[]; /* 1 to count - 1; 0 is the caller */
};

static void futex(uint32_t *word, int operation, uint32_t value)
{
	(void)syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

/* --- parts -------------------------------------------------------------------------------------- */

/* False: none is left. */
static bool part_take(struct workers *workers, uint32_t *ret_left)
{
	uint64_t ticket = __atomic_load_n(&workers->ticket, __ATOMIC_RELAXED);

	while ((uint32_t)ticket > 0) {
		/* W1 (acquire) pairs with W2: function and context belong to the call
		 * whose number the ticket has. Without it a part is computed with those
		 * of the call before. */
		if (__atomic_compare_exchange_n(&workers->ticket, &ticket, ticket - 1, true,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
			*ret_left = (uint32_t)ticket;
			return true;
		}
	}
	return false;
}

static void parts_take(struct workers *workers, uint32_t worker)
{
	uint32_t left;

	while (part_take(workers, &left)) {
		workers->function(workers->context, workers->part_count - left, worker);
		/* W3 (release) pairs with W4: a part's results are there before it is
		 * counted. Without it the caller can read what they were before. */
		__atomic_fetch_add(&workers->done, 1, __ATOMIC_RELEASE);
	}
}

static void done_await(struct workers *workers, uint32_t part_count)
{
	uint64_t looks = 0;
	uint64_t since_ns = 0;

	/* W4 (acquire) pairs with W3: what the parts computed is seen after the last
	 * of them is counted. Without it the batch can be answered with old bytes. */
	while (__atomic_load_n(&workers->done, __ATOMIC_ACQUIRE) < part_count) {
		PAUSE();
		if (++looks % LOOKS != 0)
			continue;
		if (since_ns == 0)
			since_ns = clock_ns();
		else if (clock_ns() - since_ns > PATIENCE_NS)
			sched_yield(); /* it may wait for this very CPU */
	}
}

/* --- a worker -------------------------------------------------------------------------------------- */

static uint32_t call_read(const struct worker *worker)
{
	/* W5 (acquire) pairs with W6: the ticket, and whether to stop, are those of
	 * this call. Without it a called worker can find no part and sleep on. */
	return __atomic_load_n(&worker->call, __ATOMIC_ACQUIRE);
}

static void sleep_until_called(struct worker *worker, uint32_t seen)
{
	__atomic_store_n(&worker->is_asleep, 1, __ATOMIC_RELAXED);
	/* W7 (full fence) pairs with W8: either the caller sees that this worker
	 * sleeps, or this worker sees the call. Without it both can miss. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	while (call_read(worker) == seen)
		futex(&worker->call, FUTEX_WAIT, seen);
	__atomic_store_n(&worker->is_asleep, 0, __ATOMIC_RELAXED);
}

/* Within a run the next call comes, however long the caller computes alone. */
static void call_await(struct worker *worker, uint32_t seen)
{
	const struct workers *workers = worker->workers;
	uint64_t until_ns = clock_ns() + workers->options.spin_ns;

	for (;;) {
		for (uint32_t look = 0; look < LOOKS; look++) {
			if (call_read(worker) != seen)
				return;
			PAUSE();
		}
		if (__atomic_load_n(&workers->is_taken, __ATOMIC_RELAXED))
			until_ns = clock_ns() + workers->options.spin_ns;
		else if (__atomic_load_n(&workers->is_resting, __ATOMIC_RELAXED) ||
			 clock_ns() >= until_ns)
			break;
	}
	sleep_until_called(worker, seen);
}

/* Serving must not fault: not here either. */
static __attribute__((noinline)) void stack_touch(void)
{
	char stack[STACK_BYTES];

	memset(stack, 0, sizeof(stack));
	__asm__ volatile("" : : "r"(stack) : "memory");
}

static void *worker_main(void *argument)
{
	struct worker *worker = argument;
	struct workers *workers = worker->workers;
	uint32_t seen = 0;
	char name[16];

	snprintf(name, sizeof(name), "hearth-work-%u", worker->index % 1000);
	pthread_setname_np(pthread_self(), name);
	stack_touch();
	for (;;) {
		if (call_read(worker) == seen)
			call_await(worker, seen);
		seen = call_read(worker);
		if (__atomic_load_n(&workers->is_stopping, __ATOMIC_RELAXED))
			return NULL;
		parts_take(workers, worker->index);
	}
}

/* --- the caller's side --------------------------------------------------------------------------- */

static void worker_call(struct worker *worker)
{
	/* W6 (release) pairs with W5: the ticket is written before the call. Without
	 * it the worker can find the last one's, which has no part left. */
	__atomic_store_n(&worker->call, worker->call + 1, __ATOMIC_RELEASE);
	/* W8 (full fence) pairs with W7: the call is visible before it is looked
	 * whether the worker sleeps. Without it a worker can sleep through it. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&worker->is_asleep, __ATOMIC_RELAXED))
		futex(&worker->call, FUTEX_WAKE, 1);
}

void workers_each(struct workers *workers, workers_function function, void *context,
		  uint32_t part_count, bool wakes)
{
	uint32_t called = 0;

	if (part_count == 0)
		return;
	workers->function = function;
	workers->context = context;
	workers->part_count = part_count;
	workers->number++;
	__atomic_store_n(&workers->done, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&workers->is_resting, 0, __ATOMIC_RELAXED);
	/* W2 (release) pairs with W1: what belongs to the call is written before it
	 * can be taken. */
	__atomic_store_n(&workers->ticket, (uint64_t)workers->number << LEFT_BITS | part_count,
			 __ATOMIC_RELEASE);
	for (uint32_t index = 1; index < workers->options.count && called + 1 < part_count;
	     index++) {
		struct worker *worker = &workers->members[index];

		if (!wakes && __atomic_load_n(&worker->is_asleep, __ATOMIC_RELAXED))
			continue;
		worker_call(worker);
		called++;
	}
	parts_take(workers, 0);
	done_await(workers, part_count);
}

bool workers_acquire(struct workers *workers)
{
	/* W9 (acquire) pairs with W10: the words of the last caller's calls are
	 * there. Without it a call can have a number twice. */
	return __atomic_exchange_n(&workers->is_taken, 1, __ATOMIC_ACQUIRE) == 0;
}

void workers_release(struct workers *workers)
{
	/* W10 (release) pairs with W9: this caller is done with them. */
	__atomic_store_n(&workers->is_taken, 0, __ATOMIC_RELEASE);
}

void workers_rest(struct workers *workers)
{
	if (!workers)
		return;
	__atomic_store_n(&workers->is_resting, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&workers->missed_ns, 0, __ATOMIC_RELAXED);
}

bool workers_are_awake(const struct workers *workers)
{
	for (uint32_t index = 1; index < workers->options.count; index++)
		if (!__atomic_load_n(&workers->members[index].is_asleep, __ATOMIC_RELAXED))
			return true;
	return false;
}

bool workers_are_all_awake(const struct workers *workers)
{
	for (uint32_t index = 1; index < workers->options.count; index++)
		if (__atomic_load_n(&workers->members[index].is_asleep, __ATOMIC_RELAXED))
			return false;
	return true;
}

bool workers_are_worth_waking(struct workers *workers, uint64_t alone_ns)
{
	uint64_t missed_ns = __atomic_load_n(&workers->missed_ns, __ATOMIC_RELAXED);

	/* At least a half would be saved. Of a long call half is left when they are there. */
	missed_ns += alone_ns / 2 < workers->options.wake_ns ? alone_ns / 2
							     : workers->options.wake_ns + 1;
	if (missed_ns <= workers->options.wake_ns) {
		__atomic_store_n(&workers->missed_ns, missed_ns, __ATOMIC_RELAXED);
		return false;
	}
	__atomic_store_n(&workers->missed_ns, 0, __ATOMIC_RELAXED);
	return true;
}

uint32_t workers_count(const struct workers *workers)
{
	return workers ? workers->options.count : 1;
}

uint32_t workers_node_count(const struct workers *workers)
{
	return workers ? workers->team_count : 1;
}

int workers_node(const struct workers *workers, uint32_t node_index)
{
	return workers ? workers->teams[node_index].node : -1;
}

uint32_t workers_node_index(const struct workers *workers, uint32_t worker)
{
	uint32_t index = 0;

	while (workers && worker >= workers->teams[index].count)
		worker -= workers->teams[index++].count;
	return index;
}

pthread_t workers_thread(const struct workers *workers, uint32_t worker)
{
	return workers->members[worker].thread;
}

int workers_caller_cpu(const struct workers *workers)
{
	return workers ? workers->caller_cpu : -1;
}

/* --- start and stop --------------------------------------------------------------------------------- */

static void team_add(struct workers *workers, int node)
{
	struct team *team = &workers->teams[workers->team_count++];

	team->node = node;
	team->cpu_count = topology_cpus(node, &team->cpus);
}

/* The next one goes where most CPUs are without one. Of two such nodes the caller's keeps its CPU: a
 * client is there, too. */
static struct team *team_next(struct workers *workers)
{
	struct team *best = &workers->teams[0];

	for (uint32_t index = 1; index < workers->team_count; index++) {
		struct team *team = &workers->teams[index];
		int64_t free = (int64_t)team->cpu_count - team->count;
		int64_t best_free = (int64_t)best->cpu_count - best->count;

		if (free > best_free || (free == best_free && best == workers->teams))
			best = team;
	}
	return best;
}

/* A node without any is none of theirs. */
static void teams_choose(struct workers *workers)
{
	const struct workers_options *options = &workers->options;
	uint32_t team_count = 1;

	team_add(workers, options->node);
	for (int node = 0; node < TOPOLOGY_NODES_MAX; node++)
		if (node != options->node && options->further.nodes & place_node(node).nodes)
			team_add(workers, node);
	workers->teams[0].count = 1;
	for (uint32_t worker = 1; worker < options->count; worker++)
		team_next(workers)->count++;
	for (uint32_t index = 1; index < workers->team_count; index++)
		if (workers->teams[index].count > 0)
			workers->teams[team_count++] = workers->teams[index];
	workers->team_count = team_count;
}

/* The caller has the last CPU of its node (interrupts prefer the first ones), the workers share the
 * others. */
static void cpus_choose(struct workers *workers)
{
	struct team *team = &workers->teams[0];
	uint32_t last = CPU_SETSIZE - 1;

	if (team->cpu_count < team->count) {
		if (workers->team_count == 1)
			CPU_ZERO(&team->cpus);
		return;
	}
	while (last > 0 && !CPU_ISSET(last, &team->cpus))
		last--;
	CPU_CLR(last, &team->cpus);
	workers->caller_cpu = (int)last;
}

/* The CPUs with it, not by the thread itself: a sandbox may be there before it runs. */
static int worker_start(struct worker *worker)
{
	const struct workers *workers = worker->workers;
	const cpu_set_t *cpus = &workers->teams[workers_node_index(workers, worker->index)].cpus;
	pthread_attr_t attributes;
	int r;

	r = pthread_attr_init(&attributes);
	if (r != 0)
		return r;
	if (CPU_COUNT(cpus) > 0)
		r = pthread_attr_setaffinity_np(&attributes, sizeof(*cpus), cpus);
	if (r == 0)
		r = pthread_create(&worker->thread, &attributes, worker_main, worker);
	pthread_attr_destroy(&attributes);
	worker->has_thread = r == 0;
	return r;
}

int workers_new(const struct workers_options *options, struct workers **ret_workers)
{
	size_t bytes = sizeof(struct workers) + options->count * sizeof(struct worker);
	struct workers *workers;
	int r;

	if (options->count < 1 || options->count > WORKERS_MAX)
		return err_raise(-EINVAL, "%u workers: 1 to %d are possible", options->count,
				 WORKERS_MAX);
	workers = aligned_alloc(LINE_PAIR_BYTES, bytes);
	if (!workers)
		return err_raise(-ENOMEM, "no memory for %u workers", options->count);
	memset(workers, 0, bytes);
	workers->options = *options;
	workers->caller_cpu = -1;
	teams_choose(workers);
	if (options->count > 1)
		cpus_choose(workers);
	for (uint32_t index = 1; index < options->count; index++) {
		struct worker *worker = &workers->members[index];

		worker->workers = workers;
		worker->index = index;
		r = worker_start(worker);
		if (r != 0) {
			workers_free(workers);
			return err_raise(-r, "cannot start worker %u of %u: %s", index,
					 options->count, strerror(r));
		}
	}
	*ret_workers = workers;
	return 0;
}

void workers_free(struct workers *workers)
{
	if (!workers)
		return;
	__atomic_store_n(&workers->is_stopping, 1, __ATOMIC_RELAXED);
	for (uint32_t index = 1; index < workers->options.count; index++) {
		if (!workers->members[index].has_thread)
			continue;
		worker_call(&workers->members[index]);
		pthread_join(workers->members[index].thread, NULL);
	}
	free(workers);
}

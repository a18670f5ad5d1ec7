/* SPDX-License-Identifier: MIT */
/* tests/death/waiters.c - a round: ask, suspend or not, kill, mourn, start again, ask again */
#include "waiters.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/system/crowd.h"
#include "tests/system/ledger.h"

#define SLOTS 16
#define PUBLISHED 3
#define UNANSWERED 5
#define REQUESTS_AFTER 20
#define NS_PER_MS 1000000
#define LATE_NS INT64_C(50000000)
/* They sleep by then, most of them; it must not matter. */
#define SUSPENDED_NS 30000000
#define SERVING_NS_MAX 20000000

enum phase {
	PHASE_ALIVE,
	PHASE_STOPPED, /* by SIGSTOP: it answers nothing */
	PHASE_REPLACED,
};

struct wake {
	uint64_t phase;
	uint64_t published; /* clients that have their first answers before them */
	uint64_t waiting;   /* that have submitted everything */
	uint64_t over;      /* that have got everything */
	uint64_t answered;
	uint64_t lost;
	uint64_t killed_ns;
	uint64_t hangup_ns; /* after that */
	uint64_t took_ns[WAITERS_MAX];
};

struct waiter {
	const struct appliance *appliance;
	struct wake *wake;
	uint64_t seed;
	uint32_t number;
	bool is_suspended; /* the daemon, when it is killed */
};

/* Nothing can be asked or got any more. */
static void check_end(struct ledger *ledger)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;

	ledger_settle(ledger);
	must(hearth_wait(ledger->hearth, -1, &completion) == -ENOTCONN, "a wait after the end");
	must(hearth_acquire_ping(ledger->hearth, &request) == -ENOTCONN, "a request after it");
	must(hearth_acquire(ledger->hearth, ledger->model, 1, &request) == -ENOTCONN, "another");
}

static void mourn(const struct waiter *waiter, struct ledger *ledger)
{
	struct wake *wake = waiter->wake;

	while (ledger_take(ledger))
		;
	wake->took_ns[waiter->number] = (uint64_t)crowd_now_ns() - crowd_read(&wake->killed_ns);
	check_end(ledger);
	crowd_add(&wake->answered, ledger->answered - ledger->orphans);
	crowd_add(&wake->lost, ledger->orphans);
}

/* The daemon is suspended between the published and the unanswered. */
static void ask_suspended(const struct waiter *waiter, struct ledger *ledger)
{
	struct wake *wake = waiter->wake;
	uint32_t turn;

	for (turn = 0; turn < PUBLISHED; turn++)
		must(ledger_submit(ledger, LEDGER_INFER), "no room");
	crowd_add(&wake->published, 1);
	await(crowd_read(&wake->phase) == PHASE_STOPPED);
	for (turn = 0; turn < UNANSWERED; turn++)
		must(ledger_submit(ledger, 1u << turn % 3), "no room");
	crowd_add(&wake->waiting, 1);
	mourn(waiter, ledger);
	must(ledger->answered == PUBLISHED + UNANSWERED && ledger->orphans == UNANSWERED,
	     "%" PRIu64 " answers, %" PRIu64 " of them lost", ledger->answered, ledger->orphans);
}

/* It dies while it serves: what it has answered by then is its own affair. */
static void ask_serving(const struct waiter *waiter, struct ledger *ledger)
{
	uint32_t turn = 0;
	bool is_alive = true;

	crowd_add(&waiter->wake->waiting, 1);
	while (is_alive) {
		while (ledger_submit(ledger, 1u << turn++ % 3))
			;
		is_alive = ledger_take(ledger);
	}
	mourn(waiter, ledger);
}

static void waiter_run(void *argument)
{
	const struct waiter *waiter = argument;
	struct wake *wake = waiter->wake;
	struct ledger_plan plan = {
		.socket = waiter->appliance->socket,
		.slots = SLOTS,
		.seed = waiter->seed,
		.kinds = LEDGER_PING | LEDGER_INFER | LEDGER_STREAM,
		.way = (enum ledger_way)(waiter->number % 3),
		.may_be_left = !waiter->is_suspended,
	};
	struct ledger ledger;

	ledger_open(&ledger, &plan);
	if (waiter->is_suspended)
		ask_suspended(waiter, &ledger);
	else
		ask_serving(waiter, &ledger);
	ledger_close(&ledger);
	crowd_add(&wake->over, 1);

	await(crowd_read(&wake->phase) == PHASE_REPLACED);
	plan.requests = REQUESTS_AFTER;
	plan.answered = &wake->answered;
	plan.may_be_left = false;
	ledger_run(&plan);
}

/* Returns when the clients wait, and the daemon may be killed. */
static void prepare(struct appliance *appliance, struct wake *wake, uint32_t clients,
		    bool is_suspended, uint64_t *random)
{
	if (!is_suspended) {
		await(crowd_read(&wake->waiting) == clients);
		crowd_pause_ns((int64_t)(crowd_random(random) % SERVING_NS_MAX));
		return;
	}
	await(crowd_read(&wake->published) == clients);
	await(appliance_number(appliance, "completions_total") == clients * PUBLISHED);
	must(appliance_number(appliance, "requests_total") == clients * PUBLISHED, "run twice");
	appliance_suspend(appliance);
	crowd_write(&wake->phase, PHASE_STOPPED);
	await(crowd_read(&wake->waiting) == clients);
	crowd_pause_ns(SUSPENDED_NS);
}

static void daemon_kill(struct appliance *appliance, struct wake *wake)
{
	struct pollfd hangup = { .fd = appliance->control_fd, .events = POLLIN };

	crowd_write(&wake->killed_ns, (uint64_t)crowd_now_ns());
	kill(appliance->pid, SIGKILL);
	must(poll(&hangup, 1, (int)(CROWD_PATIENCE_NS / NS_PER_MS)) == 1, "no hang-up");
	wake->hangup_ns = (uint64_t)crowd_now_ns() - crowd_read(&wake->killed_ns);
	appliance_kill(appliance); /* and waits for it */
}

/* On a daemon that was not asked for anything; `wake` is all zero. */
static void round_run(struct appliance *appliance, struct wake *wake,
		      const struct waiters_plan *plan, bool is_suspended, uint64_t *random)
{
	struct waiter waiters[WAITERS_MAX];
	uint32_t clients = plan->clients;
	pid_t pids[WAITERS_MAX];
	uint32_t index;

	for (index = 0; index < clients; index++) {
		waiters[index] = (struct waiter){ appliance, wake, crowd_random(random), index,
						  is_suspended };
		pids[index] = crowd_start(waiter_run, waiters + index);
	}
	prepare(appliance, wake, clients, is_suspended, random);
	daemon_kill(appliance, wake);
	await(crowd_read(&wake->over) == clients);

	appliance_start(appliance, plan->flags);
	must(appliance_number(appliance, "requests_total") == 0, "somebody asks already");
	crowd_write(&wake->phase, PHASE_REPLACED);
	for (index = 0; index < clients; index++)
		crowd_finish(pids[index]);
	/* What was lost was not asked again behind its owner's back. */
	must(appliance_number(appliance, "requests_total") == clients * REQUESTS_AFTER,
	     "%" PRIu64 " requests, %u were asked", appliance_number(appliance, "requests_total"),
	     clients * REQUESTS_AFTER);
	must(appliance_number(appliance, "completions_total") >= clients * REQUESTS_AFTER,
	     "less answers than questions");
}

static int order(const void *left, const void *right)
{
	const int64_t *a = left;
	const int64_t *b = right;

	return *a < *b ? -1 : *a > *b;
}

struct waiters_count waiters_run(struct appliance *appliance, const struct waiters_plan *plan)
{
	struct waiters_count count = { .times = (uint64_t)plan->clients * plan->kills };
	int64_t *times_ns = calloc(count.times, sizeof(*times_ns));
	int64_t *hangups_ns = calloc(plan->kills, sizeof(*hangups_ns));
	struct wake *wake = crowd_share(sizeof(*wake));
	uint64_t random = plan->seed;
	uint64_t time = 0;
	uint32_t index;
	uint32_t number;

	must(times_ns && hangups_ns && plan->clients <= WAITERS_MAX, "no room");
	for (number = 0; number < plan->kills; number++) {
		/* the one that runs has answered others */
		if (number > 0) {
			appliance_stop(appliance);
			appliance_start(appliance, plan->flags);
		}
		memset(wake, 0, sizeof(*wake));
		round_run(appliance, wake, plan, number % 2 == 0, &random);
		count.answered += wake->answered;
		count.lost += wake->lost;
		hangups_ns[number] = (int64_t)wake->hangup_ns;
		for (index = 0; index < plan->clients; index++, time++) {
			times_ns[time] = (int64_t)wake->took_ns[index];
			count.late += times_ns[time] > LATE_NS;
			count.late_behind += times_ns[time] - hangups_ns[number] > LATE_NS;
		}
	}
	qsort(times_ns, count.times, sizeof(*times_ns), order);
	qsort(hangups_ns, plan->kills, sizeof(*hangups_ns), order);
	count.time_ns_p50 = times_ns[count.times / 2];
	count.time_ns_max = times_ns[count.times - 1];
	count.hangup_ns_p50 = hangups_ns[plan->kills / 2];
	count.hangup_ns_max = hangups_ns[plan->kills - 1];
	free(hangups_ns);
	free(times_ns);
	return count;
}

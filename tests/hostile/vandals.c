/* SPDX-License-Identifier: MIT */
/* tests/hostile/vandals.c - memory that changes, rings that lie, bells, sockets, processes */
#include "vandals.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "garbage.h"
#include "intruder.h"
#include "tests/system/crowd.h"
#include "tests/system/shoppers.h"

#define RANGE_BYTES (VANDAL_AREA_BYTES / VANDAL_SLOTS)
#define SESSION_ACTS 4096 /* then it comes afresh, whatever it has made of its rings */
#define SOCKETS 64

bool vandal_act(const struct vandal_plan *plan)
{
	crowd_add(plan->acts, 1);
	return !crowd_read(plan->stop);
}

/* What every vandal holds: a connection by hand, and an honest one that knows the model. */
struct gang {
	const struct vandal_plan *plan;
	const struct hearth_model_info *model;
	struct hearth *honest;
	struct intruder intruder;
	uint64_t random;
};

/* Comes in as soon as it is let in. False: told to stop. */
static bool gang_enter(struct gang *gang)
{
	while (!crowd_read(gang->plan->stop)) {
		if (intruder_connect(&gang->intruder, gang->plan->socket) == 0 &&
		    intruder_greet(&gang->intruder, VANDAL_SLOTS, VANDAL_AREA_BYTES,
				   VANDAL_AREA_BYTES) == 0 &&
		    intruder_say(&gang->intruder, HEARTH_MESSAGE_READY, NULL, 0) == 0)
			return true;
		intruder_close(&gang->intruder);
		crowd_pause_ns(VANDAL_PAUSE_NS);
	}
	return false;
}

static bool gang_open(struct gang *gang, const struct vandal_plan *plan)
{
	struct hearth_options options = { .size = sizeof(options), .slots = 1,
					  .request_area_bytes = 4096,
					  .response_area_bytes = 4096 };
	int r;

	memset(gang, 0, sizeof(*gang));
	gang->plan = plan;
	gang->random = plan->seed;
	/* What others of its user left behind may still be on the account. */
	while ((r = hearth_open(plan->socket, &options, &gang->honest)) == -EDQUOT)
		crowd_pause_ns(VANDAL_PAUSE_NS);
	must(r == 0, "hearth_open: %s", hearth_strerror(r));
	r = hearth_model(gang->honest, "shoppers", 0, &gang->model);
	must(r == 0, "hearth_model: %s", hearth_strerror(r));
	return gang_enter(gang);
}

static void gang_close(struct gang *gang)
{
	intruder_close(&gang->intruder);
	hearth_close(gang->honest);
}

/* A sound request, each slot with a range of its own. */
static struct hearth_request_slot gang_request(struct gang *gang)
{
	uint32_t index = (uint32_t)(gang->intruder.sq_position % VANDAL_SLOTS);
	struct hearth_request_slot slot = {
		.id = (1 + (gang->intruder.sq_position / VANDAL_SLOTS) % UINT32_MAX) << 32 | index,
		.operation = HEARTH_OP_INFER,
		.request_offset = index * RANGE_BYTES,
		.response_offset = index * RANGE_BYTES,
		.response_bytes = RANGE_BYTES,
	};

	slot.request_bytes = intruder_write_infer(
		&gang->intruder, slot.request_offset, gang->model,
		(uint32_t)(crowd_random(&gang->random) % SHOPPERS_ROWS), VANDAL_ROWS);
	return slot;
}

static void gang_drain(struct gang *gang)
{
	struct hearth_completion_slot completion;

	while (intruder_pop(&gang->intruder, &completion))
		;
}

/* Pushes when its own books say that there is room; else looks. */
static void gang_push(struct gang *gang, const struct hearth_request_slot *slot)
{
	struct intruder *intruder = &gang->intruder;

	gang_drain(gang);
	if (intruder->sq_position - intruder->cq_position < VANDAL_SLOTS)
		intruder_push(intruder, slot);
}

/* Whether it goes on; thrown out, or out of step with its own rings, it comes back. */
static bool gang_act(struct gang *gang, uint32_t *acts)
{
	if (!vandal_act(gang->plan))
		return false;
	if (++*acts % SESSION_ACTS && !(*acts % 16 == 0 && intruder_is_out(&gang->intruder)))
		return true;
	intruder_close(&gang->intruder);
	return gang_enter(gang);
}

/* --- memory ---------------------------------------------------------------------------------- */

static void rage_garbage(const struct vandal_plan *plan)
{
	uint64_t thrown_out = 0;
	struct garbage_plan garbage = {
		.socket = plan->socket,
		.seed = plan->seed,
		.stop = plan->stop,
		.rounds_done = plan->acts,
		.thrown_out = &thrown_out,
	};

	garbage_run(&garbage);
}

struct flipper {
	struct intruder *intruder;
	uint64_t is_over;
};

/* Every byte behind the heads, again and again. */
static void *flip(void *argument)
{
	struct flipper *flipper = argument;
	const struct hearth_layout *layout = &flipper->intruder->layout;
	uint64_t at;

	while (!crowd_read(&flipper->is_over))
		for (at = layout->cancel_offset;
		     at < layout->client_bytes && !crowd_read(&flipper->is_over); at++)
			__atomic_fetch_xor(flipper->intruder->base + at, 0xff, __ATOMIC_RELAXED);
	return NULL;
}

static void rage_flip(const struct vandal_plan *plan)
{
	struct gang gang;
	bool goes_on = gang_open(&gang, plan);

	while (goes_on) {
		struct flipper flipper = { &gang.intruder, 0 };
		pthread_t thread;
		uint32_t turn;

		must(pthread_create(&thread, NULL, flip, &flipper) == 0, "no thread");
		for (turn = 0; goes_on && turn < SESSION_ACTS; turn++) {
			struct hearth_request_slot slot = gang_request(&gang);

			gang_push(&gang, &slot);
			goes_on = vandal_act(plan);
			if (turn % 16 == 0 && intruder_is_out(&gang.intruder))
				break;
		}
		crowd_write(&flipper.is_over, 1);
		pthread_join(thread, NULL);
		intruder_close(&gang.intruder);
		if (!gang_enter(&gang))
			break;
	}
	gang_close(&gang);
}

static void rage_holes(const struct vandal_plan *plan)
{
	struct gang gang;
	uint32_t acts = 0;

	if (gang_open(&gang, plan))
		do {
			struct hearth_request_slot slot = gang_request(&gang);

			gang_push(&gang, &slot);
			madvise(gang.intruder.request_area, VANDAL_AREA_BYTES, MADV_REMOVE);
		} while (gang_act(&gang, &acts));
	gang_close(&gang);
}

static void rage_lies(const struct vandal_plan *plan)
{
	struct gang gang;

	if (gang_open(&gang, plan))
		do {
			uint64_t lie = crowd_random(&gang.random);

			hearth_cq_consume(gang.intruder.client, lie % 2 ? lie : 1);
			intruder_ring(&gang.intruder);
			crowd_pause_ns(VANDAL_PAUSE_NS);
			intruder_close(&gang.intruder);
		} while (vandal_act(plan) && gang_enter(&gang));
	gang_close(&gang);
}

/* --- rings ----------------------------------------------------------------------------------- */

/* Visits, each of which leaves something undone. */
static void rage_never_reads(const struct vandal_plan *plan)
{
	struct gang gang;
	uint32_t turn;

	if (gang_open(&gang, plan))
		do {
			for (turn = 0; turn < VANDAL_SLOTS; turn++) {
				struct hearth_request_slot slot = gang_request(&gang);

				intruder_push(&gang.intruder, &slot);
			}
			crowd_pause_ns(VANDAL_PAUSE_NS);
			intruder_close(&gang.intruder);
		} while (vandal_act(plan) && gang_enter(&gang));
	gang_close(&gang);
}

static void rage_never_releases(const struct vandal_plan *plan)
{
	struct hearth_options options = { .size = sizeof(options), .slots = VANDAL_SLOTS,
					  .request_area_bytes = VANDAL_AREA_BYTES,
					  .response_area_bytes = VANDAL_AREA_BYTES };
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	struct hearth_request *request;
	struct hearth *hearth;

	while (vandal_act(plan)) {
		if (hearth_open(plan->socket, &options, &hearth) < 0)
			continue;
		must(hearth_model(hearth, "shoppers", 0, &model) == 0, "no model");
		while (hearth_acquire(hearth, model, VANDAL_ROWS, &request) == 0) {
			shoppers_fill(request, model, 0, VANDAL_ROWS);
			hearth_submit(hearth, request);
		}
		while (hearth_wait(hearth, CROWD_PATIENCE_NS, &completion) == 0)
			;
		crowd_pause_ns(VANDAL_PAUSE_NS);
		hearth_close(hearth);
	}
}

/* More than it has credit for is its end; up to there, as fast as can be. */
static void rage_floods(const struct vandal_plan *plan)
{
	struct gang gang;
	uint32_t acts = 0;

	if (gang_open(&gang, plan))
		do {
			struct hearth_request_slot slot = { .id = UINT64_MAX };

			gang_push(&gang, &slot);
		} while (gang_act(&gang, &acts));
	gang_close(&gang);
}

static void rage_deadlines(const struct vandal_plan *plan)
{
	struct gang gang;
	uint32_t acts = 0;

	if (gang_open(&gang, plan))
		do {
			struct hearth_request_slot slot = gang_request(&gang);

			slot.deadline_ns = (uint64_t)hearth_deadline(gang.honest, 1000);
			gang_push(&gang, &slot);
		} while (gang_act(&gang, &acts));
	gang_close(&gang);
}

/* --- bells ----------------------------------------------------------------------------------- */

static void rage_rings(const struct vandal_plan *plan)
{
	struct gang gang;
	uint32_t acts = 0;

	if (gang_open(&gang, plan))
		do {
			intruder_ring(&gang.intruder);
		} while (gang_act(&gang, &acts));
	gang_close(&gang);
}

static const uint32_t *any_word(struct gang *gang)
{
	const struct intruder *intruder = &gang->intruder;
	uint64_t random = crowd_random(&gang->random);
	uint64_t words = (random & 1 ? intruder->layout.client_bytes
				     : intruder->layout.daemon_bytes) / sizeof(uint32_t);
	const uint8_t *base = random & 1 ? intruder->base : intruder->daemon_base;

	return (const uint32_t *)(const void *)base + (random >> 1) % words;
}

/* Moves whoever sleeps on a word of its segments to another. */
static void rage_requeues(const struct vandal_plan *plan)
{
	struct gang gang;
	uint32_t acts = 0;

	if (gang_open(&gang, plan))
		do {
			const uint32_t *from = acts % 4 == 0 ? &gang.intruder.client->sq_bell
							     : any_word(&gang);

			syscall(SYS_futex, from, FUTEX_REQUEUE, 0, (void *)(uintptr_t)INT_MAX,
				any_word(&gang), 0);
			if (acts % 64 == 0) {
				struct hearth_request_slot ping = { .id = UINT64_C(1) << 32,
								    .operation = HEARTH_OP_PING };

				gang_push(&gang, &ping);
			}
		} while (gang_act(&gang, &acts));
	gang_close(&gang);
}

struct waiter {
	const struct vandal_plan *plan;
	const struct intruder *intruder;
};

static void *wait_on_bell(void *argument)
{
	const struct waiter *waiter = argument;
	const uint32_t *bell = &waiter->intruder->daemon->cq_bell;
	struct timespec timeout = { .tv_nsec = 250000000 };

	while (!crowd_read(waiter->plan->stop))
		syscall(SYS_futex, bell, FUTEX_WAIT, hearth_load_relaxed(bell), &timeout, NULL, 0);
	return NULL;
}

static void rage_crowds_the_bell(const struct vandal_plan *plan)
{
	struct gang gang;
	struct waiter waiter = { plan, &gang.intruder };
	pthread_t threads[VANDAL_WAITERS];
	pthread_attr_t attributes;
	uint32_t index;

	if (!gang_open(&gang, plan))
		return;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 65536);
	for (index = 0; index < VANDAL_WAITERS; index++)
		must(pthread_create(threads + index, &attributes, wait_on_bell, &waiter) == 0,
		     "no thread %u", index);
	while (vandal_act(plan)) {
		struct hearth_request_slot slot = gang_request(&gang);

		hearth_cq_doze(gang.intruder.client, gang.intruder.daemon,
			       gang.intruder.cq_position + 1, HEARTH_CQ_FUTEX);
		intruder_push(&gang.intruder, &slot);
		(void)intruder_take(&gang.intruder);
	}
	for (index = 0; index < VANDAL_WAITERS; index++)
		pthread_join(threads[index], NULL);
	pthread_attr_destroy(&attributes);
	gang_close(&gang);
}

/* --- the socket ------------------------------------------------------------------------------ */

/* The description is shared with nobody, but the daemon's end is what must not block. */
static void rage_fills_queues(const struct vandal_plan *plan)
{
	struct hearth_describe describe = { .version = 0 };
	struct gang gang;
	uint32_t acts = 0;

	memcpy(describe.name, "shoppers", sizeof("shoppers"));
	if (gang_open(&gang, plan))
		do {
			struct hearth_request_slot ping = { .id = UINT64_C(1) << 32,
							    .operation = HEARTH_OP_PING };

			fcntl(gang.intruder.fd, F_SETFL, 0);
			hearth_cq_doze(gang.intruder.client, gang.intruder.daemon,
				       gang.intruder.cq_position + 1, HEARTH_CQ_SOCKET);
			gang_push(&gang, &ping);
			(void)intruder_say(&gang.intruder, HEARTH_MESSAGE_DESCRIBE,
					   (const uint8_t *)&describe + sizeof(describe.message),
					   sizeof(describe) - sizeof(describe.message));
		} while (gang_act(&gang, &acts));
	gang_close(&gang);
}

static void rage_sends_descriptors(const struct vandal_plan *plan)
{
	union {
		struct cmsghdr header;
		uint8_t bytes[CMSG_SPACE(8 * sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(8 * sizeof(int)),
				  .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct hearth_message bell = { .magic = HEARTH_MAGIC, .type = HEARTH_MESSAGE_BELL,
				       .bytes = sizeof(bell) };
	struct iovec part = { &bell, sizeof(bell) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int fds[8] = { 0, 1, 2, 0, 1, 2, 0, 1 };
	struct gang gang;
	uint32_t acts = 0;

	memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
	if (gang_open(&gang, plan))
		do {
			/* Where the kernel refuses them at once it tries without. */
			if (sendmsg(gang.intruder.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
			    errno == EPERM)
				(void)send(gang.intruder.fd, &bell, sizeof(bell),
					   MSG_NOSIGNAL | MSG_DONTWAIT);
		} while (gang_act(&gang, &acts));
	gang_close(&gang);
}

/* Says HELLO, or nothing, over many sockets at once, and hangs up. */
static void connects(const struct vandal_plan *plan, bool says_hello)
{
	struct intruder intruders[SOCKETS];
	uint32_t index;

	do {
		for (index = 0; index < SOCKETS; index++) {
			int r = intruder_connect(intruders + index, plan->socket);

			must(r == 0 || r == -EAGAIN || r == -ECONNREFUSED, "connect: %s",
			     strerror(-r));
			if (r == 0 && says_hello)
				(void)intruder_greet(intruders + index, VANDAL_SLOTS,
						     VANDAL_AREA_BYTES, VANDAL_AREA_BYTES);
			crowd_add(plan->acts, 1);
		}
		crowd_pause_ns(VANDAL_PAUSE_NS);
		for (index = 0; index < SOCKETS; index++)
			intruder_close(intruders + index);
	} while (!crowd_read(plan->stop));
}

static void rage_greets_by_half(const struct vandal_plan *plan)
{
	connects(plan, true);
}

static void rage_connects(const struct vandal_plan *plan)
{
	connects(plan, false);
}

/* Its sizes change, so that it never gets the same pair again, and it keeps every map. */
static void rage_hoards(const struct vandal_plan *plan)
{
	while (vandal_act(plan)) {
		struct intruder intruder;
		uint32_t random = (uint32_t)*plan->acts;

		if (intruder_connect(&intruder, plan->socket) == 0 &&
		    intruder_greet(&intruder, 1u << random % 5, 4096u << random % 3,
				   4096u << random % 7) == 0 &&
		    intruder_say(&intruder, HEARTH_MESSAGE_READY, NULL, 0) == 0) {
			close(intruder.client_fd);
			close(intruder.daemon_fd);
			close(intruder.fd);
		} else {
			intruder_close(&intruder);
		}
		crowd_pause_ns(VANDAL_PAUSE_NS);
	}
}

/* --- processes ------------------------------------------------------------------------------- */

static void push_as_child(void *argument)
{
	struct gang *gang = argument;
	uint32_t turn;

	for (turn = 0; turn < VANDAL_SLOTS; turn++) {
		struct hearth_request_slot slot = gang_request(gang);

		gang_push(gang, &slot);
	}
}

/* Two processes use one connection; what each believes of its rings is wrong. */
static void rage_forks(const struct vandal_plan *plan)
{
	struct gang gang;

	if (gang_open(&gang, plan))
		do {
			pid_t pid = crowd_start(push_as_child, &gang);

			push_as_child(&gang);
			crowd_finish(pid);
			intruder_close(&gang.intruder);
		} while (vandal_act(plan) && gang_enter(&gang));
	gang_close(&gang);
}

static void push_and_stand(void *argument)
{
	struct gang gang;
	uint32_t turn;

	if (!gang_open(&gang, argument))
		return;
	for (turn = 0; turn < VANDAL_SLOTS; turn++) {
		struct hearth_request_slot slot = gang_request(&gang);

		hearth_cq_doze(gang.intruder.client, gang.intruder.daemon, turn + 1,
			       HEARTH_CQ_FUTEX);
		intruder_push(&gang.intruder, &slot);
	}
	raise(SIGSTOP);
}

static void rage_stands_still(const struct vandal_plan *plan)
{
	while (vandal_act(plan)) {
		pid_t pid = crowd_start(push_and_stand, (void *)(uintptr_t)plan);
		int status;

		must(waitpid(pid, &status, WUNTRACED) == pid, "no child");
		crowd_pause_ns(VANDAL_STANDS_NS);
		if (WIFSTOPPED(status))
			crowd_kill(pid);
	}
}

/* --- all of them ----------------------------------------------------------------------------- */

const struct vandal vandals[] = {
	{ "random descriptors", rage_garbage, honest_asks, 10000 },
	{ "flips every byte", rage_flip, honest_asks_in_two_threads, 10000 },
	{ "punches holes", rage_holes, honest_asks, 10000 },
	{ "lies about indices", rage_lies, honest_comes_and_goes, 1000 },
	{ "never reads answers", rage_never_reads, honest_comes_and_goes, 1000 },
	{ "never releases", rage_never_releases, honest_comes_and_goes, 1000 },
	{ "floods", rage_floods, honest_asks, 10000 },
	{ "deadlines of 1 us", rage_deadlines, honest_asks, 10000 },
	{ "rings without work", rage_rings, honest_asks, 10000 },
	{ "requeues sleepers", rage_requeues, honest_asks, 10000 },
	{ "1,000 sleep on a bell", rage_crowds_the_bell, honest_sleeps_among_sleepers, 1000 },
	{ "fills every queue", rage_fills_queues, honest_asks, 10000 },
	{ "sends descriptors", rage_sends_descriptors, honest_describes, 10000 },
	{ "half a handshake", rage_greets_by_half, honest_comes_and_goes, 1000 },
	{ "connects only", rage_connects, honest_comes_and_goes, 10000 },
	{ "hoards segments", rage_hoards, honest_comes_and_goes, 1000 },
	{ "forks", rage_forks, honest_comes_in_pairs, 100 },
	{ "stops (SIGSTOP)", rage_stands_still, honest_stands_still, 100 },
};
const uint32_t vandal_count = sizeof(vandals) / sizeof(vandals[0]);

static void become(const struct vandal_plan *plan)
{
	if (plan->uid == geteuid())
		return;
	must(setresuid(plan->uid, plan->uid, plan->uid) == 0, "cannot be uid %u", plan->uid);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a new uid has lost it */
}

void vandal_run(void *argument)
{
	const struct vandal_plan *plan = argument;

	become(plan);
	plan->vandal->rage(plan);
}

void vandal_twin_run(void *argument)
{
	const struct vandal_plan *plan = argument;

	become(plan);
	plan->vandal->twin(plan);
}

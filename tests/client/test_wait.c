/* SPDX-License-Identifier: MIT */
/* tests/client/test_wait.c - every way to sleep: hearth_wait, poll, io_uring; signals; bells */
#include <check.h>
#include <signal.h>
#include <sys/time.h>

#include "client/hearth.h"
#include "client/hearth_uring.h"
#include "tests/client/fake_daemon.h"
#include "tests/suite.h"

static struct fake_daemon fake;
static struct fake_lane *lane;
static struct hearth *hearth;

static void start_with(const struct fake_options *fake_options, int64_t spin_ns)
{
	struct hearth_options options = {.size = sizeof(options), .slots = 64, .spin_ns = spin_ns};

	fake_start(&fake, fake_options);
	ck_assert_int_eq(hearth_open(fake.path, &options, &hearth), 0);
	lane = fake.lanes;
}

static void stop(void)
{
	ck_assert_int_eq(hearth_close(hearth), 0);
	fake_stop(&fake);
}

static uint64_t ping(void)
{
	struct hearth_request *request;

	ck_assert_int_eq(hearth_acquire_ping(hearth, &request), 0);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	return request->id;
}

static uint64_t ping_taken(void)
{
	struct hearth_request_slot slot;
	uint64_t id = ping();

	ck_assert(fake_pop(lane, &slot));
	ck_assert_uint_eq(slot.id, id);
	return id;
}

static int64_t now_ns(void)
{
	return hearth_clock_ns(CLOCK_MONOTONIC);
}

static void release(const struct hearth_completion *completion)
{
	ck_assert_int_eq(completion->status, 0);
	ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
}

/* Answers 5 ms late, so that a waiting client is asleep. */
static void serve_late(struct fake_lane *served, const struct hearth_request_slot *slot)
{
	usleep(5000);
	fake_serve_all(served, slot);
}

START_TEST(wait_sleeps_until_the_answer_comes)
{
	const struct fake_options options = {.serve = serve_late};
	const struct hearth_completion *completion;

	for (int64_t spin_ns = -1; spin_ns <= 1000000; spin_ns += 500001) {
		start_with(&options, spin_ns);
		for (int turn = 0; turn < 20; turn++) {
			int64_t asked_ns = now_ns();

			ping();
			ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
			ck_assert_int_ge(now_ns() - asked_ns, 4000000);
			release(completion);
		}
		stop();
	}
}
END_TEST

START_TEST(wait_gives_up_in_time_and_the_request_lives_on)
{
	static const int64_t timeouts_ns[] = {0, 1, 1000000, 50000000};
	const struct hearth_completion *completion;
	int64_t asked_ns;
	uint64_t id;

	start_with(NULL, 0);
	ck_assert_int_eq(hearth_wait(hearth, -1, &completion), -ENODATA);
	id = ping_taken();
	for (size_t index = 0; index < 4; index++) {
		asked_ns = now_ns();
		ck_assert_int_eq(hearth_wait(hearth, timeouts_ns[index], &completion), -ETIMEDOUT);
		ck_assert_int_ge(now_ns() - asked_ns, timeouts_ns[index]);
		ck_assert_int_lt(now_ns() - asked_ns, timeouts_ns[index] + 1000000000);
	}
	fake_complete(lane, id, 0);
	ck_assert_int_eq(hearth_wait(hearth, INT64_MAX, &completion), 0);
	release(completion);
	stop();
}
END_TEST

#define BATCH 32

/* Answers one by one when all have come and the client has had time to fall asleep. */
static void serve_batch(struct fake_lane *served, const struct hearth_request_slot *slot)
{
	static uint64_t ids[BATCH];
	static uint32_t count;

	ids[count++] = slot->id;
	if (count < BATCH)
		return;
	usleep(20000);
	for (count = 0; count < BATCH; count++) {
		fake_complete(served, ids[count], 0);
		usleep(100);
	}
	count = 0;
}

START_TEST(the_last_of_many_answers_costs_one_wake)
{
	const struct fake_options options = {.serve = serve_batch};
	const struct hearth_completion *completion;
	uint32_t bell;

	start_with(&options, -1);
	for (int turn = 0; turn < 5; turn++) {
		bell = hearth_load_relaxed(&hearth->daemon->cq_bell);
		for (int request = 0; request < BATCH; request++)
			ping();
		ck_assert_int_eq(hearth_wait_count(hearth, BATCH + 1, -1), -EINVAL);
		ck_assert_int_eq(hearth_wait_count(hearth, 0, -1), -EINVAL);
		ck_assert_int_eq(hearth_wait_count(hearth, BATCH, 1000), -ETIMEDOUT);
		ck_assert_int_eq(hearth_wait_count(hearth, BATCH, -1), 0);
		ck_assert_uint_eq(hearth_load_relaxed(&hearth->daemon->cq_bell), bell + 1);
		for (int request = 0; request < BATCH; request++) {
			ck_assert_int_eq(hearth_peek(hearth, &completion), 0);
			release(completion);
		}
		ck_assert_int_eq(hearth_peek(hearth, &completion), -EAGAIN);
	}
	stop();
}
END_TEST

START_TEST(waiting_for_many_ends_when_the_daemon_does)
{
	const struct hearth_completion *completion;

	start_with(NULL, -1);
	for (int request = 0; request < BATCH; request++)
		ping();
	fake_kill(&fake);
	ck_assert_int_eq(hearth_wait_count(hearth, BATCH, -1), 0);
	for (int request = 0; request < BATCH; request++) {
		ck_assert_int_eq(hearth_peek(hearth, &completion), 0);
		ck_assert_int_eq(completion->status, -EOWNERDEAD);
	}
	ck_assert_int_eq(hearth_peek(hearth, &completion), -ENOTCONN);
	stop();
}
END_TEST

static void signal_seen(int number)
{
	(void)number;
}

START_TEST(a_storm_of_signals_changes_nothing)
{
	const struct fake_options options = {.serve = serve_late};
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	struct sigaction action = {.sa_handler = signal_seen}; /* no SA_RESTART */
	struct itimerval storm = {{0, 200}, {0, 200}};
	int64_t asked_ns;

	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &storm, NULL), 0);
	start_with(&options, 0);
	for (int turn = 0; turn < 20; turn++) {
		ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
		ping();
		ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
		release(completion);
	}
	stop();
	start_with(NULL, 0);
	ping();
	asked_ns = now_ns();
	ck_assert_int_eq(hearth_wait(hearth, 30000000, &completion), -ETIMEDOUT);
	ck_assert_int_ge(now_ns() - asked_ns, 30000000);
	memset(&storm, 0, sizeof(storm));
	ck_assert_int_eq(setitimer(ITIMER_REAL, &storm, NULL), 0);
	stop();
}
END_TEST

START_TEST(a_dozing_daemon_is_rung_on_the_futex_and_an_awake_one_is_not)
{
	uint32_t bell;

	start_with(NULL, 0);
	bell = hearth_load_relaxed(&lane->client->sq_bell);
	ping();
	ck_assert_uint_eq(hearth_load_relaxed(&lane->client->sq_bell), bell + 1);
	hearth_sq_awake(lane->daemon);
	ping();
	ck_assert_uint_eq(hearth_load_relaxed(&lane->client->sq_bell), bell + 1);
	usleep(5000);
	ck_assert_uint_eq(__atomic_load_n(&lane->bells, __ATOMIC_RELAXED), 0);
	stop();
}
END_TEST

START_TEST(without_futex_bells_the_socket_rings_and_may_be_full)
{
	const struct fake_options options = {.features_off = HEARTH_FEATURE_FUTEX_BELL};
	struct hearth_message noise;

	start_with(&options, 0);
	ping();
	for (int tries = 0; tries < 1000 && !__atomic_load_n(&lane->bells, __ATOMIC_RELAXED);
	     tries++)
		usleep(1000);
	ck_assert_uint_eq(__atomic_load_n(&lane->bells, __ATOMIC_RELAXED), 1);
	/* A daemon that does not read: submit must neither block nor fail. */
	__atomic_store_n(&fake.must_stop, true, __ATOMIC_RELEASE);
	pthread_join(fake.thread, NULL);
	fake.is_started = false;
	hearth_message_init(&noise, HEARTH_MESSAGE_BELL, sizeof(noise));
	while (send(hearth_fd(hearth), &noise, sizeof(noise), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	ck_assert_int_eq(errno, EAGAIN);
	ping();
	ping();
	close(fake.listen_fd);
	close(lane->fd);
	lane->fd = -1;
	unlink(fake.path);
	stop();
}
END_TEST

START_TEST(ringing_a_dead_daemon_raises_no_sigpipe)
{
	const struct fake_options options = {.features_off = HEARTH_FEATURE_FUTEX_BELL};
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;

	signal(SIGPIPE, SIG_DFL);
	start_with(&options, 0);
	fake_kill(&fake);
	ping();
	ping();
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), -ENOTCONN);
	ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
	ck_assert_int_eq(completion->status, -EOWNERDEAD);
	stop();
}
END_TEST

START_TEST(poll_wakes_for_an_armed_handle)
{
	const struct fake_options options = {.serve = serve_late};
	const struct hearth_completion *completion;
	struct pollfd poller = {.events = POLLIN};
	int answer_count = 0;
	int r;

	start_with(&options, 0);
	poller.fd = hearth_fd(hearth);
	ck_assert_int_eq(poll(&poller, 1, 0), 0);
	for (int turn = 0; turn < 20; turn++) {
		ping();
		ping();
		while (answer_count < 2 * turn + 2) {
			while ((r = hearth_peek(hearth, &completion)) == 0) {
				release(completion);
				answer_count++;
			}
			ck_assert_int_eq(r, -EAGAIN);
			if (answer_count < 2 * turn + 2 && hearth_arm(hearth) == 0)
				ck_assert_int_eq(poll(&poller, 1, 5000), 1);
		}
	}
	ck_assert_int_eq(hearth_peek(hearth, &completion), -EAGAIN);
	ck_assert_int_eq(poll(&poller, 1, 0), 0); /* peek read the bells away */
	stop();
}
END_TEST

START_TEST(arm_tells_what_is_there_already)
{
	const struct hearth_completion *completion;
	uint64_t id;

	start_with(NULL, 0);
	id = ping_taken();
	ck_assert_int_eq(hearth_arm(hearth), 0);
	fake_complete(lane, id, 0);
	ck_assert_int_eq(hearth_arm(hearth), 1);
	ck_assert_int_eq(hearth_peek(hearth, &completion), 0);
	release(completion);
	ck_assert_int_eq(hearth_arm(hearth), 0);
	stop();
}
END_TEST

/* False: this process may have none, and the test says so. */
static bool ring_open(struct io_uring *ring)
{
	int r = io_uring_queue_init(8, ring, 0);

	if (r == -EPERM || r == -ENOSYS)
		printf("SKIP: no io_uring here: %s\n", strerror(-r));
	else
		ck_assert_int_eq(r, 0);
	return r == 0;
}

static void uring_loop(bool has_futex)
{
	const struct fake_options options = {.serve = serve_late};
	const struct hearth_completion *completion;
	struct io_uring ring;
	struct hearth_uring uring;
	struct io_uring_cqe *cqe;
	int answer_count = 0;
	int r;

	if (!ring_open(&ring))
		return;
	start_with(&options, 0);
	ck_assert_int_eq(hearth_uring_init(&uring, hearth, &ring, 7), 0);
	if (has_futex && !uring.has_futex)
		printf("SKIP: this kernel has no futex operations in io_uring\n");
	uring.has_futex = uring.has_futex && has_futex;
	ping();
	for (;;) {
		while ((r = hearth_peek(hearth, &completion)) == 0) {
			ck_assert_int_eq(completion->status, 0);
			ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
			answer_count++;
			if (answer_count < 50)
				ping();
		}
		ck_assert_int_eq(r, -EAGAIN);
		if (answer_count == 50)
			break;
		r = hearth_uring_arm(&uring);
		ck_assert_int_ge(r, 0);
		if (r > 0)
			continue;
		ck_assert_int_ge(io_uring_submit_and_wait(&ring, 1), 0);
		while (io_uring_peek_cqe(&ring, &cqe) == 0) {
			ck_assert_uint_eq(cqe->user_data, 7);
			io_uring_cqe_seen(&ring, cqe);
			hearth_uring_complete(&uring);
		}
	}
	/* A second arm adds no second wait; the daemon's death wakes the ring. */
	ck_assert_int_eq(hearth_uring_arm(&uring), 0);
	ck_assert_int_ge(io_uring_submit(&ring), 0);
	ck_assert_int_eq(hearth_uring_arm(&uring), 0);
	ck_assert_int_eq(io_uring_submit(&ring), 0);
	ck_assert_int_eq(io_uring_peek_cqe(&ring, &cqe), -EAGAIN);
	fake_kill(&fake);
	ck_assert_int_eq(io_uring_wait_cqe(&ring, &cqe), 0);
	io_uring_cqe_seen(&ring, cqe);
	hearth_uring_complete(&uring);
	while ((r = hearth_peek(hearth, &completion)) != -ENOTCONN)
		ck_assert(r == 0 || r == -EAGAIN);
	ck_assert_int_eq(hearth_uring_arm(&uring), -ENOTCONN);
	ck_assert_int_eq(hearth_uring_disarm(&uring), 0);
	ck_assert_int_ge(io_uring_submit(&ring), 0);
	io_uring_queue_exit(&ring);
	stop();
}

START_TEST(io_uring_wakes_by_futex)
{
	uring_loop(true);
}
END_TEST

START_TEST(io_uring_wakes_by_poll)
{
	uring_loop(false);
}
END_TEST

START_TEST(a_poll_whose_bell_was_read_away_wakes_for_the_next)
{
	const struct hearth_completion *completion;
	struct io_uring ring;
	struct hearth_uring uring;
	struct io_uring_cqe *cqe;
	struct __kernel_timespec second = {.tv_sec = 5};
	uint64_t id;

	if (!ring_open(&ring))
		return;
	start_with(NULL, 0);
	ck_assert_int_eq(hearth_uring_init(&uring, hearth, &ring, 7), 0);
	uring.has_futex = false;
	for (int turn = 0; turn < 10; turn++) {
		id = ping_taken();
		ck_assert_int_eq(hearth_uring_arm(&uring), 0);
		ck_assert_int_ge(io_uring_submit(&ring), 0);
		fake_complete(lane, id, 0);
		/* awake for another reason: takes the answer and the bell */
		ck_assert_int_eq(hearth_peek(hearth, &completion), 0);
		release(completion);
		ck_assert_int_eq(hearth_peek(hearth, &completion), -EAGAIN);
		id = ping_taken();
		ck_assert_int_eq(hearth_uring_arm(&uring), 0);
		ck_assert_int_ge(io_uring_submit(&ring), 0);
		fake_complete(lane, id, 0);
		ck_assert_int_eq(io_uring_wait_cqe_timeout(&ring, &cqe, &second), 0);
		io_uring_cqe_seen(&ring, cqe);
		hearth_uring_complete(&uring);
		ck_assert_int_eq(hearth_peek(hearth, &completion), 0);
		release(completion);
		ck_assert_int_eq(hearth_peek(hearth, &completion), -EAGAIN);
	}
	io_uring_queue_exit(&ring);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client/wait.h");
	TCase *tcase = tcase_create("wait");

	tcase_add_test(tcase, wait_sleeps_until_the_answer_comes);
	tcase_add_test(tcase, wait_gives_up_in_time_and_the_request_lives_on);
	tcase_add_test(tcase, the_last_of_many_answers_costs_one_wake);
	tcase_add_test(tcase, waiting_for_many_ends_when_the_daemon_does);
	tcase_add_test(tcase, a_storm_of_signals_changes_nothing);
	tcase_add_test(tcase, a_dozing_daemon_is_rung_on_the_futex_and_an_awake_one_is_not);
	tcase_add_test(tcase, without_futex_bells_the_socket_rings_and_may_be_full);
	tcase_add_test(tcase, ringing_a_dead_daemon_raises_no_sigpipe);
	tcase_add_test(tcase, poll_wakes_for_an_armed_handle);
	tcase_add_test(tcase, arm_tells_what_is_there_already);
	tcase_add_test(tcase, io_uring_wakes_by_futex);
	tcase_add_test(tcase, io_uring_wakes_by_poll);
	tcase_add_test(tcase, a_poll_whose_bell_was_read_away_wakes_for_the_next);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

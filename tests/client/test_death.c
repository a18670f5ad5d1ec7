/* SPDX-License-Identifier: MIT */
/* tests/client/test_death.c - the daemon's death, and fork() */
#include <check.h>
#include <signal.h>
#include <sys/wait.h>

#include "client/hearth.h"
#include "tests/client/fake_daemon.h"
#include "tests/suite.h"

static struct fake_daemon fake;
static struct fake_lane *lane;
static struct hearth *hearth;
static const struct hearth_model_info *model;

static void setup(void)
{
	struct hearth_options options = {.size = sizeof(options), .slots = 16};

	fake_start(&fake, NULL);
	ck_assert_int_eq(hearth_open(fake.path, &options, &hearth), 0);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
	lane = fake.lanes;
}

static void teardown(void)
{
	ck_assert_int_eq(hearth_close(hearth), 0);
	fake_stop(&fake);
}

static uint64_t submit(void)
{
	struct hearth_request *request;

	ck_assert_int_eq(hearth_acquire(hearth, model, 4, &request), 0);
	request->user_data = request->id;
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	return request->id;
}

static int64_t now_ns(void)
{
	return hearth_clock_ns(CLOCK_MONOTONIC);
}

START_TEST(published_answers_come_first_then_each_lost_request_once)
{
	const struct hearth_completion *completion;
	const struct hearth_completion *answered[4];
	struct hearth_request_slot slots[10];
	struct hearth_request *request;
	uint32_t lost[16] = {0};
	uint32_t index;

	for (index = 0; index < 10; index++) {
		submit();
		ck_assert(fake_pop(lane, slots + index));
	}
	for (index = 0; index < 4; index++)
		fake_answer(lane, slots + 2 * index, (float)index);
	fake_kill(&fake);
	for (index = 0; index < 4; index++) {
		ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
		ck_assert_int_eq(completion->status, 0);
		ck_assert_uint_eq(completion->id, slots[2 * index].id);
		answered[index] = completion;
	}
	for (index = 0; index < 6; index++) {
		ck_assert_int_eq(index % 2 ? hearth_wait(hearth, -1, &completion)
					   : hearth_wait(hearth, 0, &completion),
				 0);
		ck_assert_int_eq(completion->status, -EOWNERDEAD);
		ck_assert_uint_eq(completion->kind, HEARTH_FINAL);
		ck_assert_uint_eq(completion->user_data, completion->id);
		ck_assert_uint_eq(lost[completion->id % 16]++, 0);
		ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	}
	for (index = 0; index < 3; index++) {
		ck_assert_int_eq(hearth_wait(hearth, -1, &completion), -ENOTCONN);
		ck_assert_int_eq(hearth_peek(hearth, &completion), -ENOTCONN);
		ck_assert_int_eq(hearth_acquire_ping(hearth, &request), -ENOTCONN);
		ck_assert_int_eq(hearth_arm(hearth), -ENOTCONN);
	}
	for (index = 0; index < 4; index++) { /* still readable */
		ck_assert_float_eq(((const float *)answered[index]->outputs[0].data)[3],
				   (float)index + 3);
		ck_assert_int_eq(hearth_release(hearth, answered[index]->id), 0);
	}
}
END_TEST

START_TEST(a_request_acquired_before_the_death_can_be_given_back)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;

	ck_assert_int_eq(hearth_acquire(hearth, model, 4, &request), 0);
	fake_kill(&fake);
	ck_assert_int_eq(hearth_wait(hearth, 0, &completion), -ENOTCONN);
	ck_assert_int_eq(hearth_submit(hearth, request), -ENOTCONN);
	ck_assert_int_eq(hearth_release(hearth, request->id), 0);
}
END_TEST

START_TEST(a_new_daemon_is_opened_beside_the_dead_handle)
{
	const struct fake_options options = {.serve = fake_serve_all};
	const struct hearth_completion *completion;
	struct hearth *dead = hearth;
	struct fake_daemon second;

	submit();
	fake_kill(&fake);
	fake_start(&second, &options);
	ck_assert_int_eq(hearth_open(second.path, NULL, &hearth), 0);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
	submit();
	ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
	ck_assert_int_eq(completion->status, 0);
	ck_assert_int_eq(hearth_wait(dead, -1, &completion), 0);
	ck_assert_int_eq(completion->status, -EOWNERDEAD);
	ck_assert_int_eq(hearth_close(hearth), 0);
	fake_stop(&second);
	hearth = dead;
}
END_TEST

/* Becomes the daemon, answers two requests, and waits to be killed. */
static void daemon_process(int ready_fd)
{
	struct fake_daemon daemon;
	struct hearth_request_slot slot;

	fake_start(&daemon, NULL);
	if (write(ready_fd, daemon.path, sizeof(daemon.path)) < 0)
		_exit(1);
	while (__atomic_load_n(&daemon.lane_count, __ATOMIC_ACQUIRE) == 0 ||
	       !__atomic_load_n(&daemon.lanes[0].daemon, __ATOMIC_RELAXED))
		usleep(1000);
	for (int answer = 0; answer < 2; answer++) {
		while (!fake_pop(daemon.lanes, &slot))
			usleep(1000);
		fake_answer(daemon.lanes, &slot, (float)answer);
	}
	for (;;)
		pause();
}

static void open_process(pid_t *ret_pid)
{
	char path[sizeof(fake.path)];
	int pipe_fds[2];

	ck_assert_int_eq(pipe(pipe_fds), 0);
	*ret_pid = fork();
	if (*ret_pid == 0)
		daemon_process(pipe_fds[1]);
	ck_assert_int_gt(*ret_pid, 0);
	ck_assert_int_eq(read(pipe_fds[0], path, sizeof(path)), (ssize_t)sizeof(path));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	ck_assert_int_eq(hearth_open(path, NULL, &hearth), 0);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
	unlink(path);
}

START_TEST(a_killed_process_is_noticed_in_time_by_a_sleeper)
{
	const struct hearth_completion *completion;
	int64_t killed_ns;
	pid_t killer;
	pid_t pid;
	int status;

	open_process(&pid);
	for (int request = 0; request < 5; request++)
		submit();
	for (int answer = 0; answer < 2; answer++) {
		ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
		ck_assert_int_eq(completion->status, 0);
	}
	killed_ns = now_ns();
	killer = fork(); /* while this process sleeps in hearth_wait */
	if (killer == 0) {
		usleep(30000);
		kill(pid, SIGKILL);
		_exit(0);
	}
	for (int lost = 0; lost < 3; lost++) {
		ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
		ck_assert_int_eq(completion->status, -EOWNERDEAD);
	}
	/* 30 ms to the kill, 20 ms a slice, and a machine that does other things */
	ck_assert_int_lt(now_ns() - killed_ns, 500000000);
	ck_assert_int_eq(hearth_wait(hearth, -1, &completion), -ENOTCONN);
	ck_assert_int_eq(hearth_close(hearth), 0);
	waitpid(pid, &status, 0);
	waitpid(killer, &status, 0);
}
END_TEST

START_TEST(a_killed_process_is_noticed_in_time_by_a_poller)
{
	const struct hearth_completion *completion;
	int64_t killed_ns;
	pid_t pid;
	int status;
	int r;

	open_process(&pid);
	for (int request = 0; request < 3; request++)
		submit();
	for (int answer = 0; answer < 2; answer++)
		ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	killed_ns = now_ns();
	while ((r = hearth_peek(hearth, &completion)) == -EAGAIN)
		;
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(completion->status, -EOWNERDEAD);
	ck_assert_int_lt(now_ns() - killed_ns, 500000000);
	ck_assert_int_eq(hearth_peek(hearth, &completion), -ENOTCONN);
	ck_assert_int_eq(hearth_close(hearth), 0);
}
END_TEST

/* Counts the calls that do not say -EPERM. */
static int calls_allowed(uint64_t id, struct hearth_request *request)
{
	const struct hearth_completion *completion;
	const struct hearth_info *info;
	static const uint32_t sizes[] = {1, 1};
	const uint32_t *word;
	uint32_t expected;
	int allowed = 0;

	allowed += hearth_model(hearth, "shoppers", 0, &model) != -EPERM;
	allowed += hearth_acquire(hearth, model, 1, &request) != -EPERM;
	allowed += hearth_acquire_sizes(hearth, model, sizes, 0, &request) != -EPERM;
	allowed += hearth_acquire_ping(hearth, &request) != -EPERM;
	allowed += hearth_acquire_echo(hearth, 1, &request) != -EPERM;
	allowed += hearth_acquire_stream_test(hearth, 1, &request) != -EPERM;
	allowed += hearth_submit(hearth, request) != -EPERM;
	allowed += hearth_cancel(hearth, id) != -EPERM;
	allowed += hearth_peek(hearth, &completion) != -EPERM;
	allowed += hearth_wait(hearth, -1, &completion) != -EPERM;
	allowed += hearth_release(hearth, id) != -EPERM;
	allowed += hearth_fd(hearth) != -EPERM;
	allowed += hearth_arm(hearth) != -EPERM;
	allowed += hearth_arm_futex(hearth, &word, &expected) != -EPERM;
	allowed += hearth_deadline(hearth, 1) != -EPERM;
	allowed += hearth_about(hearth, &info) != -EPERM;
	allowed += strstr(hearth_strerror(-EPERM), "parent process") == NULL;
	allowed += hearth_close(hearth) != 0;
	return allowed;
}

START_TEST(a_forked_child_may_do_nothing_and_the_parent_goes_on)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;
	struct hearth_request_slot slot;
	uint64_t id = submit();
	pid_t pid;
	int status;

	ck_assert_int_eq(hearth_acquire(hearth, model, 4, &request), 0);
	pid = fork();
	if (pid == 0)
		_exit(calls_allowed(id, request));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);

	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	for (int turn = 0; turn < 2; turn++) {
		ck_assert(fake_pop(lane, &slot));
		fake_answer(lane, &slot, 0);
		ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
		ck_assert_int_eq(completion->status, 0);
	}
	ck_assert(!fake_pop(lane, &slot));
}
END_TEST

START_TEST(a_forked_child_opens_its_own)
{
	pid_t pid;
	int status;

	pid = fork();
	if (pid == 0) {
		struct hearth *own = NULL;
		int r = hearth_open(fake.path, NULL, &own);

		_exit(r != 0 || hearth_close(own) != 0 || hearth_close(hearth) != 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("death and fork");
	TCase *tcase = tcase_create("death");
	TCase *processes = tcase_create("processes");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, published_answers_come_first_then_each_lost_request_once);
	tcase_add_test(tcase, a_request_acquired_before_the_death_can_be_given_back);
	tcase_add_test(tcase, a_new_daemon_is_opened_beside_the_dead_handle);
	tcase_add_test(tcase, a_forked_child_may_do_nothing_and_the_parent_goes_on);
	tcase_add_test(tcase, a_forked_child_opens_its_own);
	tcase_add_test(processes, a_killed_process_is_noticed_in_time_by_a_sleeper);
	tcase_add_test(processes, a_killed_process_is_noticed_in_time_by_a_poller);
	suite_add_tcase(suite, tcase);
	suite_add_tcase(suite, processes);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/base/test_waiter.c - both ways to wait keep the same promises; _i: which one
 *
 * Where io_uring is not permitted its half is skipped.
 */
#include "base/waiter.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LONG_NS UINT64_C(30000000000)
#define SHORT_NS UINT64_C(20000000)
#define CROWD 300
#define WATCHES_MAX 512

static const struct waiter_way *const ways[] = { &waiter_uring, &waiter_poll };
static struct waiter waiter;
static bool has_futexes;
static int users[CROWD]; /* whose addresses name the watches */

/* False: this way is not there, and the test says so. */
static bool waiter_begin(int index)
{
	bool is_uring = ways[index] == &waiter_uring;

	if (is_uring && waiter_uring_probe(&has_futexes) < 0) {
		printf("SKIP: %s\n", err_message());
		return false;
	}
	ck_assert_int_eq(waiter_open(&waiter, ways[index], WATCHES_MAX, is_uring && has_futexes),
			 0);
	return true;
}

static void waiter_end(void)
{
	waiter_close(&waiter);
}

static int bell_make(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void bell_ring(int fd)
{
	uint64_t one = 1;

	ck_assert_int_eq(write(fd, &one, sizeof(one)), sizeof(one));
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void expect_event(const void *user, int result)
{
	struct waiter_event event = { .user = NULL };

	ck_assert_int_eq(waiter_wait(&waiter, LONG_NS), 0);
	ck_assert(waiter_has_news(&waiter));
	ck_assert(waiter_take(&waiter, &event));
	ck_assert_ptr_eq(event.user, user);
	ck_assert_int_eq(event.result, result);
}

static void expect_nothing(void)
{
	struct waiter_event event;

	ck_assert_int_eq(waiter_wait(&waiter, 0), 0);
	ck_assert(!waiter_take(&waiter, &event));
	ck_assert(!waiter_has_news(&waiter));
}

START_TEST(a_watch_ends_with_one_event_and_another_event_wants_another_watch)
{
	int fd = bell_make();

	if (!waiter_begin(_i))
		return;
	ck_assert(waiter_watch(&waiter, fd, POLLIN, users));
	expect_nothing();
	bell_ring(fd);
	expect_event(users, POLLIN);
	expect_nothing(); /* although it is readable still */
	ck_assert(waiter_watch(&waiter, fd, POLLIN, users + 1));
	expect_event(users + 1, POLLIN);
	expect_nothing();
	waiter_end();
	close(fd);
}
END_TEST

START_TEST(a_wait_ends_at_its_bound_and_not_before)
{
	uint64_t begun_ns = now_ns();
	int fd = bell_make();

	if (!waiter_begin(_i))
		return;
	ck_assert(waiter_watch(&waiter, fd, POLLIN, users));
	ck_assert_int_eq(waiter_wait(&waiter, SHORT_NS), 0);
	ck_assert_uint_ge(now_ns() - begun_ns, SHORT_NS);
	expect_nothing();
	waiter_end();
	close(fd);
}
END_TEST

static void signal_ignore(int number)
{
	(void)number;
}

START_TEST(a_signal_ends_a_wait)
{
	struct sigaction action = { .sa_handler = signal_ignore };
	struct itimerval again = { .it_interval = { .tv_usec = 10000 },
				   .it_value = { .tv_usec = 10000 } };
	int fd = bell_make();

	if (!waiter_begin(_i))
		return;
	ck_assert(waiter_watch(&waiter, fd, POLLIN, users));
	expect_nothing();
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &again, NULL);
	ck_assert_int_eq(waiter_wait(&waiter, 60 * LONG_NS), 0);
	memset(&again, 0, sizeof(again));
	setitimer(ITIMER_REAL, &again, NULL);
	expect_nothing();
	waiter_end();
	close(fd);
}
END_TEST

START_TEST(who_is_cancelled_ends_once)
{
	int ready_fd = bell_make();
	int fd = bell_make();
	struct waiter_event event;

	if (!waiter_begin(_i))
		return;
	ck_assert(waiter_watch(&waiter, fd, POLLIN, users));
	expect_nothing();
	waiter_cancel(&waiter, users);
	expect_event(users, -ECANCELED);
	expect_nothing();

	/* Its event was under way. */
	bell_ring(ready_fd);
	ck_assert(waiter_watch(&waiter, ready_fd, POLLIN, users + 1));
	ck_assert_int_eq(waiter_wait(&waiter, LONG_NS), 0);
	waiter_cancel(&waiter, users + 1);
	expect_event(users + 1, POLLIN);
	expect_nothing();

	/* Twice, and before it began; and somebody who watches nothing. */
	ck_assert(waiter_watch(&waiter, fd, POLLIN, users));
	waiter_cancel(&waiter, users);
	waiter_cancel(&waiter, users);
	waiter_cancel(&waiter, users + 2);
	expect_event(users, -ECANCELED);
	while (waiter_take(&waiter, &event))
		ck_abort_msg("a second end");
	expect_nothing();

	/* The descriptor is free again. */
	ck_assert(waiter_watch(&waiter, fd, POLLIN, users));
	bell_ring(fd);
	expect_event(users, POLLIN);
	waiter_end();
	close(ready_fd);
	close(fd);
}
END_TEST

START_TEST(a_hang_up_and_the_death_of_a_process_are_events)
{
	int ends[2];
	int pidfd;
	pid_t pid;

	if (!waiter_begin(_i))
		return;
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert(waiter_watch(&waiter, ends[0], POLLIN, users));
	expect_nothing();
	close(ends[1]);
	expect_event(users, POLLHUP);

	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	ck_assert_int_ge(pidfd, 0);
	ck_assert(waiter_watch(&waiter, pidfd, POLLIN, users + 1));
	expect_nothing();
	kill(pid, SIGKILL);
	expect_event(users + 1, POLLIN);
	waitpid(pid, NULL, 0);
	waiter_end();
	close(pidfd);
	close(ends[0]);
}
END_TEST

START_TEST(what_cannot_be_watched_says_so)
{
	int fd = bell_make();

	if (!waiter_begin(_i))
		return;
	close(fd);
	ck_assert(waiter_watch(&waiter, fd, POLLIN, users));
	expect_event(users, -EBADF);
	expect_nothing();
	waiter_end();
}
END_TEST

/* Every third is rung, every fifth cancelled. */
START_TEST(a_crowd_has_one_event_each)
{
	uint32_t events[CROWD] = { 0 };
	struct waiter_event event;
	int fds[CROWD];
	uint32_t index;
	uint32_t count = 0;

	if (!waiter_begin(_i))
		return;
	for (index = 0; index < CROWD; index++) {
		fds[index] = bell_make();
		ck_assert(waiter_watch(&waiter, fds[index], POLLIN, users + index));
	}
	expect_nothing();
	for (index = 0; index < CROWD; index++) {
		if (index % 3 == 0)
			bell_ring(fds[index]);
		else if (index % 5 == 0)
			waiter_cancel(&waiter, users + index);
	}
	while (count < CROWD / 3 + CROWD / 5 - CROWD / 15) {
		ck_assert_int_eq(waiter_wait(&waiter, LONG_NS), 0);
		while (waiter_take(&waiter, &event)) {
			index = (uint32_t)((int *)event.user - users);
			ck_assert_int_eq(event.result, index % 3 == 0 ? POLLIN : -ECANCELED);
			ck_assert(index % 3 == 0 || index % 5 == 0);
			ck_assert_uint_eq(events[index]++, 0);
			count++;
		}
	}
	expect_nothing();
	/* The others watch on. */
	for (index = 1; index < CROWD; index += 15) {
		bell_ring(fds[index]);
		expect_event(users + index, POLLIN);
	}
	waiter_end();
	for (index = 0; index < CROWD; index++)
		close(fds[index]);
}
END_TEST

/* Whoever is readable always, and watched again at once, keeps nobody else from his turn. */
START_TEST(who_has_events_without_end_starves_nobody)
{
	uint32_t turns[3] = { 0 };
	struct waiter_event event;
	int fds[3];
	uint32_t index;
	uint32_t turn;

	if (!waiter_begin(_i))
		return;
	for (index = 0; index < 3; index++) {
		fds[index] = bell_make();
		bell_ring(fds[index]);
		ck_assert(waiter_watch(&waiter, fds[index], POLLIN, users + index));
	}
	for (turn = 0; turn < 100; turn++) {
		ck_assert_int_eq(waiter_wait(&waiter, LONG_NS), 0);
		while (waiter_take(&waiter, &event)) {
			index = (uint32_t)((int *)event.user - users);
			turns[index]++;
			ck_assert(waiter_watch(&waiter, fds[index], POLLIN, event.user));
		}
	}
	for (index = 0; index < 3; index++) {
		ck_assert_uint_ge(turns[index], 50);
		close(fds[index]);
	}
	waiter_end();
}
END_TEST

START_TEST(a_loop_without_news_has_nothing_to_do_here)
{
	int fd = bell_make();

	if (!waiter_begin(_i))
		return;
	ck_assert(!waiter_has_news(&waiter));
	ck_assert(waiter_watch(&waiter, fd, POLLIN, users));
	/* A ring is told of it; a table is read at the next wait. */
	ck_assert(waiter_has_news(&waiter) == (waiter.way == &waiter_uring));
	waiter_submit(&waiter);
	ck_assert(!waiter_has_news(&waiter));
	bell_ring(fd);
	expect_event(users, POLLIN);
	ck_assert(!waiter_has_news(&waiter));
	waiter_end();
	close(fd);
}
END_TEST

START_TEST(a_waiter_may_be_closed_while_it_watches_and_before_it_was_opened)
{
	struct waiter never = { .way = NULL };
	int fd = bell_make();

	waiter_close(&never);
	if (!waiter_begin(_i))
		return;
	ck_assert(waiter_watch(&waiter, fd, POLLIN, users));
	ck_assert_int_eq(waiter_wait(&waiter, 0), 0);
	ck_assert(waiter_watch(&waiter, fd, POLLIN, users + 1));
	waiter_cancel(&waiter, users);
	waiter_end();
	waiter_end();
	close(fd);
}
END_TEST

START_TEST(a_table_that_is_full_takes_no_more_until_an_event_makes_room)
{
	int fd = bell_make();

	ck_assert_int_eq(waiter_open(&waiter, &waiter_poll, 2, false), 0);
	ck_assert(waiter_watch(&waiter, fd, POLLIN, users));
	ck_assert(waiter_watch(&waiter, fd, POLLIN, users + 1));
	ck_assert(!waiter_watch(&waiter, fd, POLLIN, users + 2));
	waiter_cancel(&waiter, users);
	expect_event(users, -ECANCELED);
	ck_assert(waiter_watch(&waiter, fd, POLLIN, users + 2));
	waiter_end();
	close(fd);
}
END_TEST

START_TEST(a_futex_ends_its_watch_when_it_is_woken_or_has_changed)
{
	uint32_t *word = mmap(NULL, sizeof(*word), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(word, MAP_FAILED);
	if (!waiter_begin(0))
		return;
	if (!has_futexes) {
		printf("SKIP: this kernel's io_uring has no futex operations\n");
		return;
	}
	ck_assert(waiter_watch_futex(&waiter, word, 0, users));
	expect_nothing();
	ck_assert_int_eq(syscall(SYS_futex, word, FUTEX_WAKE, 8, NULL, NULL, 0), 1);
	expect_event(users, 0);
	ck_assert(waiter_watch_futex(&waiter, word, 1, users));
	expect_event(users, -EAGAIN);
	ck_assert(waiter_watch_futex(&waiter, word, 0, users));
	expect_nothing();
	waiter_cancel(&waiter, users);
	expect_event(users, -ECANCELED);
	waiter_end();

	/* A loop that needs none cannot watch one. */
	ck_assert_int_eq(waiter_open(&waiter, &waiter_uring, 1, false), 0);
	ck_assert(waiter_watch_futex(&waiter, word, 0, users));
	expect_event(users, -EACCES);
	waiter_end();
	munmap(word, sizeof(*word));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("waiter");
	TCase *both = tcase_create("both");
	TCase *one = tcase_create("one");

	setvbuf(stdout, NULL, _IOLBF, 0);
	tcase_add_loop_test(both,
			    a_watch_ends_with_one_event_and_another_event_wants_another_watch, 0,
			    2);
	tcase_add_loop_test(both, a_wait_ends_at_its_bound_and_not_before, 0, 2);
	tcase_add_loop_test(both, a_signal_ends_a_wait, 0, 2);
	tcase_add_loop_test(both, who_is_cancelled_ends_once, 0, 2);
	tcase_add_loop_test(both, a_hang_up_and_the_death_of_a_process_are_events, 0, 2);
	tcase_add_loop_test(both, what_cannot_be_watched_says_so, 0, 2);
	tcase_add_loop_test(both, a_crowd_has_one_event_each, 0, 2);
	tcase_add_loop_test(both, who_has_events_without_end_starves_nobody, 0, 2);
	tcase_add_loop_test(both, a_loop_without_news_has_nothing_to_do_here, 0, 2);
	tcase_add_loop_test(both,
			    a_waiter_may_be_closed_while_it_watches_and_before_it_was_opened, 0, 2);
	suite_add_tcase(suite, both);

	tcase_add_test(one, a_table_that_is_full_takes_no_more_until_an_event_makes_room);
	tcase_add_test(one, a_futex_ends_its_watch_when_it_is_woken_or_has_changed);
	suite_add_tcase(suite, one);
	return suite_run(suite);
}

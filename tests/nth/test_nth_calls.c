/* SPDX-License-Identifier: MIT */
/*
 * tests/nth/test_nth_calls.c - a system call fails: every one of the handshake, and those that did harm
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/waiter.h"
#include "nth_campaign.h"
#include "tests/system/crowd.h"

#define TIMEOUT_S 110
#define EXIT_SKIP 77

/* _i: how the loops of hearthd wait, by the call that they wait in. */
static const struct way {
	const char *config;
	const char *call;
	const char *error;
	const char *handshake; /* the calls that one way alone makes; NULL: all */
} ways[] = {
	{ "wait = auto\n", "io_uring_enter", "EBADF", NULL },
	{ "wait = poll\n", "ppoll", "EINVAL", "ppoll" },
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* False: hearthd waits in another way here, and the test says so. */
static bool nth_open_way(struct nth *nth, int way)
{
	bool has_futexes;

	if (strcmp(ways[way].call, "io_uring_enter") == 0 && waiter_uring_probe(&has_futexes) < 0) {
		printf("SKIP: %s\n", err_message());
		return false;
	}
	nth_open(nth);
	appliance_write(nth->appliance.config, ways[way].config);
	return true;
}

START_TEST(every_system_call_of_the_handshake_fails_and_the_daemon_goes_on)
{
	const struct campaign handshake = { .what = "handshake", .call = ways[_i].handshake,
					    .steps = NTH_CONNECT, .is_round = true, .numbers = 3,
					    .once = true };
	struct nth nth;

	if (!nth_open_way(&nth, _i))
		return;
	nth_begin(&nth);
	campaign_calls(&nth, &handshake);
	nth_end(&nth);
	nth_close(&nth);
}
END_TEST

START_TEST(every_system_call_of_a_client_fails_and_it_holds_nothing_afterwards)
{
	struct nth nth;

	nth_open(&nth);
	campaign_client(&nth, true);
	nth_close(&nth);
}
END_TEST

static enum nth_outcome outcome_of(const struct nth_injection *injection, uint32_t steps)
{
	enum nth_outcome outcome;
	struct nth nth;

	nth_open(&nth);
	outcome = nth_run(&nth, injection, steps);
	nth_close(&nth);
	return outcome;
}

/* Ends the test where hearthd does anything else. */
static void expect(const struct nth_injection *injection, uint32_t steps, enum nth_outcome wanted)
{
	enum nth_outcome outcome = outcome_of(injection, steps);

	must(outcome == wanted, "outcome %d, wanted %d", outcome, wanted);
}

START_TEST(a_socket_that_cannot_be_listened_on_is_not_left_behind)
{
	expect(&(struct nth_injection){ "listen", "EADDRINUSE", 2, false }, 0, NTH_REFUSED);
	expect(&(struct nth_injection){ "chmod", "EPERM", 1, false }, 0, NTH_REFUSED);
}
END_TEST

/* The daemon needs two threads, the data thread and the loader; without those that measure what a wake
 * costs it goes on. */
START_TEST(a_thread_that_cannot_start_leaves_no_descriptor)
{
	uint32_t refused = 0;

	for (uint32_t nth = 1; nth <= 5; nth++) {
		enum nth_outcome outcome = outcome_of(
			&(struct nth_injection){ "clone3", "EAGAIN", nth, false }, 0);

		must(outcome == NTH_REFUSED || outcome == NTH_WENT_ON, "outcome %d of thread %u",
		     outcome, nth);
		refused += outcome == NTH_REFUSED;
	}
	ck_assert_uint_eq(refused, 2);
}
END_TEST

START_TEST(a_bell_that_cannot_be_rung_between_two_threads_is_made_up_for)
{
	expect(&(struct nth_injection){ "write", "EIO", 1, true }, NTH_ALL, NTH_WENT_ON);
	expect(&(struct nth_injection){ "write", "EIO", 1, false }, NTH_ALL, NTH_WENT_ON);
}
END_TEST

START_TEST(a_control_loop_that_cannot_wait_ends_with_a_sentence_and_does_not_spin)
{
	struct nth nth;
	int status;

	if (!nth_open_way(&nth, _i))
		return;
	nth_begin(&nth);
	nth.tracer = trace_attach(nth.appliance.pid, nth.trace, ways[_i].call, ways[_i].error, 1,
				  true);
	await(nth_has_said(&nth, "cannot wait"));
	nth_must_idle(&nth);
	status = appliance_await_end(&nth.appliance, CROWD_PATIENCE_NS);
	trace_detach(nth.tracer);
	must(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE, "ended with %#x", status);
	must(nth_has_said(&nth, "error: the control loop cannot wait"), "without a sentence");
	must(access(nth.appliance.socket, F_OK) < 0, "left its socket behind");
	nth_close(&nth);
}
END_TEST

START_TEST(a_listener_that_cannot_accept_rests_and_does_not_spin)
{
	struct hearth_options options = { .size = sizeof(options),
					  .reply_timeout_ns = 50 * 1000 * 1000 };
	struct hearth *hearth;
	struct nth nth;

	nth_open(&nth);
	nth_begin(&nth);
	nth.tracer = trace_attach(nth.appliance.pid, nth.trace, "accept4", "EPERM", 1, true);
	ck_assert_int_eq(hearth_open(nth.appliance.socket, &options, &hearth), -ETIMEDOUT);
	nth_must_idle(&nth);
	trace_detach(nth.tracer);
	options.reply_timeout_ns = 0;
	ck_assert_int_eq(hearth_open(nth.appliance.socket, &options, &hearth), 0);
	hearth_close(hearth);
	nth_end(&nth);
	nth_close(&nth);
}
END_TEST

START_TEST(an_answer_for_which_the_kernel_has_no_memory_ends_the_connection_and_does_not_spin)
{
	expect(&(struct nth_injection){ "sendto", "ENOBUFS", 1, true }, NTH_ALL, NTH_WENT_ON);
}
END_TEST

START_TEST(a_signal_that_cannot_be_read_ends_the_daemon_all_the_same)
{
	struct nth nth;

	if (!nth_open_way(&nth, _i))
		return;
	nth_begin(&nth);
	nth.tracer = trace_attach(nth.appliance.pid, nth.trace, "read", "EIO", 1, true);
	nth_must_idle(&nth);
	nth_end(&nth);
	trace_detach(nth.tracer);
	nth_close(&nth);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite;
	TCase *calls;

	nth_client_main(argc, argv);
	if (CROWD_SLOWDOWN > 1 || !trace_is_possible()) {
		printf("SKIP: %s\n", CROWD_SLOWDOWN > 1
					     ? "a sanitizer's own allocations would be counted"
					     : "strace is not there, or may not trace here");
		return EXIT_SKIP;
	}
	suite = suite_create("nth_calls");
	calls = tcase_create("calls");
	tcase_set_timeout(calls, TIMEOUT_S);
	tcase_add_loop_test(calls, every_system_call_of_the_handshake_fails_and_the_daemon_goes_on,
			    0, WAYS);
	tcase_add_test(calls, every_system_call_of_a_client_fails_and_it_holds_nothing_afterwards);
	tcase_add_test(calls, a_socket_that_cannot_be_listened_on_is_not_left_behind);
	tcase_add_test(calls, a_thread_that_cannot_start_leaves_no_descriptor);
	tcase_add_test(calls, a_bell_that_cannot_be_rung_between_two_threads_is_made_up_for);
	tcase_add_loop_test(calls,
			    a_control_loop_that_cannot_wait_ends_with_a_sentence_and_does_not_spin,
			    0, WAYS);
	tcase_add_test(calls, a_listener_that_cannot_accept_rests_and_does_not_spin);
	tcase_add_test(
		calls,
		an_answer_for_which_the_kernel_has_no_memory_ends_the_connection_and_does_not_spin);
	tcase_add_loop_test(calls, a_signal_that_cannot_be_read_ends_the_daemon_all_the_same, 0,
			    WAYS);
	suite_add_tcase(suite, calls);
	return appliance_check(suite);
}

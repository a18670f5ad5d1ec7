/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_system_calls.c - none while both sides are awake, three a round trip when both
 * sleep in between; counted by strace
 */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "appliance.h"
#include "client/hearth.h"
#include "crowd.h"
#include "measure.h"
#include "metric.h"
#include "tests/nth/nth_trace.h"

#define TIMEOUT_S 100
#define AWAKE_REQUESTS 20000
#define ASLEEP_REQUESTS 300
#define ASLEEP_PAUSE_NS 2000000
/* Ticks, questions whether the daemon lives, the first and the last calls. */
#define OTHER_CALLS 120

struct asker {
	const struct appliance *appliance;
	uint64_t *words; /* opened, go, done, leave */
	uint32_t requests;
	int64_t pause_ns;
	int64_t spin_ns;
	double told; /* how many the daemon says that it made meanwhile */
};

static void ask_run(void *argument)
{
	const struct asker *asker = argument;
	struct hearth_options options = { .size = sizeof(options), .spin_ns = asker->spin_ns };
	const struct hearth_completion *completion;
	struct hearth_request *request;
	struct hearth *hearth;
	uint32_t turn;

	must(hearth_open(asker->appliance->socket, &options, &hearth) == 0, "no connection");
	crowd_write(asker->words, 1);
	await(crowd_read(asker->words + 1));
	for (turn = 0; turn < asker->requests; turn++) {
		if (asker->pause_ns > 0)
			crowd_pause_ns(asker->pause_ns);
		must(hearth_acquire_ping(hearth, &request) == 0 &&
			     hearth_submit(hearth, request) == 0 &&
			     hearth_wait(hearth, -1, &completion) == 0 &&
			     hearth_release(hearth, completion->id) == 0, "ping %u", turn);
	}
	crowd_write(asker->words + 2, 1);
	await(crowd_read(asker->words + 3));
	hearth_close(hearth);
}

/* Of the busiest thread, all kinds but the one that is the test's own pause. */
static uint64_t calls_in(const char *path)
{
	struct trace_call calls[TRACE_CALLS_MAX];
	uint32_t count = trace_count(path, calls);
	uint64_t sum = 0;
	uint32_t index;

	for (index = 0; index < count; index++)
		if (!strstr(calls[index].name, "nanosleep"))
			sum += calls[index].count;
	return sum;
}

static double calls_told(const struct appliance *appliance)
{
	return metric_read(appliance, "status", "hearth_loop_calls_total{call=\"wait\"}") +
	       metric_read(appliance, "status", "hearth_loop_calls_total{call=\"submit\"}") +
	       metric_read(appliance, "status", "hearth_loop_calls_total{call=\"wake\"}");
}

static void count_calls(struct appliance *appliance, struct asker *asker, uint64_t *ret_daemon,
			uint64_t *ret_client)
{
	char daemon_trace[128];
	char client_trace[128];
	pid_t client;
	pid_t tracers[2];

	asker->appliance = appliance;
	asker->words = crowd_share(4 * sizeof(*asker->words));
	client = crowd_start(ask_run, asker);
	await(crowd_read(asker->words));
	snprintf(daemon_trace, sizeof(daemon_trace), "%s/daemon.trace", appliance->directory);
	snprintf(client_trace, sizeof(client_trace), "%s/client.trace", appliance->directory);
	tracers[0] = trace_attach(appliance->pid, daemon_trace, "", "", 0, false);
	tracers[1] = trace_attach(client, client_trace, "", "", 0, false);
	asker->told = -calls_told(appliance);
	crowd_write(asker->words + 1, 1);
	await(crowd_read(asker->words + 2));
	asker->told += calls_told(appliance);
	trace_detach(tracers[1]);
	trace_detach(tracers[0]);
	*ret_daemon = calls_in(daemon_trace);
	*ret_client = calls_in(client_trace);
	crowd_write(asker->words + 3, 1);
	crowd_finish(client);
	printf("%u requests: %" PRIu64 " system calls of the daemon's busiest thread (%.0f told), %"
	       PRIu64 " of the client\n", asker->requests, *ret_daemon, asker->told, *ret_client);
}

START_TEST(there_is_none_for_a_request_while_both_sides_look)
{
	static const char *const flags[] = { "--load", "none", "--spin-us", "1000000", NULL };
	struct asker asker = { .requests = AWAKE_REQUESTS, .spin_ns = CROWD_PATIENCE_NS };
	struct appliance appliance;
	uint64_t of_daemon;
	uint64_t of_client;

	if (!trace_is_possible()) {
		puts("SKIP: strace is not there, or may not trace");
		return;
	}
	appliance_open(&appliance, flags);
	count_calls(&appliance, &asker, &of_daemon, &of_client);
	ck_assert_uint_lt(of_daemon, AWAKE_REQUESTS / 100);
	ck_assert_uint_lt(of_client, AWAKE_REQUESTS / 100);
	ck_assert_double_lt(asker.told, AWAKE_REQUESTS / 100);
	appliance_close(&appliance);
}
END_TEST

START_TEST(when_both_sides_sleep_the_daemon_makes_one_and_the_client_two)
{
	static const char *const flags[] = { "--load", "none", NULL };
	struct asker asker = { .requests = ASLEEP_REQUESTS, .pause_ns = ASLEEP_PAUSE_NS,
			       .spin_ns = -1 };
	struct appliance appliance;
	uint64_t of_daemon;
	uint64_t of_client;
	json_t *rows;
	bool is_one;

	if (!trace_is_possible()) {
		puts("SKIP: strace is not there, or may not trace");
		return;
	}
	appliance_open(&appliance, flags);
	rows = appliance_rows(&appliance, "status");
	/* With one CPU it wakes at once, which is a call of its own and comes sooner. */
	is_one = strcmp(json_string_value(json_object_get(json_array_get(rows, 0), "bell")),
			"futex") == 0 && cpu_allowed(1) >= 0;
	json_decref(rows);
	count_calls(&appliance, &asker, &of_daemon, &of_client);
	if (is_one)
		ck_assert_uint_le(of_daemon, ASLEEP_REQUESTS + OTHER_CALLS);
	ck_assert_uint_le(of_client, 2 * ASLEEP_REQUESTS + OTHER_CALLS);
	/* Its metrics count them; no more than there are, for they are read a moment apart. */
	ck_assert_double_ge(asker.told, ASLEEP_REQUESTS);
	ck_assert_double_le(asker.told, (double)of_daemon);
	/* And it did sleep: who looked all the time would make none. */
	ck_assert_uint_gt(appliance_number(&appliance, "sleeps_total"), ASLEEP_REQUESTS / 2);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("system calls");
	TCase *cases = tcase_create("calls");

	tcase_set_timeout(cases, TIMEOUT_S);
	tcase_add_test(cases, there_is_none_for_a_request_while_both_sides_look);
	tcase_add_test(cases, when_both_sides_sleep_the_daemon_makes_one_and_the_client_two);
	suite_add_tcase(suite, cases);
	return appliance_check(suite);
}

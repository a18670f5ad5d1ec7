/* SPDX-License-Identifier: MIT */
/*
 * tests/places/test_denied.c - where io_uring or locked memory is denied the daemon says so, and
 * serves all the same
 *
 * Clients of such a daemon, and their deaths: test_places, test_ledger and others.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sanitized.h"
#include "base/waiter.h"
#include "places.h"
#include "tests/system/appliance.h"
#include "tests/system/crowd.h"
#include "tests/system/ledger.h"

#define TIMEOUT_S 110

static const struct ban {
	const char *word;
	const char *reason;
	bool has_ring; /* which can be made, and not be used */
} bans[] = {
	/* as kernel.io_uring_disabled has it, and profiles of containers */
	{ "no-io_uring=1", "io_uring is not permitted (EPERM)", false },
	/* as profiles have it that play an older kernel */
	{ "no-io_uring=38", "io_uring is not available (ENOSYS)", false },
	{ "no-io_uring=13", "io_uring is not permitted (EACCES)", false },
	{ "no-io_uring-register=1", "io_uring is not permitted (EPERM)", true },
	{ "no-io_uring-enter=1", "io_uring is not permitted (EPERM)", true },
};

static void check_status(const struct appliance *appliance, const char *key, const char *value)
{
	json_t *rows = appliance_rows(appliance, "status");

	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 0), key)), value);
	json_decref(rows);
}

static uint32_t times_said(const struct appliance *appliance, const char *sentence)
{
	FILE *log = fopen(appliance->log, "re");
	uint32_t count = 0;
	char line[512];

	ck_assert_ptr_nonnull(log);
	while (fgets(line, sizeof(line), log))
		count += strstr(line, sentence) != NULL;
	fclose(log);
	return count;
}

/* Once, in its log. */
static void check_said(const struct appliance *appliance, const char *sentence)
{
	uint32_t count = times_said(appliance, sentence);

	ck_assert_msg(count == 1, "said %u times: %s", count, sentence);
}

START_TEST(where_io_uring_is_denied_the_daemon_says_why_and_waits_with_poll)
{
	static const char *const only_io_uring[] = { "--wait", "io_uring", NULL };
	static const char *const only_futexes[] = { "--bell", "futex", NULL };
	const char *const wrapper[] = { PLACE_WRAPPER, bans[_i].word, PLACE_END };
	struct ledger_plan plan = { .slots = 4, .requests = 200, .kinds = LEDGER_ALL };
	char text[APPLIANCE_TEXT_BYTES];
	struct appliance appliance;
	char sentence[128];
	bool has_futexes;

	if (bans[_i].has_ring && waiter_uring_probe(&has_futexes) < 0) {
		printf("SKIP: %s\n", err_message());
		return;
	}
	appliance_init(&appliance);
	appliance.wrapper = wrapper;
	ck_assert_int_eq(appliance_refuse(&appliance, only_io_uring, text), EXIT_FAILURE);
	ck_assert_ptr_nonnull(strstr(text, bans[_i].reason));
	unlink(appliance.log);
	ck_assert_int_eq(appliance_refuse(&appliance, only_futexes, text), EXIT_FAILURE);
	ck_assert_ptr_nonnull(strstr(text, "--bell futex"));
	unlink(appliance.log);

	appliance_start(&appliance, NULL);
	snprintf(sentence, sizeof(sentence), "%s: waiting with poll", bans[_i].reason);
	check_said(&appliance, sentence);
	check_status(&appliance, "wait", "poll");
	check_status(&appliance, "wait_reason", bans[_i].reason);
	check_status(&appliance, "bell", "socket");
	plan.socket = appliance.socket;
	for (plan.way = 0; plan.way < 3; plan.way++)
		ledger_run(&plan);
	appliance_close(&appliance);
}
END_TEST

/* What a daemon with these flags asks of io_uring, in bytes of strace's words. */
static int64_t io_uring_bytes(struct appliance *appliance, const char *const flags[],
			      const char *way)
{
	char trace[128];
	const char *const strace[] = { "strace", "-D", "-f", "-qq", "-e", "trace=/^io_uring", "-e",
				       "signal=none", "-o", trace, NULL };
	struct stat status;

	snprintf(trace, sizeof(trace), "%s/trace", appliance->directory);
	appliance->wrapper = strace;
	appliance_start(appliance, flags);
	check_status(appliance, "wait", way);
	if (flags)
		check_status(appliance, "wait_reason", "--wait poll");
	appliance_stop(appliance);
	ck_assert_int_eq(stat(trace, &status), 0);
	return status.st_size;
}

START_TEST(who_is_told_to_poll_asks_for_no_io_uring)
{
	static const char *const flags[] = { "--wait", "poll", NULL };
	struct appliance appliance;
	bool has_futexes;

	if (CROWD_SLOWDOWN > 1 || system("strace -o /dev/null true 2>/dev/null") != 0) {
		printf("SKIP: %s\n", CROWD_SLOWDOWN > 1
					     ? "a sanitizer's leak check wants no tracer beside it"
					     : "strace is not there, or may not trace here");
		return;
	}
	appliance_init(&appliance);
	ck_assert_int_eq(io_uring_bytes(&appliance, flags, "poll"), 0);
	ck_assert_int_gt(io_uring_bytes(&appliance, NULL, waiter_uring_probe(&has_futexes) == 0
								  ? "io_uring"
								  : "poll"), 0);
}
END_TEST

/* Enough for no ring, for a small one, for one of the two that wait, and for all; kernels before 6.14
 * count none of them. Reserved huge pages are never swapped, locked or not. */
static const char *const memlocks[] = { "memlock=0", "memlock=65536", "memlock=262144",
					"memlock=1048576" };

START_TEST(where_memory_cannot_be_locked_the_daemon_serves_and_says_what_is_not)
{
	const char *const wrapper[] = { PLACE_WRAPPER, memlocks[_i], PLACE_END };
	struct ledger_plan plan = { .slots = 4, .requests = 200, .kinds = LEDGER_ALL };
	struct appliance appliance;
	int r = place_try((const char *[]){ memlocks[_i], NULL });

	if (r < 0) {
		printf("SKIP: locking cannot be denied here: %s\n", strerror(-r));
		return;
	}
	appliance_init(&appliance);
	appliance.wrapper = wrapper;
	appliance_start(&appliance, NULL);
	if (!IS_SANITIZED) /* which makes mlock do nothing */
		ck_assert_uint_eq(times_said(&appliance, "pages that may be swapped out (LimitMEMLOCK= "
							 "or RLIMIT_MEMLOCK is too low)"),
				  times_said(&appliance, "weights in 2M pages") == 0);
	plan.socket = appliance.socket;
	ledger_run(&plan);
	appliance_close(&appliance);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("denied");
	TCase *denied = tcase_create("denied");

	place_main(argc, argv);
	tcase_set_timeout(denied, TIMEOUT_S);
	tcase_add_loop_test(denied,
			    where_io_uring_is_denied_the_daemon_says_why_and_waits_with_poll, 0,
			    sizeof(bans) / sizeof(bans[0]));
	tcase_add_loop_test(denied,
			    where_memory_cannot_be_locked_the_daemon_serves_and_says_what_is_not, 0,
			    sizeof(memlocks) / sizeof(memlocks[0]));
	tcase_add_test(denied, who_is_told_to_poll_asks_for_no_io_uring);
	suite_add_tcase(suite, denied);
	return appliance_check(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/client/test_examples.c - the examples against the fake daemon */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/waiter.h"
#include "tests/client/fake_daemon.h"
#include "tests/suite.h"

static int run(const char *name, const struct fake_options *options)
{
	struct fake_daemon fake;
	char path[256];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/bin/%s", getenv("BUILD") ? getenv("BUILD") : "build",
		 name);
	fake_start(&fake, options);
	pid = fork();
	if (pid == 0) {
		execl(path, path, fake.path, (char *)NULL);
		fprintf(stderr, "%s: %d\n", path, errno);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	fake_stop(&fake);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void refuse(struct fake_lane *lane, const struct hearth_request_slot *slot)
{
	fake_complete(lane, slot->id, -EBUSY);
}

START_TEST(rank_scores_its_rows)
{
	const struct fake_options options = {.serve = fake_serve_all};

	ck_assert_int_eq(run("example_rank", &options), 0);
}
END_TEST

START_TEST(rank_reports_a_refusal)
{
	const struct fake_options full = {.serve = refuse};
	const struct fake_options closed = {.refuse_status = -EDQUOT};

	ck_assert_int_eq(run("example_rank", &full), 1);
	ck_assert_int_eq(run("example_rank", &closed), 1);
}
END_TEST

START_TEST(event_loop_gets_its_hundred_answers)
{
	const struct fake_options options = {.serve = fake_serve_all};
	bool has_futexes;

	if (waiter_uring_probe(&has_futexes) < 0) {
		printf("SKIP: %s\n", err_message());
		return;
	}
	ck_assert_int_eq(run("example_event_loop_uring", &options), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client/examples");
	TCase *tcase = tcase_create("examples");

	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, rank_scores_its_rows);
	tcase_add_test(tcase, rank_reports_a_refusal);
	tcase_add_test(tcase, event_loop_gets_its_hundred_answers);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

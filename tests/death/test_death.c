/* SPDX-License-Identifier: MIT */
/*
 * tests/death/test_death.c - who dies gives everything back, and who waits for the dead learns of it
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/hearth.h"
#include "kills.h"
#include "tests/system/appliance.h"
#include "tests/system/crowd.h"
#include "waiters.h"

#define TIMEOUT_S 110
#define KILLS 50
/* A waiting call ends within 50 ms of the daemon's death; a busy machine may take longer. */
#define BOUND_NS (INT64_C(10) * 1000000000)

START_TEST(clients_killed_at_random_points_give_everything_back)
{
	static const char *const flags[] = { "--clients-per-uid", "8", "--arena-bytes-per-uid",
					     "17M", NULL };
	struct hearth_options options = { .size = sizeof(options),
					  .request_area_bytes = 1 << 20,
					  .response_area_bytes = 1 << 20 };
	struct kills_plan plan = { .victims = 4, .bystanders = 2, .kills = KILLS };
	struct appliance appliance;
	struct hearth *handles[9];
	uint32_t index;

	appliance_open(&appliance, flags);
	plan.seed = crowd_seed("kills");
	kills_run(&appliance, &plan);

	/* The whole quota is there again, of connections and of bytes, and not more. */
	for (index = 0; index < 8; index++)
		ck_assert_int_eq(hearth_open(appliance.socket, &options, handles + index), 0);
	ck_assert_int_eq(hearth_open(appliance.socket, &options, handles + index), -EDQUOT);
	for (index = 0; index < 8; index++)
		hearth_close(handles[index]);
	appliance_close(&appliance);
}
END_TEST

static const char *const socket_flags[][3] = { { "--bell", "socket", NULL },
					       { "--wait", "poll", NULL } };

START_TEST(clients_that_ring_over_the_socket_give_everything_back_too)
{
	struct kills_plan plan = { .victims = 4, .bystanders = 1, .kills = KILLS / 2 };
	struct appliance appliance;

	appliance_open(&appliance, socket_flags[_i]);
	plan.seed = crowd_seed("kills");
	kills_run(&appliance, &plan);
	appliance_close(&appliance);
}
END_TEST

/* --- the daemon dies ------------------------------------------------------------------------------ */

#define WAITERS 9

START_TEST(who_waits_for_a_dead_daemon_gets_what_was_published_and_the_rest_as_lost)
{
	static const char *const flags[][3] = { { NULL }, { "--wait", "poll", NULL } };
	struct waiters_plan plan = { .flags = flags[_i], .clients = WAITERS, .kills = 2 };
	struct waiters_count count;
	struct appliance appliance;

	appliance_open(&appliance, plan.flags);
	plan.seed = crowd_seed("waiters");
	count = waiters_run(&appliance, &plan);
	printf("%u clients knew after %.1f ms, the last after %.1f ms\n", WAITERS,
	       (double)count.time_ns_p50 / 1e6, (double)count.time_ns_max / 1e6);
	ck_assert_uint_gt(count.lost, 0);
	ck_assert_int_lt(count.time_ns_max, BOUND_NS);
	appliance_close(&appliance);
}
END_TEST

#define SOCKETS 16

/* Takes a share in every socket of the daemon, so that its death closes none. 0: may not. */
static uint32_t sockets_hold(pid_t pid, int ret_fds[SOCKETS])
{
	struct dirent *entry;
	char target[64];
	char path[300];
	DIR *directory;
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	uint32_t count = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	directory = opendir(path);
	must(pidfd >= 0 && directory, "the daemon cannot be looked at");
	while ((entry = readdir(directory)) && count < SOCKETS) {
		ssize_t bytes;

		snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid, entry->d_name);
		bytes = readlink(path, target, sizeof(target) - 1);
		if (bytes < 7 || strncmp(target, "socket:", 7) != 0)
			continue;
		ret_fds[count] = (int)syscall(SYS_pidfd_getfd, pidfd, atoi(entry->d_name), 0);
		count += ret_fds[count] >= 0;
	}
	closedir(directory);
	close(pidfd);
	return count;
}

/* A kernel that takes a daemon's io_uring apart late holds its sockets for so long. */
START_TEST(a_daemons_death_is_known_while_its_sockets_are_open)
{
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	struct hearth_request *request;
	struct appliance appliance;
	struct hearth *hearth;
	int fds[SOCKETS];
	uint32_t count;

	appliance_open(&appliance, NULL);
	ck_assert_int_eq(hearth_open(appliance.socket, NULL, &hearth), 0);
	count = hearth->pidfd < 0 ? 0 : sockets_hold(appliance.pid, fds);
	if (count == 0) {
		puts("SKIP: no pidfd of a peer (Linux 6.5), or not root");
		return;
	}
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
	ck_assert_int_eq(hearth_acquire(hearth, model, 1, &request), 0);
	appliance_suspend(&appliance);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	appliance_kill(&appliance);
	ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
	ck_assert_int_eq(completion->status, -EOWNERDEAD);
	ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	ck_assert_int_eq(hearth_wait(hearth, -1, &completion), -ENOTCONN);
	hearth_close(hearth);
	/* Nobody else may listen where somebody seems to. */
	while (count > 0)
		close(fds[--count]);
	appliance_start(&appliance, NULL);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_new_daemon_has_a_new_epoch_and_the_old_handle_stays_readable)
{
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	const struct hearth_info *info;
	struct hearth_request *request;
	struct appliance appliance;
	struct hearth *renewed;
	struct hearth *hearth;
	uint64_t epoch;
	float score;

	appliance_open(&appliance, NULL);
	ck_assert_int_eq(hearth_open(appliance.socket, NULL, &hearth), 0);
	ck_assert_int_eq(hearth_about(hearth, &info), 0);
	epoch = info->epoch;
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
	ck_assert_int_eq(hearth_acquire(hearth, model, 1, &request), 0);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
	ck_assert_int_eq(completion->status, 0);
	score = *(const float *)completion->outputs[0].data;

	appliance_kill(&appliance);
	appliance_start(&appliance, NULL);
	ck_assert(*(const float *)completion->outputs[0].data == score);
	ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	ck_assert_int_eq(hearth_wait(hearth, 0, &completion), -ENOTCONN);
	ck_assert_int_eq(hearth_open(appliance.socket, NULL, &renewed), 0);
	ck_assert_int_eq(hearth_about(renewed, &info), 0);
	ck_assert_uint_ne(info->epoch, epoch);
	hearth_close(renewed);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("death");
	TCase *clients = tcase_create("clients");
	TCase *daemon_case = tcase_create("daemon");

	tcase_set_timeout(clients, TIMEOUT_S);
	tcase_add_test(clients, clients_killed_at_random_points_give_everything_back);
	tcase_add_loop_test(clients, clients_that_ring_over_the_socket_give_everything_back_too, 0,
			    2);
	suite_add_tcase(suite, clients);

	tcase_set_timeout(daemon_case, TIMEOUT_S);
	tcase_add_loop_test(daemon_case,
			    who_waits_for_a_dead_daemon_gets_what_was_published_and_the_rest_as_lost,
			    0, 2);
	tcase_add_test(daemon_case, a_daemons_death_is_known_while_its_sockets_are_open);
	tcase_add_test(daemon_case, a_new_daemon_has_a_new_epoch_and_the_old_handle_stays_readable);
	suite_add_tcase(suite, daemon_case);
	return appliance_check(suite);
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_reload.c - the repository read again, and what a service manager is told
 *
 * The manager is this test: it listens where NOTIFY_SOCKET says.
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "appliance.h"
#include "base/clock.h"
#include "crowd.h"
#include "measure.h"
#include "rows.h"

#define TIMEOUT_S 110
#define VERSION_1 "tests/data/shoppers/repository/shoppers/1"
/* Several ticks of the control loop, in each of which it may feed the watchdog. */
#define STOPPED_NS UINT64_C(2000000000)

/* --- the manager --------------------------------------------------------------------------------- */

static int manager_open(const struct appliance *appliance)
{
	struct timeval patience = { .tv_sec = CROWD_PATIENCE_NS / 1000000000 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", appliance->directory);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	return fd;
}

/* The next message that is not about the watchdog. */
static void manager_hear(int fd, char text[256])
{
	ssize_t bytes;

	do {
		bytes = recv(fd, text, 255, 0);
		ck_assert_msg(bytes >= 0, "nothing was notified: %s", strerror(errno));
		text[bytes] = '\0';
	} while (strcmp(text, "WATCHDOG=1") == 0);
}

/* How many there are by now, of the watchdog alone. */
static uint32_t manager_count_fed(int fd)
{
	char text[256];
	uint32_t count = 0;
	ssize_t bytes;

	while ((bytes = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT)) >= 0) {
		text[bytes] = '\0';
		ck_assert_str_eq(text, "WATCHDOG=1");
		count++;
	}
	return count;
}

/* --- what is served ------------------------------------------------------------------------------- */

/* Asks on the admin socket; returns the status, and what was said. */
static int reload(const struct appliance *appliance, char text[APPLIANCE_TEXT_BYTES])
{
	json_t *rows = NULL;
	int r;

	r = appliance_ask(appliance->admin, "{\"verb\": \"reload\"}", &rows, text);
	if (r == 0) {
		ck_assert_uint_eq(json_array_size(rows), 1);
		snprintf(text, APPLIANCE_TEXT_BYTES, "%s", json_string_value(json_object_get(
			json_array_get(rows, 0), "progress")));
	}
	json_decref(rows);
	return r;
}

static void break_version(const struct appliance *appliance, const char *version)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/shoppers/%s", appliance->repository, version);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/shoppers/%s/model.onnx", appliance->repository, version);
	appliance_write(path, "this is no model");
}

/* --- tests ---------------------------------------------------------------------------------------- */

START_TEST(a_signal_makes_the_newest_version_current_and_the_manager_learns_when)
{
	struct appliance appliance;
	char text[256];
	int manager;

	appliance_init(&appliance);
	manager = manager_open(&appliance);
	appliance_start(&appliance, NULL);
	manager_hear(manager, text);
	ck_assert_str_eq(text, "READY=1");
	ck_assert_str_eq(appliance_served(&appliance), "2*");
	appliance_copy(&appliance, VERSION_1, "shoppers/3");
	ck_assert_int_eq(kill(appliance.pid, SIGHUP), 0);
	manager_hear(manager, text);
	ck_assert_msg(strncmp(text, "RELOADING=1\nMONOTONIC_USEC=", 27) == 0, "%s", text);
	ck_assert_uint_le(strtoull(text + 27, NULL, 10), clock_ns() / 1000);
	manager_hear(manager, text);
	ck_assert_str_eq(text, "READY=1");
	ck_assert_str_eq(appliance_served(&appliance), "3*");
	appliance_close(&appliance);
	manager_hear(manager, text);
	ck_assert_str_eq(text, "STOPPING=1");
	close(manager);
	unsetenv("NOTIFY_SOCKET");
}
END_TEST

static bool event_says(const struct appliance *appliance, const char *word)
{
	json_t *rows = appliance_rows(appliance, "events");
	bool has = rows_saying(rows, "text", word) > 0;

	json_decref(rows);
	return has;
}

START_TEST(sections_of_models_that_are_not_there_are_named)
{
	struct appliance appliance;

	appliance_init(&appliance);
	appliance_write(appliance.config, "[model shoppers]\nload = 1\n[model shopers]\nload = 1\n"
					  "[table other/table]\nmissing = zero\n");
	appliance_start(&appliance, NULL);
	ck_assert(event_says(&appliance, "[model shopers] of the configuration is of no model"));
	ck_assert(event_says(&appliance, "[table other/table] of the configuration is of no model"));
	ck_assert(!event_says(&appliance, "[model shoppers]"));
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_reload_that_finds_nothing_new_loads_nothing)
{
	struct appliance appliance;
	char text[APPLIANCE_TEXT_BYTES];

	appliance_open(&appliance, NULL);
	ck_assert_int_eq(reload(&appliance, text), 0);
	ck_assert_ptr_nonnull(strstr(text, "0 versions"));
	ck_assert_str_eq(appliance_served(&appliance), "2*");
	appliance_close(&appliance);
}
END_TEST

START_TEST(with_all_versions_the_older_ones_stay)
{
	struct appliance appliance;
	char text[APPLIANCE_TEXT_BYTES];

	appliance_open(&appliance, (const char *[]){ "--load", "all", NULL });
	ck_assert_str_eq(appliance_served(&appliance), "1 2*");
	appliance_copy(&appliance, VERSION_1, "shoppers/4");
	appliance_copy(&appliance, VERSION_1, "shoppers/3");
	ck_assert_int_eq(reload(&appliance, text), 0);
	ck_assert_ptr_nonnull(strstr(text, "2 versions"));
	ck_assert_str_eq(appliance_served(&appliance), "1 2 3 4*");
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_version_that_cannot_be_loaded_is_named_and_the_old_one_serves_on)
{
	struct appliance appliance;
	char text[APPLIANCE_TEXT_BYTES];

	appliance_open(&appliance, NULL);
	break_version(&appliance, "3");
	appliance_copy(&appliance, "tests/data/shoppers/repository/shoppers", "others");
	ck_assert_int_lt(reload(&appliance, text), 0);
	ck_assert_msg(strstr(text, "1 of 2 loads failed") && strstr(text, "shoppers@3"), "%s", text);
	ck_assert_str_eq(appliance_served(&appliance), "2* 2* 3!");
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_mended_version_is_loaded_by_the_next_reload)
{
	struct appliance appliance;
	char text[APPLIANCE_TEXT_BYTES];
	char path[200];

	appliance_open(&appliance, NULL);
	break_version(&appliance, "3");
	ck_assert_int_lt(reload(&appliance, text), 0);
	snprintf(path, sizeof(path), "%s/shoppers/3/model.onnx", appliance.repository);
	ck_assert_int_eq(unlink(path), 0);
	appliance_copy(&appliance, VERSION_1 "/model.onnx", "shoppers/3/model.onnx");
	ck_assert_int_eq(reload(&appliance, text), 0);
	ck_assert_str_eq(appliance_served(&appliance), "3*");
	appliance_close(&appliance);
}
END_TEST

START_TEST(the_infer_socket_takes_no_reload)
{
	struct appliance appliance;
	char text[APPLIANCE_TEXT_BYTES];

	appliance_open(&appliance, NULL);
	ck_assert_int_eq(appliance_ask(appliance.socket, "{\"verb\": \"reload\"}", NULL, text),
			 -EPERM);
	ck_assert_ptr_nonnull(strstr(text, appliance.admin));
	appliance_close(&appliance);
}
END_TEST

/* The control thread alone lives on: it answers, and must not answer for the other. */
START_TEST(the_watchdog_is_fed_only_while_the_serving_loop_runs)
{
	struct appliance appliance;
	char text[256];
	uint64_t begin_ns;
	pid_t thread;
	int manager;
	int status;

	appliance_init(&appliance);
	manager = manager_open(&appliance);
	appliance_start(&appliance, NULL);
	manager_hear(manager, text);
	ck_assert_str_eq(text, "READY=1");
	thread = thread_find(appliance.pid, "hearth-data");
	if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) < 0) {
		printf("SKIP: a thread cannot be stopped here: ptrace: %s\n", strerror(errno));
		appliance_close(&appliance);
		return;
	}
	ck_assert_int_eq(ptrace(PTRACE_INTERRUPT, thread, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(thread, &status, __WALL), thread);
	(void)manager_count_fed(manager);
	for (begin_ns = clock_ns(); clock_ns() - begin_ns < STOPPED_NS;)
		(void)appliance_number(&appliance, "pid");
	/* One for what it did before it was stopped. */
	ck_assert_uint_le(manager_count_fed(manager), 1);
	ck_assert_int_eq(ptrace(PTRACE_DETACH, thread, NULL, NULL), 0);
	ck_assert_int_gt(recv(manager, text, sizeof(text), 0), 0);
	ck_assert_int_eq(strncmp(text, "WATCHDOG=1", 10), 0);
	appliance_close(&appliance);
	close(manager);
	unsetenv("NOTIFY_SOCKET");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reload");
	TCase *cases = tcase_create("reload");

	tcase_set_timeout(cases, TIMEOUT_S);
	tcase_add_test(cases, a_signal_makes_the_newest_version_current_and_the_manager_learns_when);
	tcase_add_test(cases, sections_of_models_that_are_not_there_are_named);
	tcase_add_test(cases, a_reload_that_finds_nothing_new_loads_nothing);
	tcase_add_test(cases, with_all_versions_the_older_ones_stay);
	tcase_add_test(cases, a_version_that_cannot_be_loaded_is_named_and_the_old_one_serves_on);
	tcase_add_test(cases, a_mended_version_is_loaded_by_the_next_reload);
	tcase_add_test(cases, the_infer_socket_takes_no_reload);
	tcase_add_test(cases, the_watchdog_is_fed_only_while_the_serving_loop_runs);
	suite_add_tcase(suite, cases);
	return appliance_check(suite);
}

/* SPDX-License-Identifier: MIT */
/*
 * tests/places/test_charges.c - a client's segments are charged to its own control group
 *
 * The client writes every page of them first (client/open.h), so that its group pays, and its
 * group's limit is what stops it. Both versions of control groups will do; making groups wants root.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/hearth.h"
#include "tests/system/appliance.h"
#include "tests/system/crowd.h"

#define TIMEOUT_S 110
#define REQUEST_BYTES (UINT64_C(8) << 20)
#define RESPONSE_BYTES (UINT64_C(4) << 20)
#define BOTH_BYTES (REQUEST_BYTES + RESPONSE_BYTES)
#define LIMIT "6291456" /* less than what a client of these wants */
#define GROUPS_MAX 2

static struct {
	char root[128]; /* where control groups are mounted */
	bool is_old;    /* version 1 */
} groups;

static char group_names[GROUPS_MAX][192];
static int group_count;

/* --- groups -------------------------------------------------------------------------------------- */

static int word_write(const char *directory, const char *file, const char *word)
{
	char path[256];
	ssize_t written = -1;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		written = write(fd, word, strlen(word));
	close(fd);
	return written > 0 ? 0 : -1;
}

/* A hierarchy of the memory controller, mounted where only this test sees it. */
static bool groups_mount(const struct appliance *appliance)
{
	snprintf(groups.root, sizeof(groups.root), "%s/groups", appliance->directory);
	if (geteuid() != 0 || mkdir(groups.root, 0755) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	if (mount("none", groups.root, "cgroup2", 0, NULL) == 0) {
		if (word_write(groups.root, "cgroup.subtree_control", "+memory") == 0)
			return true;
		(void)umount(groups.root);
	}
	groups.is_old = mount("none", groups.root, "cgroup", 0, "memory") == 0;
	return groups.is_old;
}

static const char *group_new(const char *name)
{
	char *path = group_names[group_count++];

	snprintf(path, sizeof(group_names[0]), "%s/hearth-%d-%s", groups.root, (int)getpid(),
		 name);
	must(mkdir(path, 0755) == 0, "cannot make %s: %s", path, strerror(errno));
	return path;
}

static void group_enter(const char *group)
{
	must(word_write(group, "cgroup.procs", "0") == 0, "cannot enter %s", group);
}

static void group_limit(const char *group)
{
	must(word_write(group, groups.is_old ? "memory.limit_in_bytes" : "memory.max", LIMIT) == 0,
	     "%s takes no limit", group);
}

/* Its processes have ended. */
static void groups_remove(void)
{
	for (; group_count > 0; group_count--)
		await(rmdir(group_names[group_count - 1]) == 0);
}

/* What is charged to the group of memory that processes share. */
static uint64_t group_shared_bytes(const char *group)
{
	char path[256], key[64];
	uint64_t bytes, shared_bytes = UINT64_MAX;
	FILE *file;

	snprintf(path, sizeof(path), "%s/memory.stat", group);
	file = fopen(path, "re");
	must(file, "%s cannot be read", path);
	while (fscanf(file, "%63s %lu", key, &bytes) == 2)
		if (strcmp(key, "shmem") == 0)
			shared_bytes = bytes;
	fclose(file);
	must(shared_bytes != UINT64_MAX, "%s has no shmem", path);
	return shared_bytes;
}

/* --- processes ----------------------------------------------------------------------------------- */

static const char *daemon_group;

static void daemon_enter(const struct appliance *appliance)
{
	(void)appliance;
	group_enter(daemon_group);
}

struct visit {
	const char *socket;
	const char *group;
	uint64_t is_open;
	uint64_t may_close;
};

static void visitor_run(void *argument)
{
	struct hearth_options options = {
		.size = sizeof(options),
		.request_area_bytes = REQUEST_BYTES,
		.response_area_bytes = RESPONSE_BYTES,
	};
	struct visit *visit = argument;
	struct hearth *hearth;
	int r;

	group_enter(visit->group);
	r = hearth_open(visit->socket, &options, &hearth);
	must(r == 0, "no connection: %s", hearth_strerror(r));
	crowd_write(&visit->is_open, 1);
	await(crowd_read(&visit->may_close) == 1);
	hearth_close(hearth);
}

START_TEST(a_clients_segments_are_charged_to_its_own_group_and_given_back)
{
	struct visit *visit = crowd_share(sizeof(*visit));
	struct appliance appliance;
	uint64_t daemon_bytes;
	pid_t pid;

	appliance_init(&appliance);
	if (!groups_mount(&appliance)) {
		printf("SKIP: no control groups of memory can be made here\n");
		return;
	}
	daemon_group = group_new("daemon");
	appliance.prepare = daemon_enter;
	appliance_start(&appliance, NULL);
	daemon_bytes = group_shared_bytes(daemon_group);
	*visit = (struct visit){ .socket = appliance.socket, .group = group_new("client") };
	pid = crowd_start(visitor_run, visit);
	await(crowd_read(&visit->is_open) == 1);
	await(group_shared_bytes(visit->group) >= BOTH_BYTES);
	ck_assert_uint_lt(group_shared_bytes(daemon_group), daemon_bytes + RESPONSE_BYTES / 2);
	crowd_write(&visit->may_close, 1);
	crowd_finish(pid);
	await(group_shared_bytes(visit->group) < RESPONSE_BYTES / 2);
	appliance_close(&appliance);
	groups_remove();
}
END_TEST

START_TEST(a_client_whose_group_is_too_small_is_stopped_alone)
{
	struct visit *visit = crowd_share(sizeof(*visit));
	struct appliance appliance;
	uint32_t descriptors;
	struct hearth *hearth;
	int status = 0;
	pid_t pid;

	appliance_init(&appliance);
	if (!groups_mount(&appliance)) {
		printf("SKIP: no control groups of memory can be made here\n");
		return;
	}
	appliance_start(&appliance, NULL);
	descriptors = appliance_descriptors(&appliance);
	*visit = (struct visit){ .socket = appliance.socket, .group = group_new("client") };
	group_limit(visit->group);
	pid = crowd_start(visitor_run, visit);
	await(waitpid(pid, &status, WNOHANG) == pid);
	/* The kernel kills it, or tells it that there is no memory. */
	ck_assert(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL
				      : WEXITSTATUS(status) == EXIT_FAILURE);
	ck_assert_uint_eq(crowd_read(&visit->is_open), 0);
	appliance_await_clients(&appliance, 0, descriptors);
	ck_assert_int_eq(hearth_open(appliance.socket, NULL, &hearth), 0);
	hearth_close(hearth);
	appliance_close(&appliance);
	groups_remove();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("charges");
	TCase *tests = tcase_create("brief"); /* alone on a slow machine: test_guest.sh */

	tcase_set_timeout(tests, TIMEOUT_S);
	tcase_add_test(tests, a_clients_segments_are_charged_to_its_own_group_and_given_back);
	tcase_add_test(tests, a_client_whose_group_is_too_small_is_stopped_alone);
	suite_add_tcase(suite, tests);
	return appliance_check(suite);
}

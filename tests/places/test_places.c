/* SPDX-License-Identifier: MIT */
/*
 * tests/places/test_places.c - clients and daemons in other namespaces and on older kernels
 *
 * In each place a client connects, is served, and is killed while a child of its holds its socket
 * and both maps, so that only the end of the process can tell of its death. Where no pidfd can be
 * had the child goes on in its place, and the hang-up of the socket tells.
 */
#include <check.h>
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "places.h"
#include "tests/hostile/intruder.h"
#include "tests/system/appliance.h"
#include "tests/system/crowd.h"
#include "tests/system/ledger.h"

#define TIMEOUT_S 110
#define SO_PEERPIDFD_LINUX 77 /* SO_PEERPIDFD, Linux 6.5 */
#define OLD_KERNEL "no-peerpidfd=92" /* as before Linux 6.5 */
#define NO_PIDFD "no-pidfd=38"
#define NO_IO_URING "no-io_uring=1"
#define AREA_BYTES 4096
#define ID ((UINT64_C(1) << 32) | 1)
#define WORDS_MAX 4 /* the last is NULL */
#define NOBODY 1001 /* two users that are neither the daemon's nor root */
#define NOBODY_ELSE 1002

enum phase {
	PHASE_LIVING,
	PHASE_DEAD, /* the client is; its child may go on */
	PHASE_OVER,
};

struct place {
	const char *name;
	uint64_t client; /* CLONE_NEW* of the client */
	bool has_daemon_apart; /* in a pid namespace below the client's */
	const char *daemon[WORDS_MAX]; /* its place, as words */
	const char *death; /* NULL: pidfd where the kernel has SO_PEERPIDFD, else hup */
};

#define PLACES_BRIEF 4
static const struct place places[] = {
	{ "at home", 0, false, { NULL }, "pidfd" },
	{ "without any pidfd", 0, false, { OLD_KERNEL, NO_PIDFD }, "hup" },
	{ "client in a pid namespace", CLONE_NEWPID, false, { NULL }, "pidfd" },
	{ "daemon in a pid namespace", 0, true, { NULL }, NULL },
	/* From here on in other ways. */
	{ "on Linux 6.1", 0, false, { OLD_KERNEL }, "pidfd" },
	{ "client in a pid namespace, Linux 6.1", CLONE_NEWPID, false, { OLD_KERNEL }, "pidfd" },
	{ "client in a user namespace", CLONE_NEWUSER, false, { NULL }, "pidfd" },
	{ "client in both", CLONE_NEWUSER | CLONE_NEWPID, false, { NULL }, "pidfd" },
	{ "daemon in a user namespace", 0, false, { "user" }, "pidfd" },
	{ "daemon in a pid namespace, Linux 6.1", 0, true, { OLD_KERNEL }, "hup" },
	{ "without io_uring", 0, false, { NO_IO_URING }, "pidfd" },
	{ "without io_uring and any pidfd", 0, false, { NO_IO_URING, OLD_KERNEL, NO_PIDFD },
	  "hup" },
};

/* Shared by the test, the client and its child. */
struct stage {
	const struct appliance *appliance;
	uint64_t client_pid; /* in the test's namespace; 0: not served yet */
	uint64_t phase;
	uint64_t ended; /* children that have seen what they should */
	bool is_heir; /* the child goes on: its parent's death is not known */
};

static bool has_peerpidfd(void)
{
	socklen_t bytes = sizeof(int);
	bool has;
	int pidfd = -1;
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "no socket pair");
	has = getsockopt(ends[0], SOL_SOCKET, SO_PEERPIDFD_LINUX, &pidfd, &bytes) == 0;
	if (has)
		close(pidfd);
	close(ends[0]);
	close(ends[1]);
	return has;
}

/* --- the client ------------------------------------------------------------------------------- */

/* The mounted /proc is the test's, and so is the number that it shows. */
static uint64_t pid_outside(void)
{
	char text[32] = { 0 };

	must(readlink("/proc/self", text, sizeof(text) - 1) > 0, "no /proc/self");
	return strtoull(text, NULL, 10);
}

/* Holds what its dead parent had. */
static void child_run(struct stage *stage, struct intruder *intruder)
{
	struct hearth_completion_slot completion;

	await(crowd_read(&stage->phase) >= PHASE_DEAD);
	if (stage->is_heir) {
		intruder_ping(intruder, ID + 1);
	} else {
		struct hearth_request_slot ping = { .id = ID + 1, .operation = HEARTH_OP_PING };

		await(intruder_is_out(intruder));
		memset(intruder->base, 0xa5, intruder->layout.client_bytes);
		intruder_push(intruder, &ping);
	}
	crowd_add(&stage->ended, 1);
	await(crowd_read(&stage->phase) >= PHASE_OVER);
	must(!intruder_pop(intruder, &completion), "the dead are answered");
	_exit(EXIT_SUCCESS);
}

static void client_run(void *argument)
{
	struct stage *stage = argument;
	struct ledger_plan plan = {
		.socket = stage->appliance->socket,
		.slots = 4,
		.seed = 1,
		.requests = 20,
		.kinds = LEDGER_PING | LEDGER_INFER,
	};
	struct intruder intruder;

	ledger_run(&plan);
	intruder_open(&intruder, stage->appliance->socket, 4, AREA_BYTES, AREA_BYTES);
	intruder_ping(&intruder, ID);
	if (fork() == 0)
		child_run(stage, &intruder);
	crowd_write(&stage->client_pid, pid_outside());
	for (;;)
		pause();
}

/* The first process of a pid namespace takes all others along: it is not the client. */
static void parent_run(void *argument)
{
	crowd_start(client_run, argument);
	for (;;)
		pause();
}

/* --- what the daemon says --------------------------------------------------------------------- */

static json_int_t number_of(const json_t *row, const char *key)
{
	return json_integer_value(json_object_get(row, key));
}

/* The one client's pid, uid and way to die; and the last is in the table that a person reads. */
static void check_row(const struct appliance *appliance, uint64_t pid, uid_t uid,
		      const char *death)
{
	const char *build = getenv("BUILD");
	json_t *rows = appliance_rows(appliance, "clients");
	const json_t *row = json_array_get(rows, 0);
	bool is_shown = false;
	char command[256];
	char line[512];
	FILE *output;

	ck_assert_uint_eq(json_array_size(rows), 1);
	ck_assert_int_eq(number_of(row, "pid"), (json_int_t)pid);
	ck_assert_int_eq(number_of(row, "uid"), (json_int_t)uid);
	ck_assert_str_eq(json_string_value(json_object_get(row, "death")), death);
	json_decref(rows);

	snprintf(command, sizeof(command), "%s/bin/hearthctl --socket %s clients",
		 build && *build ? build : "build", appliance->socket);
	output = popen(command, "re");
	ck_assert_ptr_nonnull(output);
	while (fgets(line, sizeof(line), output))
		is_shown = is_shown || strstr(line, death);
	ck_assert_int_eq(pclose(output), 0);
	ck_assert(is_shown);
}

/* What has happened before a question is known when the second one is answered. */
static uint64_t clients_known(const struct appliance *appliance)
{
	appliance_number(appliance, "clients");
	return appliance_number(appliance, "clients");
}

static bool appliance_settle(struct appliance *appliance, const struct place *place)
{
	const char *wrapper[WORDS_MAX + 4] = { PLACE_WRAPPER };
	uint32_t count = 2;
	uint32_t word;
	int r = 0;

	for (word = 0; word < WORDS_MAX && place->daemon[word]; word++)
		wrapper[count++] = place->daemon[word];
	wrapper[count] = "--";
	if (word > 0)
		r = place_try(place->daemon);
	appliance_init(appliance);
	/* The next process is the first one of the namespace. */
	if (r == 0 && place->has_daemon_apart)
		r = place_pids_begin();
	if (r < 0) {
		printf("SKIP: %s cannot be: %s\n", place->name, strerror(-r));
		return false;
	}
	appliance->wrapper = wrapper;
	appliance_start(appliance, NULL);
	appliance->wrapper = NULL;
	if (place->has_daemon_apart)
		place_pids_end();
	return true;
}

START_TEST(a_client_of_any_place_is_served_and_its_death_is_seen)
{
	const struct place *place = places + _i;
	const char *death = place->death ? place->death : has_peerpidfd() ? "pidfd" : "hup";
	struct stage *stage = crowd_share(sizeof(*stage));
	struct appliance appliance;
	uint32_t descriptors;
	bool is_root_alone;
	pid_t parent;

	if (!appliance_settle(&appliance, place))
		return;
	descriptors = appliance_descriptors(&appliance);
	stage->appliance = &appliance;
	stage->is_heir = strcmp(death, "hup") == 0;
	parent = place_start(place->client, 0, parent_run, stage);
	if (parent < 0) {
		printf("SKIP: %s cannot be: %s\n", place->name, strerror(-parent));
		appliance_close(&appliance);
		return;
	}
	await(crowd_read(&stage->client_pid) != 0 || kill(parent, 0) < 0);
	is_root_alone = place->daemon[0] && strcmp(place->daemon[0], "user") == 0;
	check_row(&appliance, place->has_daemon_apart ? 0 : crowd_read(&stage->client_pid),
		  is_root_alone ? 0 : geteuid(), death);

	ck_assert_int_eq(kill((pid_t)crowd_read(&stage->client_pid), SIGKILL), 0);
	if (!stage->is_heir)
		appliance_await_clients(&appliance, 0, descriptors);
	crowd_write(&stage->phase, PHASE_DEAD);
	await(crowd_read(&stage->ended) == 1);
	ck_assert_uint_eq(clients_known(&appliance), stage->is_heir);
	crowd_write(&stage->phase, PHASE_OVER);
	appliance_await_clients(&appliance, 0, descriptors);
	crowd_kill(parent);
	appliance_close(&appliance);
}
END_TEST

/* --- users ------------------------------------------------------------------------------------ */

/* Opens both sockets and the way to them to everybody. */
static void expose(const struct appliance *appliance)
{
	char room[80];

	snprintf(room, sizeof(room), "%s", appliance->directory);
	*strrchr(room, '/') = '\0';
	ck_assert_int_eq(chmod(room, 0711), 0);
	ck_assert_int_eq(chmod(appliance->directory, 0711), 0);
	ck_assert_int_eq(chmod(appliance->socket, 0666), 0);
	ck_assert_int_eq(chmod(appliance->admin, 0666), 0);
}

struct user {
	const struct appliance *appliance;
	uid_t uid;
	uint64_t opened; /* 1: served; otherwise hearth_open's error, or'ed with REFUSED */
};
#define REFUSED (UINT64_C(1) << 32)

static void become(uid_t uid)
{
	must(setgroups(0, NULL) == 0 && setgid(uid) == 0 && setuid(uid) == 0, "cannot be uid %u",
	     uid);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 1);
}

static void user_run(void *argument)
{
	struct user *user = argument;
	struct hearth *hearth = NULL;
	int r;

	become(user->uid);
	r = hearth_open(user->appliance->socket, NULL, &hearth);
	crowd_write(&user->opened, r == 0 ? 1 : REFUSED | (uint32_t)-r);
	for (;;)
		pause();
}

static bool is_root(void)
{
	if (geteuid() == 0)
		return true;
	printf("SKIP: only root can be several users\n");
	return false;
}

START_TEST(users_that_the_daemon_has_no_number_for_share_one_quota)
{
	static const char *const flags[] = { "--clients-per-uid", "1", NULL };
	static const char *const wrapper[] = { PLACE_WRAPPER, "user", PLACE_END };
	struct user *users = crowd_share(3 * sizeof(*users));
	static const uid_t uids[] = { NOBODY, NOBODY_ELSE, 0 };
	struct appliance appliance;
	unsigned overflow = 0;
	pid_t pids[3];
	FILE *file;
	int index;

	if (!is_root())
		return;
	file = fopen("/proc/sys/kernel/overflowuid", "re");
	ck_assert(file && fscanf(file, "%u", &overflow) == 1);
	fclose(file);
	appliance_init(&appliance);
	appliance.wrapper = wrapper;
	appliance_start(&appliance, flags);
	expose(&appliance);
	for (index = 0; index < 3; index++) {
		users[index].appliance = &appliance;
		users[index].uid = uids[index];
		pids[index] = crowd_start(user_run, users + index);
		await(crowd_read(&users[index].opened) != 0);
		if (index == 0)
			check_row(&appliance, (uint64_t)pids[0], overflow, "pidfd");
	}
	ck_assert_uint_eq(users[0].opened, 1);
	ck_assert_uint_eq(users[1].opened, REFUSED | EDQUOT);
	ck_assert_uint_eq(users[2].opened, 1);
	for (index = 0; index < 3; index++)
		crowd_kill(pids[index]);
	await(appliance_number(&appliance, "clients") == 0);
	appliance_close(&appliance);
}
END_TEST

static void namespace_root_run(void *argument)
{
	struct user *user = argument;
	char text[APPLIANCE_TEXT_BYTES];
	struct hearth *hearth = NULL;
	int r;

	become(user->uid);
	must(place_enter((const char *[]){ "user", NULL }) == 0 && geteuid() == 0,
	     "no user namespace");
	r = appliance_change(user->appliance, "unload", "shoppers", 0, text);
	must(r == -EPERM, "unload: %d", r);
	r = hearth_open(user->appliance->socket, NULL, &hearth);
	crowd_write(&user->opened, r == 0 ? 1 : REFUSED | (uint32_t)-r);
	for (;;)
		pause();
}

START_TEST(the_root_of_a_user_namespace_is_an_ordinary_user_here)
{
	struct user *user = crowd_share(sizeof(*user));
	struct appliance appliance;
	pid_t pid;
	int r;

	if (!is_root())
		return;
	r = place_try((const char *[]){ "user", NULL });
	if (r < 0) {
		printf("SKIP: a user namespace cannot be: %s\n", strerror(-r));
		return;
	}
	appliance_open(&appliance, NULL);
	expose(&appliance);
	user->appliance = &appliance;
	user->uid = NOBODY;
	pid = crowd_start(namespace_root_run, user);
	await(crowd_read(&user->opened) != 0 || waitpid(pid, NULL, WNOHANG) != 0);
	ck_assert_uint_eq(user->opened, 1);
	check_row(&appliance, (uint64_t)pid, NOBODY, "pidfd");
	ck_assert_uint_eq(appliance_number(&appliance, "models"), 1);
	crowd_kill(pid);
	appliance_close(&appliance);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("places");
	TCase *brief = tcase_create("brief"); /* alone on a slow machine: test_guest.sh */
	TCase *namespaces = tcase_create("namespaces");
	TCase *users = tcase_create("users");

	place_main(argc, argv);
	tcase_set_timeout(brief, TIMEOUT_S);
	tcase_add_loop_test(brief, a_client_of_any_place_is_served_and_its_death_is_seen, 0,
			    PLACES_BRIEF);
	suite_add_tcase(suite, brief);
	tcase_set_timeout(namespaces, TIMEOUT_S);
	tcase_add_loop_test(namespaces, a_client_of_any_place_is_served_and_its_death_is_seen,
			    PLACES_BRIEF, sizeof(places) / sizeof(places[0]));
	suite_add_tcase(suite, namespaces);
	tcase_set_timeout(users, TIMEOUT_S);
	tcase_add_test(users, users_that_the_daemon_has_no_number_for_share_one_quota);
	tcase_add_test(users, the_root_of_a_user_namespace_is_an_ordinary_user_here);
	suite_add_tcase(suite, users);
	return appliance_check(suite);
}

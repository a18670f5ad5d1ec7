/* SPDX-License-Identifier: MIT */
/*
 * tests/hostile/test_sandbox.c - hearthd at work has given up what it does not need
 *
 * A library in a real hearthd tries what is denied, in each of its four
 * threads: every system call but the daemon's own, files, arguments, and every
 * operation of the rings. What is needed must still work, in the same threads.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/hostile/preload/burglar.h"
#include "tests/system/appliance.h"
#include "tests/system/crowd.h"
#include "tests/system/ledger.h"

#define TIMEOUT_S 120
#define EXIT_SKIP 77
#define REQUESTS 200
#define SERVED (LEDGER_PING | LEDGER_INFER | LEDGER_STREAM)
#define THREADS 4
#define NAMES (THREADS + 1)
#define CAPABILITY_READ_SEARCH (UINT64_C(1) << 2)
#define CAPABILITY_IPC_LOCK (UINT64_C(1) << 14)
#define ATTEMPTS_MIN 36
#define OPERATION_FUTEX_WAIT 51
#define OPERATION_FUTEX_WAKE 52
#define OPERATIONS_OLDEST 40 /* Linux 6.1 has more */

static const char *const thread_names[] = { "hearthd", "hearth-data", "hearth-load",
						 "hearth-work-",
						 "iou-wrk-" /* the kernel's, for a ring */ };

/* --- what the kernel says of a thread ------------------------------------------------------------ */

struct status {
	char name[16];
	unsigned int uid;
	unsigned int no_new_privileges;
	unsigned int seccomp;
	unsigned long capabilities_permitted;
	unsigned long capabilities_effective;
	unsigned long capabilities_bounding;
};

static struct status status_read(pid_t pid, const char *task)
{
	struct status status = { .seccomp = 9 };
	char path[300];
	char line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, task);
	file = fopen(path, "re");
	ck_assert_msg(file, "cannot read %s", path);
	while (fgets(line, sizeof(line), file)) {
		sscanf(line, "Name: %15s", status.name);
		sscanf(line, "Uid: %u", &status.uid);
		sscanf(line, "NoNewPrivs: %u", &status.no_new_privileges);
		sscanf(line, "Seccomp: %u", &status.seccomp);
		sscanf(line, "CapPrm: %lx", &status.capabilities_permitted);
		sscanf(line, "CapEff: %lx", &status.capabilities_effective);
		sscanf(line, "CapBnd: %lx", &status.capabilities_bounding);
	}
	fclose(file);
	return status;
}

/* A machine with one CPU has no worker, whatever it is asked for. */
static bool has_workers(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) < 0 || CPU_COUNT(&cpus) > 1;
}

/* Each of the threads is what it should be, and there is no other. */
static void check_threads(const struct appliance *appliance, unsigned int uid,
			  unsigned int seccomp, unsigned long capabilities)
{
	uint32_t seen[NAMES] = { 0 };
	struct dirent *entry;
	char path[64];
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", appliance->pid);
	tasks = opendir(path);
	ck_assert_ptr_nonnull(tasks);
	while ((entry = readdir(tasks))) {
		struct status status;
		uint32_t thread;

		if (entry->d_name[0] == '.')
			continue;
		status = status_read(appliance->pid, entry->d_name);
		for (thread = 0; thread < NAMES; thread++)
			if (strncmp(status.name, thread_names[thread],
				    thread < THREADS - 1 ? sizeof(status.name)
							 : strlen(thread_names[thread])) == 0)
				break;
		ck_assert_msg(thread < NAMES, "an unknown thread, %s", status.name);
		seen[thread]++;
		ck_assert_msg(status.no_new_privileges == 1, "%s may gain privileges", status.name);
		ck_assert_msg(status.seccomp == seccomp, "%s: seccomp %u", status.name,
			      status.seccomp);
		ck_assert_msg(status.uid == uid, "%s is uid %u", status.name, status.uid);
		ck_assert_msg((status.capabilities_permitted & ~capabilities) == 0 &&
				      (status.capabilities_effective & ~capabilities) == 0,
			      "%s: capabilities %lx, %lx", status.name,
			      status.capabilities_permitted, status.capabilities_effective);
		/* Who is not root had none to give up. */
		if (geteuid() == 0)
			ck_assert_msg(status.capabilities_bounding == 0, "%s: %lx to be had",
				      status.name, status.capabilities_bounding);
	}
	closedir(tasks);
	ck_assert(seen[0] == 1 && seen[1] == 1 && seen[2] == 1);
}

static void status_text(const struct appliance *appliance, const char *key, char text[256])
{
	json_t *rows = appliance_rows(appliance, "status");

	snprintf(text, 256, "%s",
		 json_string_value(json_object_get(json_array_get(rows, 0), key)));
	json_decref(rows);
}

/* Pings, rows, streams, and two loads. */
static void check_service(const struct appliance *appliance)
{
	struct ledger_plan plan = { .socket = appliance->socket, .kinds = SERVED, .seed = 1 };
	char text[APPLIANCE_TEXT_BYTES] = "";
	struct ledger ledger;

	ledger_open(&ledger, &plan);
	for (uint32_t request = 0; request < REQUESTS; request++)
		while (!ledger_submit(&ledger, 1u << request % 3))
			must(ledger_take(&ledger), "the daemon is gone");
	ledger_settle(&ledger);
	ledger_close(&ledger);
	for (uint32_t version = 1; version <= 2; version++) {
		int r = appliance_change(appliance, "swap", "shoppers", version, text);

		ck_assert_msg(r == 0, "swap to version %u: %s; %s", version, strerror(-r), text);
	}
}

START_TEST(every_thread_has_given_up_its_privileges)
{
	static const char *const flags[] = { "--workers", "2", NULL };
	unsigned long capabilities = CAPABILITY_IPC_LOCK;
	struct appliance appliance;

	if (geteuid() == 0)
		capabilities |= CAPABILITY_READ_SEARCH;
	appliance_open(&appliance, flags);
	check_threads(&appliance, geteuid(), 2, capabilities);
	check_service(&appliance);
	check_threads(&appliance, geteuid(), 2, capabilities);
	appliance_close(&appliance);
}
END_TEST

START_TEST(off_leaves_the_filters_out_and_says_so)
{
	static const char *const flags[] = { "--sandbox", "off", NULL };
	struct appliance appliance;
	char text[256];

	appliance_open(&appliance, flags);
	/* A container may have a filter of its own. */
	snprintf(text, sizeof(text), "%d", getpid());
	check_threads(&appliance, geteuid(), status_read(getpid(), text).seccomp,
		      CAPABILITY_IPC_LOCK | CAPABILITY_READ_SEARCH);
	status_text(&appliance, "sandbox", text);
	ck_assert_ptr_nonnull(strstr(text, "neither Landlock nor seccomp"));
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_root_that_was_told_whom_to_become_is_nobody_else)
{
	static const char *const flags[] = { "--user", "nobody", "--sandbox", "strict", NULL };
	const struct passwd *nobody = getpwnam("nobody");
	struct appliance appliance;
	struct stat status;
	char room[96];

	if (geteuid() != 0 || !nobody) {
		printf("SKIP: only root can become nobody\n");
		return;
	}
	appliance_init(&appliance);
	snprintf(room, sizeof(room), "%s/..", appliance.directory);
	must(chmod(room, 0711) == 0 &&
		     chown(appliance.directory, nobody->pw_uid, nobody->pw_gid) == 0,
	     "cannot give %s away", appliance.directory);
	appliance_start(&appliance, flags);
	check_threads(&appliance, nobody->pw_uid, 2, CAPABILITY_IPC_LOCK);
	ck_assert(stat(appliance.admin, &status) == 0 && status.st_uid == nobody->pw_uid &&
		  (status.st_mode & 0777) == 0600);
	check_service(&appliance);
	appliance_close(&appliance); /* removes its sockets */
}
END_TEST

START_TEST(who_is_that_user_already_stays_so)
{
	const struct passwd *myself = getpwuid(geteuid());
	const char *const flags[] = { "--user", myself ? myself->pw_name : NULL, NULL };
	struct appliance appliance;

	if (!myself) {
		printf("SKIP: uid %u has no name\n", geteuid());
		return;
	}
	appliance_open(&appliance, flags);
	check_service(&appliance);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_user_that_is_not_there_is_named)
{
	static const char *const flags[] = { "--user", "no-such-user", NULL };
	char text[APPLIANCE_TEXT_BYTES];
	struct appliance appliance;

	appliance_init(&appliance);
	ck_assert_int_eq(appliance_refuse(&appliance, flags, text), 1);
	ck_assert_ptr_nonnull(strstr(text, "no-such-user"));
}
END_TEST

START_TEST(a_client_is_named_although_its_path_is_hidden)
{
	struct appliance appliance;
	struct hearth *hearth = NULL;
	json_t *rows;
	json_t *row;

	appliance_open(&appliance, NULL);
	ck_assert_int_eq(hearth_open(appliance.socket, NULL, &hearth), 0);
	rows = appliance_rows(&appliance, "clients");
	row = json_array_get(rows, 0);
	ck_assert_str_eq(json_string_value(json_object_get(row, "exe")), "test_sandbox");
	ck_assert_str_eq(json_string_value(json_object_get(row, "death")), "pidfd");
	json_decref(rows);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

/* --- the burglar ------------------------------------------------------------------------------------ */

/* Compiles the library and has it loaded into what is started next. */
static void burglar_preload(const struct appliance *appliance)
{
	const char *compiler = getenv("CC");
	char command[1024];
	char path[256];

	snprintf(path, sizeof(path), "%s/burglar.so", appliance->directory);
	snprintf(command, sizeof(command),
		 "%s -std=gnu11 -D_GNU_SOURCE -O1 -fPIC -shared -I. -o %s "
		 "tests/hostile/preload/burglar.c -ldl",
		 compiler && *compiler ? compiler : "cc", path);
	must(system(command) == 0, "cannot compile: %s", command);
	setenv("LD_PRELOAD", path, 1);
}

static struct burglar *burglar_share(const struct appliance *appliance)
{
	struct burglar *burglar;
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/burglar", appliance->directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(fd >= 0 && ftruncate(fd, sizeof(*burglar)) == 0, "cannot make %s", path);
	burglar = mmap(NULL, sizeof(*burglar), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(burglar != MAP_FAILED, "cannot map %s", path);
	close(fd);
	setenv(BURGLAR_FILE, path, 1);
	snprintf(burglar->model, sizeof(burglar->model), "%s/shoppers/2/model.onnx",
		 appliance->repository);
	snprintf(burglar->outside, sizeof(burglar->outside), "%s-outside", appliance->directory);
	appliance_write(burglar->outside, "nobody's business\n");
	return burglar;
}

static void check_attempts(const struct burglar_report *report, const char *thread,
			   bool has_landlock)
{
	uint32_t number;
	uint32_t denied = 0;

	for (number = 0; number < BURGLAR_CALLS; number++) {
		ck_assert_msg(report->calls[number] == EPERM ||
				      report->calls[number] == BURGLAR_UNTRIED,
			      "%s: system call %u: %s", thread, number,
			      strerror(report->calls[number]));
		denied += report->calls[number] == EPERM;
	}
	ck_assert_uint_ge(denied, 400);
	ck_assert_uint_ge(report->attempt_count, ATTEMPTS_MIN);
	for (number = 0; number < report->attempt_count; number++) {
		const struct burglar_attempt *attempt = report->attempts + number;

		ck_assert_msg(attempt->found == attempt->expected ||
				      (attempt->expected == EACCES && !has_landlock),
			      "%s: %s: %s instead of %s", thread, attempt->name,
			      attempt->found ? strerror(attempt->found) : "done",
			      attempt->expected ? strerror(attempt->expected) : "done");
	}
	printf("%s: %u system calls and %u attempts as promised\n", thread, denied,
	       report->attempt_count);
}

static void check_operations(const struct burglar_report *report, const char *thread,
			     const uint8_t needed[4])
{
	bool has_futexes = memchr(needed, OPERATION_FUTEX_WAKE, 4) != NULL;
	bool is_known = true; /* behind the last operation of this kernel, none is */
	uint32_t denied = 0;
	uint32_t number;

	for (number = 0; number < BURGLAR_OPERATIONS; number++) {
		int32_t found = report->operations[number];

		if (memchr(needed, (int)number, 4))
			continue;
		if (found == EINVAL && denied > OPERATIONS_OLDEST)
			is_known = false;
		ck_assert_msg(found == (is_known ? EACCES : EINVAL),
			      "%s: io_uring operation %u: %s", thread, number, strerror(found));
		denied += found == EACCES;
	}
	for (number = 0; number < BURGLAR_FLAGS; number++) {
		int32_t found = report->flags[number];
		uint32_t flag = 1u << number;

		/* A wake is submitted so that it has no completion of its own. */
		ck_assert_msg(found == EACCES || flag == IOSQE_IO_DRAIN ||
				      (flag == IOSQE_CQE_SKIP_SUCCESS && has_futexes) ||
				      /* a cancellation reads into no buffer at all */
				      (flag == IOSQE_BUFFER_SELECT && found == EOPNOTSUPP),
			      "%s: io_uring flag %u: %s", thread, number, strerror(found));
	}
	/* So a refusal is no accident of how an entry was filled in. */
	ck_assert_int_eq(report->unflagged, ENOENT);
	printf("%s: %u operations and %d flags of io_uring refused\n", thread, denied,
	       BURGLAR_FLAGS - 1);
}

/* Where a service manager listens; the next daemon notifies it. */
static int manager_listen(const struct appliance *appliance)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/manager", appliance->directory);
	must(fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0,
	     "cannot bind %s", address.sun_path);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	return fd;
}

static bool manager_hears(int fd, const char *wanted)
{
	char text[64];
	ssize_t bytes;

	while ((bytes = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT)) >= 0) {
		text[bytes] = '\0';
		if (strcmp(text, wanted) == 0)
			return true;
	}
	return false;
}

enum way {
	WAY_DEFAULT,
	WAY_SOCKET, /* the data ring needs less */
	WAY_NOTIFY, /* the filter allows more, to notify a manager */
	WAY_POLL,   /* there are no rings */
	WAYS,
};

START_TEST(what_is_denied_is_refused_in_every_thread_every_time)
{
	const char *const flags[] = { "--bell", _i == WAY_SOCKET ? "socket" : "auto", "--wait",
				      _i == WAY_POLL ? "poll" : "auto", "--workers", "2", NULL };
	const uint8_t control[] = { IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
				    IORING_OP_POLL_ADD, IORING_OP_POLL_ADD };
	const uint8_t futexes[] = { IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
				    OPERATION_FUTEX_WAIT, OPERATION_FUTEX_WAKE };
	const uint8_t *data = _i == WAY_SOCKET ? control : futexes;
	struct burglar *burglar;
	struct appliance appliance;
	bool has_landlock;
	char text[256];
	uint32_t thread;
	int manager_fd;

	appliance_init(&appliance);
	manager_fd = _i == WAY_NOTIFY ? manager_listen(&appliance) : -1;
	burglar = burglar_share(&appliance);
	burglar_preload(&appliance);
	appliance_start(&appliance, flags);
	unsetenv("LD_PRELOAD");
	unsetenv(BURGLAR_FILE);
	status_text(&appliance, "sandbox", text);
	has_landlock = !strstr(text, "no Landlock");
	if (!has_landlock)
		printf("SKIP: the files, since this kernel has no Landlock\n");

	status_text(&appliance, "wait", text);
	burglar->has_no_rings = strcmp(text, "poll") == 0;
	if (burglar->has_no_rings && _i != WAY_POLL)
		printf("SKIP: the rings, since io_uring is not permitted\n");
	burglar->is_rung_by_socket = _i == WAY_SOCKET;
	crowd_write(&burglar->wanted, 1);
	check_service(&appliance);
	for (thread = 0; thread < THREADS; thread++) {
		if (thread == BURGLAR_WORKER && !has_workers())
			continue;
		await(crowd_read(&burglar->reports[thread].is_done));
		check_attempts(burglar->reports + thread, thread_names[thread], has_landlock);
	}
	if (!burglar->has_no_rings) {
		check_operations(burglar->reports + BURGLAR_CONTROL, "hearthd", control);
		check_operations(burglar->reports + BURGLAR_DATA, "hearth-data", data);
	}
	ck_assert(access(burglar->outside, F_OK) == 0);
	check_service(&appliance);
	await(_i != WAY_NOTIFY || manager_hears(manager_fd, "READY=1"));
	appliance_close(&appliance);
	await(_i != WAY_NOTIFY || manager_hears(manager_fd, "STOPPING=1"));
}
END_TEST

/* _i: which part is not there. */
START_TEST(a_part_that_the_kernel_lacks_is_named_and_strict_refuses_to_do_without)
{
	static const char *const parts[] = { "Landlock", "seccomp" };
	static const char *const strict[] = { "--sandbox", "strict", NULL };
	char refusal[APPLIANCE_TEXT_BYTES];
	struct appliance appliance;
	char missing[32];
	char text[256];

	snprintf(missing, sizeof(missing), "no %s: ", parts[_i]);
	appliance_init(&appliance);
	burglar_preload(&appliance);
	setenv(BURGLAR_LACKS, parts[_i], 1);
	ck_assert_int_eq(appliance_refuse(&appliance, strict, refusal), 1);
	ck_assert_ptr_nonnull(strstr(refusal, parts[_i]));
	appliance_start(&appliance, NULL);
	unsetenv("LD_PRELOAD");
	unsetenv(BURGLAR_LACKS);
	status_text(&appliance, "sandbox", text);
	ck_assert_msg(strstr(text, missing) && strstr(text, parts[1 - _i]), "%s", text);
	check_service(&appliance);
	appliance_close(&appliance);
}
END_TEST

static bool has_seccomp(void)
{
	return access("/proc/sys/kernel/seccomp/actions_avail", F_OK) == 0;
}

int main(void)
{
	Suite *suite;
	TCase *cases;

	if (CROWD_SLOWDOWN > 1) {
		printf("SKIP: a sanitizer's runtime asks for more than the filter allows\n");
		return EXIT_SKIP;
	}
	if (!has_seccomp()) {
		printf("SKIP: this kernel has no seccomp filters\n");
		return EXIT_SKIP;
	}
	suite = suite_create("sandbox");
	cases = tcase_create("sandbox");
	tcase_set_timeout(cases, TIMEOUT_S);
	tcase_add_test(cases, every_thread_has_given_up_its_privileges);
	tcase_add_test(cases, off_leaves_the_filters_out_and_says_so);
	tcase_add_test(cases, a_root_that_was_told_whom_to_become_is_nobody_else);
	tcase_add_test(cases, who_is_that_user_already_stays_so);
	tcase_add_test(cases, a_user_that_is_not_there_is_named);
	tcase_add_test(cases, a_client_is_named_although_its_path_is_hidden);
	tcase_add_loop_test(cases, what_is_denied_is_refused_in_every_thread_every_time, 0,
			    WAYS);
	tcase_add_loop_test(cases,
			    a_part_that_the_kernel_lacks_is_named_and_strict_refuses_to_do_without,
			    0, 2);
	suite_add_tcase(suite, cases);
	return appliance_check(suite);
}

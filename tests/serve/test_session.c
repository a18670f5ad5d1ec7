/* SPDX-License-Identifier: MIT */
/* tests/serve/test_session.c - whose death a session watches, also where a pid is used again */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "serve/session.h"
#include "tests/suite.h"
#include "tests/system/crowd.h"
#include "tests/places/places.h"

/* As before Linux 6.5, and with pidfd_open gone as well. */
#define OLD_KERNEL "no-peerpidfd=92"
#define NO_PIDFD "no-pidfd=38"
/* As Linux 6.5 to 6.15 say that the peer is dead. */
#define PEER_GONE "no-peerpidfd=3"

#define REUSES_MAX 100

static int listener;
static struct sockaddr_un address;
static uint64_t *connected; /* shared */

static void setup(void)
{
	connected = crowd_share(sizeof(*connected));
	address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	/* An abstract name of its own, which ends with the test. */
	snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "hearth-session-%d",
		 (int)getpid());
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, 16), 0);
}

static void connect_and_sleep(void *argument)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)argument;
	must(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "no connection");
	crowd_add(connected, 1);
	for (;;)
		pause();
}

static void sleep_on(void *argument)
{
	(void)argument;
	for (;;)
		pause();
}

static pid_t client_start(void)
{
	uint64_t before = crowd_read(connected);
	pid_t pid = crowd_start(connect_and_sleep, NULL);

	await(crowd_read(connected) > before);
	return pid;
}

static struct session *session_accept(void)
{
	int fd = accept(listener, NULL, NULL);
	static struct shares shares;
	struct session *session;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(session_new(fd, false, &shares, &session), 0);
	return session;
}

/* 0: it watches nobody. */
static pid_t session_watches(const struct session *session)
{
	char line[128];
	char path[64];
	int pid = 0;
	FILE *file;

	if (session->pidfd < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", session->pidfd);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file) && sscanf(line, "Pid: %d", &pid) != 1)
		;
	fclose(file);
	return pid;
}

static bool is_over(const struct session *session)
{
	struct pollfd poller = { .fd = session->pidfd, .events = POLLIN };

	return poll(&poller, 1, 0) == 1;
}

/* Words that take calls away from the test's own process; false: not here. */
static bool kernel_without(const char *const words[])
{
	int r = place_enter(words);

	if (r < 0)
		printf("SKIP: no system call can be taken away here: %s\n", strerror(-r));
	return r == 0;
}

static const char *const kernels[][2] = { { NULL }, { OLD_KERNEL, NULL } };

START_TEST(the_process_that_connected_is_watched)
{
	struct session *session;
	pid_t pid;

	if (!kernel_without(kernels[_i]))
		return;
	pid = client_start();
	session = session_accept();
	ck_assert_int_eq(session_watches(session), pid);
	ck_assert(!is_over(session));
	crowd_kill(pid);
	ck_assert(is_over(session));
	session_free(session);
}
END_TEST

START_TEST(a_stranger_with_the_pid_of_a_dead_peer_is_not_watched)
{
	struct session *session;
	pid_t stranger = -EEXIST;
	pid_t pid = 0;
	uint32_t turn;

	if (!kernel_without(kernels[_i]))
		return;
	for (turn = 0; turn < REUSES_MAX && stranger == -EEXIST; turn++) {
		if (pid > 0)
			session_free(session_accept());
		pid = client_start();
		crowd_kill(pid);
		stranger = place_start(0, pid, sleep_on, NULL);
	}
	if (stranger < 0) {
		printf("SKIP: no pid can be chosen here: %s\n", strerror(-stranger));
		return;
	}
	session = session_accept();
	ck_assert_int_eq(session->pid, stranger);
	ck_assert_int_ne(session_watches(session), stranger);
	session_free(session);
	crowd_kill(stranger);
}
END_TEST

static const char *const blind_kernels[][3] = {
	{ PEER_GONE, NULL }, { OLD_KERNEL, NO_PIDFD, NULL },
};

START_TEST(nobody_is_watched_when_the_peer_cannot_be_named)
{
	struct session *session;
	pid_t pid;

	if (!kernel_without(blind_kernels[_i]))
		return;
	pid = client_start();
	session = session_accept();
	ck_assert_int_eq(session->pid, pid);
	ck_assert_int_eq(session_watches(session), 0);
	session_free(session);
	crowd_kill(pid);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("session");
	TCase *brief = tcase_create("brief"); /* test_guest.sh runs it, too */

	place_main(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	tcase_add_checked_fixture(brief, setup, NULL);
	tcase_add_loop_test(brief, the_process_that_connected_is_watched, 0, 2);
	tcase_add_loop_test(brief, a_stranger_with_the_pid_of_a_dead_peer_is_not_watched, 0, 2);
	tcase_add_loop_test(brief, nobody_is_watched_when_the_peer_cannot_be_named, 0, 2);
	suite_add_tcase(suite, brief);
	return suite_run(suite);
}

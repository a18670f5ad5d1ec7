/* SPDX-License-Identifier: MIT */
/*
 * tests/ops/test_listen.c - sockets that systemd hands over, and descriptors that are none of them
 *
 * Each test is a process of its own, in which systemd's part is played: the
 * descriptors from 3 on are replaced, and the environment tells of them.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ops/listen.h"
#include "tests/suite.h"

#define FIRST_FD 3
#define PARKED_FD 100
#define RESERVE 4

static char folder[] = "/tmp/hearth-listen-XXXXXX";
static char infer_path[64];
static char admin_path[64];

static void make_folder(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(infer_path, sizeof(infer_path), "%s/socket", folder);
	snprintf(admin_path, sizeof(admin_path), "%s/socket.admin", folder);
}

static void remove_folder(void)
{
	unlink(infer_path);
	unlink(admin_path);
	rmdir(folder);
}

static int socket_at(const char *path, int type, bool listens)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type, 0);

	ck_assert_int_ge(fd, 0);
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	if (listens)
		ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

/* Those from 3 on are main's reserve, so that none of Check's own is among them. */
static void hand_over(uint32_t count, const int fds[], const char *names)
{
	int parked[RESERVE];
	char text[16];
	uint32_t index;

	for (index = 0; index < count; index++) {
		parked[index] = fcntl(fds[index], F_DUPFD, PARKED_FD);
		ck_assert_int_ge(parked[index], 0);
		close(fds[index]);
	}
	for (index = 0; index < count; index++) {
		ck_assert_int_ge(dup2(parked[index], FIRST_FD + (int)index), 0);
		close(parked[index]);
	}
	snprintf(text, sizeof(text), "%u", count);
	setenv("LISTEN_FDS", text, 1);
	snprintf(text, sizeof(text), "%d", getpid());
	setenv("LISTEN_PID", text, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

/* Takes what is called "weights", and nothing else. */
static bool weights_take(void *context, const char *name, int fd)
{
	int *taken_fd = context;

	if (strcmp(name, "weights") != 0)
		return false;
	*taken_fd = fd;
	return true;
}

static int inherit(int *ret_infer_fd, int *ret_admin_fd, int *ret_taken_fd)
{
	return listen_inherit(infer_path, admin_path, weights_take, ret_taken_fd, ret_infer_fd,
			      ret_admin_fd);
}

static void assert_refused(const char *word)
{
	int infer_fd = -1;
	int admin_fd = -1;
	int taken_fd = -1;

	ck_assert_int_lt(inherit(&infer_fd, &admin_fd, &taken_fd), 0);
	ck_assert_msg(strstr(err_message(), word), "\"%s\" does not say %s", err_message(), word);
	ck_assert_int_eq(infer_fd, -1);
	ck_assert_int_eq(admin_fd, -1);
	ck_assert_int_lt(fcntl(FIRST_FD, F_GETFD), 0);
}

START_TEST(without_systemd_there_are_none)
{
	int infer_fd = -1;
	int admin_fd = -1;
	int taken_fd = -1;

	unsetenv("LISTEN_FDS");
	ck_assert_int_eq(inherit(&infer_fd, &admin_fd, &taken_fd), LISTEN_E_NONE);
	ck_assert_int_eq(infer_fd, -1);
}
END_TEST

START_TEST(the_sockets_are_told_apart_by_name_and_are_ready_to_use)
{
	int fds[] = { socket_at(admin_path, SOCK_SEQPACKET, true),
		      socket_at(infer_path, SOCK_SEQPACKET, true) };
	int infer_fd = -1;
	int admin_fd = -1;
	int taken_fd = -1;
	int fd;

	hand_over(2, fds, "admin:infer");
	ck_assert_int_eq(inherit(&infer_fd, &admin_fd, &taken_fd), 0);
	ck_assert_int_eq(admin_fd, FIRST_FD);
	ck_assert_int_eq(infer_fd, FIRST_FD + 1);
	for (fd = admin_fd; fd <= infer_fd; fd++) {
		ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		ck_assert_int_eq(accept(fd, NULL, NULL), -1);
		ck_assert_int_eq(errno, EAGAIN);
	}
	ck_assert_ptr_null(getenv("LISTEN_FDS"));
	listen_close(NULL, admin_fd);
	listen_close(infer_path, infer_fd);
	ck_assert_int_eq(access(admin_path, F_OK), 0);
	ck_assert_int_lt(access(infer_path, F_OK), 0);
}
END_TEST

START_TEST(a_descriptor_of_another_name_is_taken_or_closed)
{
	int fds[] = { open("/dev/null", O_RDONLY | O_CLOEXEC),
		      socket_at(infer_path, SOCK_SEQPACKET, true),
		      socket_at(admin_path, SOCK_SEQPACKET, true),
		      open("/dev/null", O_RDONLY | O_CLOEXEC) };
	int infer_fd = -1;
	int admin_fd = -1;
	int taken_fd = -1;

	hand_over(4, fds, "weighs:infer:admin:weights");
	ck_assert_int_eq(inherit(&infer_fd, &admin_fd, &taken_fd), 0);
	ck_assert_int_lt(fcntl(FIRST_FD, F_GETFD), 0);
	ck_assert_int_eq(infer_fd, FIRST_FD + 1);
	ck_assert_int_eq(admin_fd, FIRST_FD + 2);
	ck_assert_int_eq(taken_fd, FIRST_FD + 3);
	ck_assert_int_eq(fcntl(taken_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}
END_TEST

START_TEST(without_sockets_the_rest_is_taken)
{
	int fds[] = { open("/dev/null", O_RDONLY | O_CLOEXEC) };
	int infer_fd = -1;
	int admin_fd = -1;
	int taken_fd = -1;

	hand_over(1, fds, "weights");
	ck_assert_int_eq(inherit(&infer_fd, &admin_fd, &taken_fd), LISTEN_E_NONE);
	ck_assert_int_eq(taken_fd, FIRST_FD);
}
END_TEST

START_TEST(one_of_two_is_refused_and_names_both_units)
{
	int fds[] = { socket_at(infer_path, SOCK_SEQPACKET, true) };

	hand_over(1, fds, "infer");
	assert_refused("hearthd-admin.socket");
}
END_TEST

START_TEST(a_socket_of_bytes_is_refused)
{
	int fds[] = { socket_at(infer_path, SOCK_STREAM, true),
		      socket_at(admin_path, SOCK_SEQPACKET, true) };

	hand_over(2, fds, "infer:admin");
	assert_refused("ListenSequentialPacket=");
}
END_TEST

START_TEST(a_socket_that_does_not_listen_is_refused)
{
	int fds[] = { socket_at(infer_path, SOCK_SEQPACKET, false),
		      socket_at(admin_path, SOCK_SEQPACKET, true) };

	hand_over(2, fds, "infer:admin");
	assert_refused("listens");
}
END_TEST

START_TEST(a_socket_at_another_path_is_refused)
{
	int fds[] = { socket_at(admin_path, SOCK_SEQPACKET, true),
		      socket_at(infer_path, SOCK_SEQPACKET, true) };

	hand_over(2, fds, "infer:admin");
	assert_refused(infer_path);
}
END_TEST

START_TEST(a_count_that_is_no_number_is_refused)
{
	int fds[] = { socket_at(infer_path, SOCK_SEQPACKET, true) };
	int infer_fd = -1;
	int admin_fd = -1;
	int taken_fd = -1;

	hand_over(1, fds, "infer");
	setenv("LISTEN_FDS", "two", 1);
	ck_assert_int_lt(inherit(&infer_fd, &admin_fd, &taken_fd), 0);
	ck_assert_msg(strstr(err_message(), "LISTEN_FDS"), "\"%s\"", err_message());
}
END_TEST

START_TEST(a_path_at_which_somebody_listens_is_left_to_them)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
	uint32_t index;
	int fd;

	for (index = 0; index < 4; index++) {
		int other_fd = socket_at(infer_path, types[index / 2], true);

		ck_assert_int_eq(listen_open(infer_path, types[index % 2], 0600, NULL, &fd),
				 -EADDRINUSE);
		ck_assert_int_eq(access(infer_path, F_OK), 0);
		listen_close(infer_path, other_fd);
	}
}
END_TEST

START_TEST(a_path_at_which_nobody_listens_any_more_is_taken)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
	uint32_t index;
	int fd = -1;

	for (index = 0; index < 2; index++) {
		close(socket_at(infer_path, types[index], true));
		ck_assert_int_eq(listen_open(infer_path, types[index], 0600, NULL, &fd), 0);
		listen_close(infer_path, fd);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("listen");
	TCase *cases = tcase_create("listen");
	int fd;

	do
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && fd < FIRST_FD + RESERVE - 1);
	tcase_add_checked_fixture(cases, make_folder, remove_folder);
	tcase_add_test(cases, without_systemd_there_are_none);
	tcase_add_test(cases, the_sockets_are_told_apart_by_name_and_are_ready_to_use);
	tcase_add_test(cases, a_descriptor_of_another_name_is_taken_or_closed);
	tcase_add_test(cases, without_sockets_the_rest_is_taken);
	tcase_add_test(cases, one_of_two_is_refused_and_names_both_units);
	tcase_add_test(cases, a_socket_of_bytes_is_refused);
	tcase_add_test(cases, a_socket_that_does_not_listen_is_refused);
	tcase_add_test(cases, a_socket_at_another_path_is_refused);
	tcase_add_test(cases, a_count_that_is_no_number_is_refused);
	tcase_add_test(cases, a_path_at_which_somebody_listens_is_left_to_them);
	tcase_add_test(cases, a_path_at_which_nobody_listens_any_more_is_taken);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/ops/test_store.c - what systemd is told and given, and what it gave */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ops/store.h"
#include "tests/suite.h"

static char path[64];
static int manager;
static struct store store;

static void make_manager(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(path, sizeof(path), "/tmp/hearth-store-%d", getpid());
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(manager, (const struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", path, 1);
}

static void remove_manager(void)
{
	unlink(path);
	close(manager);
	store_deinit(&store);
}

/* Returns the descriptor that came with it, or -1. */
static int hear(char text[128])
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec vector = { text, 127 };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	ssize_t bytes = recvmsg(manager, &message, MSG_CMSG_CLOEXEC);
	int fd = -1;

	ck_assert_int_ge(bytes, 0);
	text[bytes] = '\0';
	if (CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static int memory_new(void)
{
	int fd = memfd_create("store", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(what_is_pushed_arrives_with_its_name_and_stays_open_here)
{
	struct stat here, there;
	char text[128];
	int fd = memory_new();
	int came;

	ck_assert(store_is_there());
	ck_assert_int_eq(store_push("weights.7", fd), 0);
	came = hear(text);
	ck_assert_str_eq(text, "FDSTORE=1\nFDNAME=weights.7");
	ck_assert_int_eq(fstat(fd, &here), 0);
	ck_assert_int_eq(fstat(came, &there), 0);
	ck_assert_uint_eq(here.st_ino, there.st_ino);
	close(came);
	close(fd);
}
END_TEST

START_TEST(what_is_removed_is_named)
{
	char text[128];

	store_remove("manifest.0");
	ck_assert_int_eq(hear(text), -1);
	ck_assert_str_eq(text, "FDSTOREREMOVE=1\nFDNAME=manifest.0");
}
END_TEST

START_TEST(without_a_manager_a_push_says_so)
{
	int fd = memory_new();

	unsetenv("NOTIFY_SOCKET");
	ck_assert(!store_is_there());
	ck_assert_int_lt(store_push("weights.7", fd), 0);
	ck_assert_ptr_nonnull(strstr(err_message(), "NOTIFY_SOCKET"));
	setenv("NOTIFY_SOCKET", path, 1);
	close(fd);
}
END_TEST

START_TEST(a_manager_that_is_gone_is_an_error_with_the_name)
{
	int fd = memory_new();

	unlink(path);
	ck_assert_int_lt(store_push("weights.7", fd), 0);
	ck_assert_ptr_nonnull(strstr(err_message(), "weights.7"));
	close(fd);
}
END_TEST

START_TEST(names_that_are_not_its_own_are_not_taken)
{
	static const char *const others[] = { "", "stored", "weights", "weights.", ".7", "weights.x",
					      "weights.7x",
					      "other.7", "weight.7", "weightss.7",
					      "weights.1234567890123456789012345678901234567890" };
	int fd = memory_new();
	uint32_t index;

	for (index = 0; index < sizeof(others) / sizeof(others[0]); index++)
		ck_assert_msg(!store_take(&store, others[index], fd), "%s", others[index]);
	ck_assert_uint_eq(store.entry_count, 0);
	close(fd);
}
END_TEST

START_TEST(what_came_is_found_by_name_and_claimed_once)
{
	int weights_fd = memory_new();
	int model_fd = memory_new();

	ck_assert(store_take(&store, "weights.7", weights_fd));
	ck_assert(store_take(&store, "model.7", model_fd));
	ck_assert_int_eq(store_find(&store, "weights.7"), weights_fd);
	ck_assert_int_eq(store_find(&store, "weights.8"), -1);
	ck_assert_int_eq(store_claim(&store, "weights.7"), weights_fd);
	ck_assert_int_eq(store_claim(&store, "weights.7"), -1);
	store_deinit(&store);
	ck_assert_int_ge(fcntl(weights_fd, F_GETFD), 0);
	ck_assert_int_lt(fcntl(model_fd, F_GETFD), 0);
	close(weights_fd);
}
END_TEST

/* Which of the two it is nobody can know. */
START_TEST(a_name_that_came_twice_is_not_found)
{
	ck_assert(store_take(&store, "weights.7", memory_new()));
	ck_assert(store_take(&store, "weights.7", memory_new()));
	ck_assert_int_eq(store_find(&store, "weights.7"), -1);
	ck_assert_int_eq(store_claim(&store, "weights.7"), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *cases = tcase_create("store");

	tcase_add_checked_fixture(cases, make_manager, remove_manager);
	tcase_add_test(cases, what_is_pushed_arrives_with_its_name_and_stays_open_here);
	tcase_add_test(cases, what_is_removed_is_named);
	tcase_add_test(cases, without_a_manager_a_push_says_so);
	tcase_add_test(cases, a_manager_that_is_gone_is_an_error_with_the_name);
	tcase_add_test(cases, names_that_are_not_its_own_are_not_taken);
	tcase_add_test(cases, what_came_is_found_by_name_and_claimed_once);
	tcase_add_test(cases, a_name_that_came_twice_is_not_found);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}

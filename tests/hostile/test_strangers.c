/* SPDX-License-Identifier: MIT */
/*
 * tests/hostile/test_strangers.c - anybody may connect and say anything; the others notice nothing
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "garbage.h"
#include "intruder.h"
#include "tests/model/onnx_writer.h"
#include "tests/system/appliance.h"
#include "tests/system/crowd.h"
#include "tests/system/neighbour.h"

#define TIMEOUT_S 110
#define AREA_BYTES 65536
#define ID ((UINT64_C(1) << 32) | 1)
#define SLOTS 16

/* --- the handshake ----------------------------------------------------------------------------------------- */

static void send_raw(const struct intruder *intruder, const void *packet, size_t bytes)
{
	ck_assert_int_eq(send(intruder->fd, packet, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
}

static void half_a_hello(struct intruder *intruder)
{
	struct hearth_hello hello;

	intruder_hello_init(&hello);
	send_raw(intruder, &hello, 10);
}

static void hello_of_a_head(struct intruder *intruder)
{
	struct hearth_hello hello;

	intruder_hello_init(&hello);
	hello.message.bytes = sizeof(hello.message);
	send_raw(intruder, &hello, sizeof(hello.message));
}

static void wrong_magic(struct intruder *intruder)
{
	struct hearth_hello hello;

	intruder_hello_init(&hello);
	hello.message.magic++;
	send_raw(intruder, &hello, sizeof(hello));
}

static void wrong_length(struct intruder *intruder)
{
	struct hearth_hello hello;

	intruder_hello_init(&hello);
	hello.message.bytes++;
	send_raw(intruder, &hello, sizeof(hello));
}

static void unknown_type(struct intruder *intruder)
{
	ck_assert_int_eq(intruder_say(intruder, 999, NULL, 0), 0);
}

static void ready_without_hello(struct intruder *intruder)
{
	intruder_enter(intruder);
}

static void ready_twice(struct intruder *intruder)
{
	ck_assert_int_eq(intruder_greet(intruder, 4, 4096, 4096), 0);
	intruder_enter(intruder);
	intruder_enter(intruder);
}

static void giant_packet(struct intruder *intruder)
{
	static uint8_t packet[100000];
	struct hearth_message head = { .magic = HEARTH_MAGIC, .type = HEARTH_MESSAGE_CONTROL,
				       .bytes = sizeof(packet) };

	memcpy(packet, &head, sizeof(head));
	send_raw(intruder, packet, sizeof(packet));
}

static void empty_packet(struct intruder *intruder)
{
	ck_assert_int_eq(send(intruder->fd, "", 0, MSG_NOSIGNAL), 0);
}

static void (*const rudenesses[])(struct intruder *) = {
	half_a_hello, hello_of_a_head, wrong_magic, wrong_length, unknown_type,
	ready_without_hello, ready_twice, giant_packet, empty_packet,
};

START_TEST(who_breaks_the_handshake_is_let_go)
{
	struct neighbour neighbour;
	struct appliance appliance;
	struct intruder intruder;
	uint32_t descriptors;
	uint32_t index;

	appliance_open(&appliance, NULL);
	neighbour = neighbour_begin(&appliance);
	descriptors = appliance_descriptors(&appliance);
	for (index = 0; index < sizeof(rudenesses) / sizeof(rudenesses[0]); index++) {
		ck_assert_int_eq(intruder_connect(&intruder, appliance.socket), 0);
		rudenesses[index](&intruder);
		await(intruder_is_out(&intruder));
		intruder_close(&intruder);
	}
	appliance_await_clients(&appliance, 1, descriptors);
	neighbour_end(&neighbour);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_hello_that_cannot_be_granted_is_refused_with_a_sentence)
{
	static const struct {
		uint32_t slots;
		uint32_t request_area_bytes;
		uint32_t response_area_bytes;
	} wishes[] = {
		{ 4097, 4096, 4096 },	      { UINT32_MAX, 4096, 4096 },
		{ 4, (1u << 30) + 1, 4096 },  { 4, 4096, (1u << 30) + 1 },
		{ 4, UINT32_MAX, UINT32_MAX },
	};
	struct hearth_hello hello;
	struct appliance appliance;
	struct intruder intruder;
	uint32_t descriptors;
	uint32_t index;

	appliance_open(&appliance, NULL);
	descriptors = appliance_descriptors(&appliance);
	for (index = 0; index < sizeof(wishes) / sizeof(wishes[0]); index++) {
		ck_assert_int_eq(intruder_connect(&intruder, appliance.socket), 0);
		ck_assert_int_eq(intruder_greet(&intruder, wishes[index].slots,
						wishes[index].request_area_bytes,
						wishes[index].response_area_bytes), -EINVAL);
		ck_assert_uint_ge(strlen(intruder.reply.text), 20);
		/* Another try over the same socket is welcome. */
		ck_assert_int_eq(intruder_greet(&intruder, 4, 4096, 4096), 0);
		/* And the third has its segments already. */
		ck_assert_int_eq(intruder_greet(&intruder, 4, 4096, 4096), -EALREADY);
		intruder_enter(&intruder);
		intruder_ping(&intruder, ID);
		intruder_close(&intruder);
	}
	ck_assert_int_eq(intruder_connect(&intruder, appliance.socket), 0);
	intruder_hello_init(&hello);
	hello.flags = 1;
	send_raw(&intruder, &hello, sizeof(hello));
	ck_assert_int_eq(recv(intruder.fd, &intruder.reply, sizeof(intruder.reply), 0),
			 sizeof(intruder.reply));
	ck_assert_int_eq(intruder.reply.message.status, -EINVAL);
	intruder_close(&intruder);
	appliance_await_clients(&appliance, 0, descriptors);
	appliance_close(&appliance);
}
END_TEST

START_TEST(descriptors_sent_along_are_dropped)
{
	union {
		struct cmsghdr header;
		uint8_t bytes[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct hearth_message bell = { .magic = HEARTH_MAGIC, .type = HEARTH_MESSAGE_BELL,
				       .bytes = sizeof(bell) };
	struct iovec part = { &bell, sizeof(bell) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct appliance appliance;
	struct intruder intruder;
	uint32_t descriptors;
	uint32_t turn;
	int fds[8] = { 0, 1, 2, 0, 1, 2, 0, 1 };

	appliance_open(&appliance, NULL);
	intruder_open(&intruder, appliance.socket, SLOTS, AREA_BYTES, AREA_BYTES);
	intruder_ping(&intruder, ID);
	descriptors = appliance_descriptors(&appliance);
	message.msg_control = &control;
	message.msg_controllen = sizeof(control);
	memset(&control, 0, sizeof(control));
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
	/* Refused at once where the kernel can (SO_PASSRIGHTS, Linux 6.16), else dropped on receipt. */
	for (turn = 0; turn < 200; turn++)
		ck_assert(sendmsg(intruder.fd, &message, MSG_NOSIGNAL) == sizeof(bell) ||
			  errno == EPERM);
	intruder_ping(&intruder, ID);
	appliance_await_clients(&appliance, 1, descriptors);
	intruder_close(&intruder);
	appliance_close(&appliance);
}
END_TEST

START_TEST(three_hundred_connections_are_held_to_the_users_share)
{
	enum { COUNT = 300, LIMIT = 256 };
	static struct intruder intruders[COUNT];
	struct rlimit files = { 2048, 2048 };
	struct appliance appliance;
	uint32_t descriptors;
	uint32_t granted = 0;
	uint32_t index;

	(void)setrlimit(RLIMIT_NOFILE, &files);
	appliance_open(&appliance, NULL);
	descriptors = appliance_descriptors(&appliance);
	for (index = 0; index < COUNT; index++) {
		int r;

		ck_assert_int_eq(intruder_connect(intruders + index, appliance.socket), 0);
		r = intruder_greet(intruders + index, 1, 4096, 4096);
		ck_assert_int_eq(r, index < LIMIT ? 0 : -EDQUOT);
		granted += r == 0;
		if (r == 0)
			intruder_enter(intruders + index);
		else
			ck_assert(strstr(intruders[index].reply.text, "--clients-per-uid"));
	}
	for (index = 0; index < granted; index++)
		intruder_ping(intruders + index, UINT64_C(1) << 32);
	for (index = 0; index < COUNT; index++)
		intruder_close(intruders + index);
	appliance_await_clients(&appliance, 0, descriptors);
	appliance_close(&appliance);
}
END_TEST

START_TEST(without_descriptors_the_daemon_rests_and_serves_whom_it_has)
{
	enum { COUNT = 60 };
	struct rlimit little = { 64, 64 };
	struct intruder intruders[COUNT];
	struct neighbour neighbour;
	struct appliance appliance;
	struct rlimit before;
	uint32_t descriptors;
	uint32_t index;
	double seconds;

	appliance_open(&appliance, NULL);
	neighbour = neighbour_begin(&appliance);
	descriptors = appliance_descriptors(&appliance);
	ck_assert_int_eq(prlimit(appliance.pid, RLIMIT_NOFILE, NULL, &before), 0);
	/* As many as the system gives, not what a shell does. */
	ck_assert_uint_eq(before.rlim_cur, before.rlim_max);
	ck_assert_int_eq(prlimit(appliance.pid, RLIMIT_NOFILE, &little, NULL), 0);
	for (index = 0; index < COUNT; index++)
		ck_assert_int_eq(intruder_connect(intruders + index, appliance.socket), 0);
	await(appliance_descriptors(&appliance) >= little.rlim_cur - 1);
	neighbour_end(&neighbour);

	/* Somebody still waits at the socket, and it does not run in circles for it. */
	seconds = appliance_processor_s(&appliance);
	crowd_pause_ns(1000000000);
	ck_assert_double_lt(appliance_processor_s(&appliance) - seconds, 0.5);

	for (index = 0; index < COUNT; index++)
		intruder_close(intruders + index);
	neighbour = neighbour_begin(&appliance);
	appliance_await_clients(&appliance, 1, descriptors);
	neighbour_end(&neighbour);
	appliance_close(&appliance);
}
END_TEST

/* --- quotas and rights --------------------------------------------------------------------------------------- */

static const struct {
	const char *flags[3];
	uint32_t fits; /* connections of 2 x 64 KiB */
	int error;
} quotas[] = {
	{ { "--slots-per-uid", "15", NULL }, 3, -EDQUOT },
	{ { "--clients-max", "3", NULL }, 3, -EBUSY },
	{ { "--clients-per-uid", "2", NULL }, 2, -EDQUOT },
	{ { "--arena-bytes-per-uid", "640K", NULL }, 5, -EDQUOT },
};

START_TEST(what_is_over_a_limit_is_refused_by_its_name_and_comes_back_with_the_client)
{
	struct hearth_options options = { .size = sizeof(options), .slots = 4,
					  .request_area_bytes = 65536,
					  .response_area_bytes = 65536 };
	struct hearth *handles[8];
	struct appliance appliance;
	uint32_t count = quotas[_i].fits;
	uint32_t descriptors;
	uint32_t turn;
	uint32_t index;
	int r;

	appliance_open(&appliance, quotas[_i].flags);
	descriptors = appliance_descriptors(&appliance);
	for (turn = 0; turn < 3; turn++) {
		for (index = 0; index < count; index++) {
			r = hearth_open(appliance.socket, &options, handles + index);
			must(r == 0, "connection %u: %s", index, hearth_strerror(r));
		}
		r = hearth_open(appliance.socket, &options, handles + count);
		ck_assert_int_eq(r, quotas[_i].error);
		ck_assert_msg(strstr(hearth_strerror(r), quotas[_i].flags[0]), "%s",
			      hearth_strerror(r));
		for (index = 0; index < count; index++)
			hearth_close(handles[index]);
		appliance_await_clients(&appliance, 0, descriptors);
	}
	appliance_close(&appliance);
}
END_TEST

START_TEST(only_the_admin_socket_changes_what_is_served)
{
	static const char *const requests[] = {
		"{\"verb\": \"load\", \"model\": \"shoppers\", \"version\": 1}",
		"{\"verb\": \"swap\", \"model\": \"shoppers\", \"version\": 1}",
		"{\"verb\": \"unload\", \"model\": \"shoppers\"}",
	};
	char text[APPLIANCE_TEXT_BYTES];
	struct appliance appliance;
	struct stat status;
	json_t *rows;
	uint32_t index;

	appliance_open(&appliance, NULL);
	ck_assert_int_eq(stat(appliance.socket, &status), 0);
	ck_assert_int_eq(status.st_mode & 0777, 0660);
	ck_assert_int_eq(stat(appliance.admin, &status), 0);
	ck_assert_int_eq(status.st_mode & 0777, 0600);
	for (index = 0; index < 3; index++) {
		ck_assert_int_eq(appliance_ask(appliance.socket, requests[index], NULL, text),
				 -EPERM);
		ck_assert_msg(strstr(text, appliance.admin), "%s", text);
	}
	rows = appliance_rows(&appliance, "models");
	ck_assert_uint_eq(json_array_size(rows), 1);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 0), "state")),
			 "serving");
	json_decref(rows);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_name_is_never_a_path_and_a_verb_never_more_than_it_says)
{
	static const struct {
		const char *request;
		int status;
	} asks[] = {
		{ "{\"verb\": \"load\", \"model\": \"../models/shoppers\"}", -EINVAL },
		{ "{\"verb\": \"load\", \"model\": \"shoppers/1\"}", -EINVAL },
		{ "{\"verb\": \"load\", \"model\": \"/etc\"}", -EINVAL },
		{ "{\"verb\": \"load\", \"model\": \"..\"}", -EINVAL },
		{ "{\"verb\": \"load\", \"model\": \"\"}", -EINVAL },
		{ "{\"verb\": \"load\", \"model\": 7}", -EINVAL },
		{ "{\"verb\": \"load\"}", -EINVAL },
		{ "{\"verb\": \"load\", \"model\": \"nobody\"}", -ENOENT },
		{ "{\"verb\": \"load\", \"model\": \"shoppers\", \"version\": 99}", -ENOENT },
		{ "{\"verb\": \"load\", \"model\": \"shoppers\", \"version\": -1}", -EINVAL },
		{ "{\"verb\": \"load\", \"model\": \"shoppers\", \"version\": 4294967296}",
		  -EINVAL },
		{ "{\"verb\": \"swap\", \"model\": \"shoppers\"}", -EINVAL },
		{ "{\"verb\": \"unload\", \"model\": \"nobody\"}", -ENOENT },
		{ "{\"verb\": \"dance\"}", -EOPNOTSUPP },
		{ "{\"verb\": 3}", -EINVAL },
		{ "{}", -EINVAL },
		{ "[]", -EINVAL },
		{ "", -EINVAL },
		{ "{\"verb\": \"status\", \"verb\": \"status\"}", -EINVAL },
	};
	char text[APPLIANCE_TEXT_BYTES];
	struct appliance appliance;
	uint32_t index;

	appliance_open(&appliance, NULL);
	for (index = 0; index < sizeof(asks) / sizeof(asks[0]); index++) {
		int r = appliance_ask(appliance.admin, asks[index].request, NULL, text);

		must(r == asks[index].status, "%s: %d (%s), expected %d", asks[index].request, r,
		     text, asks[index].status);
		must(strlen(text) > 10, "%s: '%s' is no sentence", asks[index].request, text);
	}
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_description_is_asked_for_with_any_bytes)
{
	struct hearth_describe describe;
	struct hearth_describe_reply reply;
	struct appliance appliance;
	struct intruder intruder;
	uint64_t random = 3;
	uint32_t turn;

	appliance_open(&appliance, NULL);
	ck_assert_int_eq(intruder_connect(&intruder, appliance.socket), 0);
	for (turn = 0; turn < 500; turn++) {
		size_t bytes = turn % (sizeof(describe) - sizeof(describe.message) + 1);
		uint8_t *byte = (uint8_t *)&describe;

		for (; byte < (uint8_t *)(&describe + 1); byte++)
			*byte = (uint8_t)crowd_random(&random);
		ck_assert_int_eq(intruder_say(&intruder, HEARTH_MESSAGE_DESCRIBE, &describe.version,
					      bytes), 0);
		ck_assert_int_ge(recv(intruder.fd, &reply, sizeof(reply), 0), 56);
		ck_assert_uint_eq(reply.message.type, HEARTH_MESSAGE_DESCRIBE_REPLY);
		ck_assert_int_eq(reply.message.status, -ENOENT);
	}
	intruder_close(&intruder);
	appliance_close(&appliance);
}
END_TEST

START_TEST(a_second_daemon_does_not_take_the_path_of_the_first)
{
	char text[APPLIANCE_TEXT_BYTES];
	struct neighbour neighbour;
	struct appliance appliance;
	struct appliance second;
	uint32_t turn;

	appliance_open(&appliance, NULL);
	neighbour = neighbour_begin(&appliance);
	for (turn = 0; turn < 2; turn++) {
		second = appliance;
		second.pid = 0;
		second.control_fd = -1;
		snprintf(second.log, sizeof(second.log), "%.80s/second%u", appliance.directory, turn);
		ck_assert_int_ne(appliance_refuse(&second, NULL, text), 0);
		ck_assert_msg(strstr(text, "a daemon answers at"), "%s", text);
	}
	neighbour_end(&neighbour);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("strangers");
	TCase *socket_case = tcase_create("socket");
	TCase *rights = tcase_create("rights");

	tcase_set_timeout(socket_case, TIMEOUT_S);
	tcase_add_test(socket_case, who_breaks_the_handshake_is_let_go);
	tcase_add_test(socket_case, a_hello_that_cannot_be_granted_is_refused_with_a_sentence);
	tcase_add_test(socket_case, descriptors_sent_along_are_dropped);
	tcase_add_test(socket_case, three_hundred_connections_are_held_to_the_users_share);
	tcase_add_test(socket_case, without_descriptors_the_daemon_rests_and_serves_whom_it_has);
	tcase_add_test(socket_case, a_description_is_asked_for_with_any_bytes);
	suite_add_tcase(suite, socket_case);

	tcase_set_timeout(rights, TIMEOUT_S);
	tcase_add_loop_test(rights,
			    what_is_over_a_limit_is_refused_by_its_name_and_comes_back_with_the_client,
			    0, sizeof(quotas) / sizeof(quotas[0]));
	tcase_add_test(rights, only_the_admin_socket_changes_what_is_served);
	tcase_add_test(rights, a_name_is_never_a_path_and_a_verb_never_more_than_it_says);
	tcase_add_test(rights, a_second_daemon_does_not_take_the_path_of_the_first);
	suite_add_tcase(suite, rights);
	return appliance_check(suite);
}

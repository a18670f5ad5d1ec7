/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_abi.c - programs of every released version work, and others are told why not
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "appliance.h"
#include "crowd.h"
#include "tests/hostile/intruder.h"

#define ROWS 8
#define TIMEOUT_S 110

/* What client_v1.c asks, asked with the header of today. */
static void score(const char *socket, float scores[ROWS])
{
	const struct hearth_completion *completion = NULL;
	const struct hearth_model_info *model = NULL;
	struct hearth_request *request = NULL;
	struct hearth *hearth = NULL;
	uint32_t element;
	uint32_t input;

	ck_assert_int_eq(hearth_open(socket, NULL, &hearth), 0);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
	ck_assert_int_eq(hearth_acquire(hearth, model, ROWS, &request), 0);
	for (input = 0; input < request->input_count; input++) {
		const struct hearth_input *to = request->inputs + input;

		for (element = 0; element < to->dims[0] * to->dims[1]; element++) {
			if (to->dtype == HEARTH_F32)
				((float *)to->data)[element] = (float)(element % 7) / 4 - 1;
			else
				((int64_t *)to->data)[element] = element % 2;
		}
	}
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	ck_assert_int_eq(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion), 0);
	ck_assert_int_eq(completion->status, 0);
	memcpy(scores, completion->outputs[0].data, ROWS * sizeof(*scores));
	hearth_close(hearth);
}

START_TEST(a_program_built_from_the_frozen_header_of_version_1_works)
{
	const char *compiler = getenv("CC");
	struct appliance appliance;
	float scores[ROWS];
	char command[512];
	uint32_t lines = 0;
	FILE *output;
	double value;

	appliance_open(&appliance, NULL);
	snprintf(command, sizeof(command),
		 "%s -std=c11 -O2 -Wall -Wextra -Wpedantic -Werror -o %s/client_v1 "
		 "tests/abi/client_v1.c",
		 compiler && *compiler ? compiler : "cc", appliance.directory);
	ck_assert_int_eq(system(command), 0);
	score(appliance.socket, scores);
	snprintf(command, sizeof(command), "%s/client_v1 %s", appliance.directory,
		 appliance.socket);
	output = popen(command, "re");
	ck_assert_ptr_nonnull(output);
	while (fscanf(output, "%la", &value) == 1) {
		ck_assert(value == (double)scores[lines % ROWS]);
		lines++;
	}
	ck_assert_int_eq(pclose(output), 0);
	ck_assert_uint_eq(lines, 4 * ROWS);
	appliance_close(&appliance);
}
END_TEST

#define HELLO_BYTES_OLDEST 32  /* what every version sends at least */
#define HELLO_BYTES_FUTURE 128 /* with fields that nobody knows yet */

/* Sends a HELLO for these versions and receives the answer. */
static struct hearth_hello_reply greet(const char *socket, uint32_t oldest, uint32_t newest,
				       size_t bytes)
{
	struct hearth_hello_reply reply;
	struct hearth_hello hello;
	struct intruder intruder;
	uint8_t packet[HELLO_BYTES_FUTURE] = { 0 };

	ck_assert_int_eq(intruder_connect(&intruder, socket), 0);
	intruder_hello_init(&hello);
	hello.message.bytes = (uint32_t)bytes;
	hello.abi_oldest = oldest;
	hello.abi_newest = newest;
	hello.request_area_bytes = 4096;
	hello.response_area_bytes = 4096;
	hello.slots = 1;
	memcpy(packet, &hello, sizeof(hello));
	ck_assert_int_eq(send(intruder.fd, packet, bytes, 0), (ssize_t)bytes);
	ck_assert_int_eq(recv(intruder.fd, &reply, sizeof(reply), 0), sizeof(reply));
	ck_assert_uint_eq(reply.message.type, HEARTH_MESSAGE_HELLO_REPLY);
	ck_assert_uint_eq(reply.abi_oldest, HEARTH_ABI_OLDEST);
	ck_assert_uint_eq(reply.abi_newest, HEARTH_ABI_VERSION);
	intruder_close(&intruder);
	return reply;
}

START_TEST(a_program_of_another_version_is_told_both)
{
	struct hearth_hello_reply reply;
	struct appliance appliance;

	appliance_open(&appliance, NULL);
	reply = greet(appliance.socket, 7, 9, sizeof(struct hearth_hello));
	ck_assert_int_eq(reply.message.status, -EPROTONOSUPPORT);
	ck_assert_uint_eq(reply.abi, 0);
	ck_assert_msg(strstr(reply.text, "7 to 9") && strstr(reply.text, "1 to 1"), "%s",
		      reply.text);
	reply = greet(appliance.socket, 0, 0, sizeof(struct hearth_hello));
	ck_assert_int_eq(reply.message.status, -EPROTONOSUPPORT);
	ck_assert_msg(strstr(reply.text, "0 to 0"), "%s", reply.text);
	reply = greet(appliance.socket, UINT32_MAX, 0, sizeof(struct hearth_hello));
	ck_assert_int_eq(reply.message.status, -EPROTONOSUPPORT);

	/* One that speaks this version among others is welcome. */
	reply = greet(appliance.socket, 1, 9, sizeof(struct hearth_hello));
	ck_assert_int_eq(reply.message.status, 0);
	ck_assert_uint_eq(reply.abi, 1);
	reply = greet(appliance.socket, 1, 1, HELLO_BYTES_OLDEST);
	ck_assert_int_eq(reply.message.status, 0);
	reply = greet(appliance.socket, 1, 9, HELLO_BYTES_FUTURE);
	ck_assert_int_eq(reply.message.status, 0);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("abi");
	TCase *versions = tcase_create("versions");

	tcase_set_timeout(versions, TIMEOUT_S);
	tcase_add_test(versions, a_program_built_from_the_frozen_header_of_version_1_works);
	tcase_add_test(versions, a_program_of_another_version_is_told_both);
	suite_add_tcase(suite, versions);
	return appliance_check(suite);
}

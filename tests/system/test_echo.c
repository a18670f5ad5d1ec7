/* SPDX-License-Identifier: MIT */
/*
 * tests/system/test_echo.c - an echo gives back its bytes, all of them and no others
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance.h"
#include "client/hearth.h"
#include "crowd.h"
#include "tests/hostile/intruder.h"

#define TIMEOUT_S 110
#define AREA_BYTES 65536
#define SLOTS 16
#define ID ((UINT64_C(1) << 32) | 1)
#define LATE_NS INT64_C(1000000000)

static struct hearth *connect_to(const struct appliance *appliance)
{
	struct hearth *hearth = NULL;
	int r;

	r = hearth_open(appliance->socket, NULL, &hearth);
	must(r == 0, "hearth_open: %s", hearth_strerror(r));
	return hearth;
}

static void fill(void *memory, uint32_t bytes, uint64_t seed)
{
	uint8_t *to = memory;
	uint32_t at;

	for (at = 0; at < bytes; at++)
		to[at] = (uint8_t)(crowd_random(&seed) >> 32);
}

static struct hearth_request *echo_acquire(struct hearth *hearth, uint32_t bytes)
{
	struct hearth_request *request = NULL;
	int r;

	r = hearth_acquire_echo(hearth, bytes, &request);
	must(r == 0, "acquire: %s", hearth_strerror(r));
	return request;
}

static void submit(struct hearth *hearth, struct hearth_request *request)
{
	int r;

	r = hearth_submit(hearth, request);
	must(r == 0, "submit: %s", hearth_strerror(r));
}

static const struct hearth_completion *take(struct hearth *hearth)
{
	const struct hearth_completion *completion = NULL;
	int r;

	r = hearth_wait(hearth, CROWD_PATIENCE_NS, &completion);
	must(r == 0, "hearth_wait: %s", hearth_strerror(r));
	return completion;
}

START_TEST(the_bytes_come_back_whatever_their_number)
{
	static const uint32_t sizes[] = { 0, 1, 63, 64, 65, 4096, 65536,
					  HEARTH_RESPONSE_ARENA_BYTES_DEFAULT };
	uint8_t *sent = malloc(HEARTH_RESPONSE_ARENA_BYTES_DEFAULT);
	struct appliance appliance;
	struct hearth *hearth;
	uint32_t turn;

	ck_assert_ptr_nonnull(sent);
	appliance_open(&appliance, NULL);
	hearth = connect_to(&appliance);
	/* Twice: the second time the ranges hold what the first left there. */
	for (turn = 0; turn < 2 * sizeof(sizes) / sizeof(sizes[0]); turn++) {
		uint32_t bytes = sizes[turn % (sizeof(sizes) / sizeof(sizes[0]))];
		struct hearth_request *request = echo_acquire(hearth, bytes);
		const struct hearth_completion *completion;

		ck_assert_uint_eq(request->input_count, 1);
		ck_assert_uint_eq(request->inputs[0].bytes, bytes);
		fill(sent, bytes, turn);
		memcpy(request->inputs[0].data, sent, bytes);
		submit(hearth, request);
		completion = take(hearth);
		ck_assert_int_eq(completion->status, 0);
		ck_assert_uint_eq(completion->response_bytes, bytes);
		ck_assert(bytes == 0 || memcmp(completion->response, sent, bytes) == 0);
		ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	}
	hearth_close(hearth);
	appliance_close(&appliance);
	free(sent);
}
END_TEST

START_TEST(many_at_once_come_back_each_its_own)
{
	enum { ECHOES = 64, ROUNDS = 20, BYTES = 1000 };
	struct appliance appliance;
	uint8_t expected[BYTES];
	struct hearth *hearth;
	uint32_t index;
	uint32_t round;

	appliance_open(&appliance, NULL);
	hearth = connect_to(&appliance);
	for (round = 0; round < ROUNDS; round++) {
		for (index = 0; index < ECHOES; index++) {
			struct hearth_request *request = echo_acquire(hearth, BYTES - index);

			request->user_data = round * ECHOES + index;
			fill(request->inputs[0].data, BYTES - index, request->user_data);
			submit(hearth, request);
		}
		for (index = 0; index < ECHOES; index++) {
			const struct hearth_completion *completion = take(hearth);
			uint32_t bytes = BYTES - (uint32_t)completion->user_data % ECHOES;

			ck_assert_int_eq(completion->status, 0);
			ck_assert_uint_eq(completion->response_bytes, bytes);
			fill(expected, bytes, completion->user_data);
			ck_assert_mem_eq(completion->response, expected, bytes);
			ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
		}
	}
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

START_TEST(more_than_the_most_is_refused_and_the_connection_serves_on)
{
	struct hearth_options options = { .size = sizeof(options),
					  .response_area_bytes = 2 * HEARTH_ECHO_BYTES_MAX };
	const struct hearth_completion *completion;
	struct appliance appliance;
	struct hearth *hearth;

	appliance_open(&appliance, NULL);
	ck_assert_int_eq(hearth_open(appliance.socket, &options, &hearth), 0);
	submit(hearth, echo_acquire(hearth, HEARTH_ECHO_BYTES_MAX + 1));
	completion = take(hearth);
	ck_assert_int_eq(completion->status, -EMSGSIZE);
	ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	submit(hearth, echo_acquire(hearth, HEARTH_ECHO_BYTES_MAX));
	completion = take(hearth);
	ck_assert_int_eq(completion->status, 0);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

/* Who is refused gets no bytes either: the response range holds what the last one left. */
START_TEST(a_cancelled_one_and_a_late_one_say_so_and_copy_nothing)
{
	enum { BYTES = 4096 };
	const struct hearth_completion *completion;
	struct hearth_request *request;
	struct appliance appliance;
	uint8_t first[BYTES];
	struct hearth *hearth;

	appliance_open(&appliance, NULL);
	hearth = connect_to(&appliance);
	request = echo_acquire(hearth, BYTES);
	fill(first, BYTES, 1);
	memcpy(request->inputs[0].data, first, BYTES);
	submit(hearth, request);
	completion = take(hearth);
	ck_assert_int_eq(completion->status, 0);
	ck_assert_int_eq(hearth_release(hearth, completion->id), 0);

	request = echo_acquire(hearth, BYTES);
	fill(request->inputs[0].data, BYTES, 2);
	appliance_suspend(&appliance);
	submit(hearth, request);
	ck_assert_int_eq(hearth_cancel(hearth, request->id), 0);
	appliance_resume(&appliance);
	completion = take(hearth);
	ck_assert_int_eq(completion->status, -ECANCELED);
	ck_assert_uint_eq(completion->response_bytes, 0);
	ck_assert_mem_eq(completion->response, first, BYTES);
	ck_assert_int_eq(hearth_release(hearth, completion->id), 0);

	request = echo_acquire(hearth, BYTES);
	fill(request->inputs[0].data, BYTES, 3);
	request->deadline_ns = hearth_deadline(hearth, -LATE_NS);
	submit(hearth, request);
	completion = take(hearth);
	ck_assert_int_eq(completion->status, -ETIME);
	ck_assert_uint_eq(completion->response_bytes, 0);
	ck_assert_mem_eq(completion->response, first, BYTES);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

/* By hand, since hearth.h reserves what is needed. */
START_TEST(a_response_a_byte_short_says_what_is_needed_and_nothing_past_a_range_is_written)
{
	static const uint32_t sizes[] = { 1, 63, 64, 65, 4096, AREA_BYTES / 2 };
	uint8_t expected[AREA_BYTES] = { 0 }; /* of the whole response area */
	struct hearth_completion_slot completion;
	struct appliance appliance;
	struct intruder intruder;
	uint32_t index;

	appliance_open(&appliance, NULL);
	intruder_open(&intruder, appliance.socket, SLOTS, AREA_BYTES, AREA_BYTES);
	for (index = 0; index < sizeof(sizes) / sizeof(sizes[0]); index++) {
		uint32_t bytes = sizes[index];
		struct hearth_request_slot slot = {
			.id = ID,
			.operation = HEARTH_OP_ECHO,
			.request_offset = AREA_BYTES / 2,
			.request_bytes = bytes,
			.response_offset = 64 * index,
			.response_bytes = bytes - 1,
		};

		memset(intruder.request_area, (int)index + 1, AREA_BYTES);
		intruder_push(&intruder, &slot);
		completion = intruder_take(&intruder);
		ck_assert_int_eq(completion.status, -ENOBUFS);
		ck_assert_uint_eq(completion.response_bytes, bytes);
		ck_assert_mem_eq(intruder.response_area, expected, AREA_BYTES);

		/* More room than is needed is left alone as well. */
		slot.response_bytes = bytes + 100;
		intruder_push(&intruder, &slot);
		completion = intruder_take(&intruder);
		ck_assert_int_eq(completion.status, 0);
		ck_assert_uint_eq(completion.response_bytes, bytes);
		memset(expected + slot.response_offset, (int)index + 1, bytes);
		ck_assert_mem_eq(intruder.response_area, expected, AREA_BYTES);
	}
	intruder_close(&intruder);
	appliance_close(&appliance);
}
END_TEST

static double busy_s(const struct appliance *appliance)
{
	json_t *rows = appliance_rows(appliance, "users");
	double busy;

	ck_assert_uint_eq(json_array_size(rows), 1);
	busy = json_real_value(json_object_get(json_array_get(rows, 0), "busy_s"));
	json_decref(rows);
	return busy;
}

/* A share of the data thread's time is what users are given, so bytes must cost some of it. */
START_TEST(an_echo_is_charged_by_its_bytes)
{
	enum { ECHOES = 50, BYTES = 65536 };
	static const uint32_t sizes[] = { 64, BYTES };
	struct appliance appliance;
	double charged_s[2];
	struct hearth *hearth;
	uint32_t size;
	uint32_t turn;

	appliance_open(&appliance, NULL);
	hearth = connect_to(&appliance);
	for (size = 0; size < 2; size++) {
		double before_s = busy_s(&appliance);

		for (turn = 0; turn < ECHOES; turn++) {
			const struct hearth_completion *completion;

			submit(hearth, echo_acquire(hearth, sizes[size]));
			completion = take(hearth);
			ck_assert_int_eq(completion->status, 0);
			ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
		}
		charged_s[size] = busy_s(&appliance) - before_s;
	}
	ck_assert_double_gt(charged_s[0], 0);
	ck_assert_double_gt(charged_s[1], 10 * charged_s[0]);
	hearth_close(hearth);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("echo");
	TCase *tcase = tcase_create("echo");

	tcase_set_timeout(tcase, TIMEOUT_S);
	tcase_add_test(tcase, the_bytes_come_back_whatever_their_number);
	tcase_add_test(tcase, many_at_once_come_back_each_its_own);
	tcase_add_test(tcase, more_than_the_most_is_refused_and_the_connection_serves_on);
	tcase_add_test(tcase, a_cancelled_one_and_a_late_one_say_so_and_copy_nothing);
	tcase_add_test(
		tcase,
		a_response_a_byte_short_says_what_is_needed_and_nothing_past_a_range_is_written);
	tcase_add_test(tcase, an_echo_is_charged_by_its_bytes);
	suite_add_tcase(suite, tcase);
	return appliance_check(suite);
}

/* SPDX-License-Identifier: MIT */
/* tests/base/test_queue.c - nothing is lost, doubled, reordered or torn */

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "base/queue.h"
#include "tests/suite.h"

#define MESSAGES 1000000

struct message {
	uint64_t number;
	uint64_t square;
	unsigned char filler[24];
};

START_TEST(push_on_full_returns_false_and_keeps_contents)
{
	struct queue queue;
	uint32_t value;

	ck_assert_int_eq(queue_init(&queue, 4, sizeof(value)), 0);
	for (value = 0; value < 4; value++)
		ck_assert(queue_push(&queue, &value));
	ck_assert(!queue_push(&queue, &value));
	ck_assert_uint_eq(queue_depth(&queue), 4);
	for (uint32_t expected = 0; expected < 4; expected++) {
		ck_assert(queue_pop(&queue, &value));
		ck_assert_uint_eq(value, expected);
	}
	queue_deinit(&queue);
}
END_TEST

START_TEST(pop_on_empty_returns_false_and_writes_nothing)
{
	uint32_t value = 77;
	struct queue queue;

	ck_assert_int_eq(queue_init(&queue, 1, sizeof(value)), 0);
	ck_assert(!queue_pop(&queue, &value));
	ck_assert_uint_eq(value, 77);
	queue_deinit(&queue);
}
END_TEST

/* _i is the capacity asked for. */
START_TEST(contents_stay_in_order_over_many_turns)
{
	struct queue queue;
	uint64_t pushed = 0;
	uint64_t popped = 0;
	uint64_t value;

	ck_assert_int_eq(queue_init(&queue, (uint32_t)_i, sizeof(value)), 0);
	ck_assert_uint_ge(queue.message_count_max, (unsigned)_i);
	while (popped < 1000) {
		while (queue_push(&queue, &pushed))
			pushed++;
		ck_assert_uint_eq(pushed - popped, queue.message_count_max);
		for (int turn = 0; turn < _i; turn++) {
			ck_assert(queue_pop(&queue, &value));
			ck_assert_uint_eq(value, popped);
			popped++;
		}
	}
	queue_deinit(&queue);
}
END_TEST

START_TEST(odd_message_size_is_copied_whole)
{
	unsigned char in[13];
	unsigned char out[14];
	struct queue queue;

	ck_assert_int_eq(queue_init(&queue, 2, sizeof(in)), 0);
	for (int turn = 0; turn < 5; turn++) {
		memset(in, 'a' + turn, sizeof(in));
		memset(out, 0, sizeof(out));
		ck_assert(queue_push(&queue, in));
		ck_assert(queue_pop(&queue, out));
		ck_assert_mem_eq(in, out, sizeof(in));
		ck_assert_int_eq(out[sizeof(in)], 0);
	}
	queue_deinit(&queue);
}
END_TEST

START_TEST(impossible_sizes_are_refused_with_a_sentence)
{
	struct queue queue;

	ck_assert_int_eq(queue_init(&queue, 0, 8), -EINVAL);
	ck_assert_int_eq(queue_init(&queue, 8, 0), -EINVAL);
	ck_assert_int_eq(queue_init(&queue, UINT32_MAX, 8), -EINVAL);
	ck_assert_int_eq(queue_init(&queue, 8, UINT32_MAX), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err_message(), "8 messages"));
}
END_TEST

START_TEST(deinit_accepts_a_zeroed_queue)
{
	struct queue queue = { 0 };

	queue_deinit(&queue);
	queue_deinit(&queue);
}
END_TEST

static void *producer(void *argument)
{
	struct queue *queue = argument;
	struct message message;
	uint64_t number;

	for (number = 0; number < MESSAGES; number++) {
		message.number = number;
		message.square = number * number;
		memset(message.filler, (int)(number & 0xff), sizeof(message.filler));
		while (!queue_push(queue, &message))
			sched_yield();
	}
	return NULL;
}

/* _i is the capacity. */
START_TEST(million_messages_cross_between_two_threads)
{
	struct message message;
	struct queue queue;
	pthread_t thread;
	uint64_t number;

	ck_assert_int_eq(queue_init(&queue, (uint32_t)_i, sizeof(message)), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, producer, &queue), 0);
	for (number = 0; number < MESSAGES; number++) {
		while (!queue_pop(&queue, &message))
			sched_yield();
		if (message.number != number || message.square != number * number ||
		    message.filler[0] != (number & 0xff) || message.filler[23] != (number & 0xff))
			ck_abort_msg("message %llu came as %llu", (unsigned long long)number,
				     (unsigned long long)message.number);
	}
	ck_assert(!queue_pop(&queue, &message));
	pthread_join(thread, NULL);
	queue_deinit(&queue);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("queue");
	TCase *tcase = tcase_create("queue");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, push_on_full_returns_false_and_keeps_contents);
	tcase_add_test(tcase, pop_on_empty_returns_false_and_writes_nothing);
	tcase_add_loop_test(tcase, contents_stay_in_order_over_many_turns, 1, 10);
	tcase_add_test(tcase, odd_message_size_is_copied_whole);
	tcase_add_test(tcase, impossible_sizes_are_refused_with_a_sentence);
	tcase_add_test(tcase, deinit_accepts_a_zeroed_queue);
	tcase_add_loop_test(tcase, million_messages_cross_between_two_threads, 64, 65);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

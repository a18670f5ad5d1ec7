/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/queue.c - two counts, each written by one thread
 *
 * Each side keeps what it last saw of the other's count, and reads the other's
 * cache line only when the queue looks full or empty by that.
 */

#include "base/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_MESSAGES_MAX (1U << 24)
#define QUEUE_MESSAGE_BYTES_MAX 65536

static unsigned char *message_at(const struct queue *queue, uint64_t position)
{
	return queue->messages +
	       (position & (queue->message_count_max - 1)) * (uint64_t)queue->message_bytes;
}

int queue_init(struct queue *queue, uint32_t message_count, uint32_t message_bytes)
{
	uint32_t rounded_count = 1;
	unsigned char *messages;

	if (message_count == 0 || message_count > QUEUE_MESSAGES_MAX || message_bytes == 0 ||
	    message_bytes > QUEUE_MESSAGE_BYTES_MAX)
		return err_raise(-EINVAL,
				 "a queue of %u messages of %u bytes was asked for; 1 to %u of "
				 "1 to %u bytes are possible",
				 message_count, message_bytes, QUEUE_MESSAGES_MAX,
				 QUEUE_MESSAGE_BYTES_MAX);
	while (rounded_count < message_count)
		rounded_count *= 2;
	messages = calloc(rounded_count, message_bytes);
	if (!messages)
		return err_raise(-ENOMEM, "no memory for a queue of %u messages of %u bytes",
				 message_count, message_bytes);

	memset(queue, 0, sizeof(*queue));
	queue->messages = messages;
	queue->message_bytes = message_bytes;
	queue->message_count_max = rounded_count;
	return 0;
}

bool queue_push(struct queue *queue, const void *message)
{
	uint64_t pushed = queue->pushed;

	if (pushed - queue->popped_seen == queue->message_count_max) {
		/* Q1 (acquire) pairs with Q4: the consumer's copy out of a place is
		 * done before the place is written again. Without it a message can
		 * change while it is copied out. */
		queue->popped_seen = __atomic_load_n(&queue->popped, __ATOMIC_ACQUIRE);
		if (pushed - queue->popped_seen == queue->message_count_max)
			return false;
	}
	memcpy(message_at(queue, pushed), message, queue->message_bytes);
	/* Q2 (release) pairs with Q3: the message is in place before it is
	 * counted. Without it the consumer can copy the place's last message. */
	__atomic_store_n(&queue->pushed, pushed + 1, __ATOMIC_RELEASE);
	return true;
}

bool queue_pop(struct queue *queue, void *ret_message)
{
	uint64_t popped = queue->popped;

	if (popped == queue->pushed_seen) {
		/* Q3 (acquire) pairs with Q2: the message is read after its count.
		 * Without it the copy can be older than the message. */
		queue->pushed_seen = __atomic_load_n(&queue->pushed, __ATOMIC_ACQUIRE);
		if (popped == queue->pushed_seen)
			return false;
	}
	memcpy(ret_message, message_at(queue, popped), queue->message_bytes);
	/* Q4 (release) pairs with Q1: the copy is complete before its place is
	 * given back. Without it the producer can overwrite what is being read. */
	__atomic_store_n(&queue->popped, popped + 1, __ATOMIC_RELEASE);
	return true;
}

uint64_t queue_depth(const struct queue *queue)
{
	uint64_t popped = __atomic_load_n(&queue->popped, __ATOMIC_RELAXED);
	uint64_t pushed = __atomic_load_n(&queue->pushed, __ATOMIC_RELAXED);

	/* The two are from different moments, so pops may seem to be ahead. */
	return pushed > popped ? pushed - popped : 0;
}

void queue_deinit(struct queue *queue)
{
	free(queue->messages);
	memset(queue, 0, sizeof(*queue));
}

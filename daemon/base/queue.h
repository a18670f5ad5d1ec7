/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/queue.h - fixed-size messages from one thread to one other, bounded
 *
 * Owns:     its message storage, allocated by queue_init
 * Threads:  queue_push on the producer's thread, queue_pop on the consumer's;
 *           init and deinit while neither runs
 * Units:    messages
 * Errors:   queue_init: -EINVAL, -ENOMEM; push and pop try once and say whether
 *           it worked; waiting and waking are the caller's
 */
#ifndef HEARTH_BASE_QUEUE_H
#define HEARTH_BASE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define QUEUE_LINE_PAIR_BYTES 128 /* processors fetch lines of 64 bytes in pairs */

struct queue {
	unsigned char *messages;
	uint32_t message_bytes;
	uint32_t message_count_max; /* power of two */

	uint8_t _reserved0[QUEUE_LINE_PAIR_BYTES];
	uint64_t pushed;      /* W: producer  R: consumer */
	uint64_t popped_seen; /* W, R: producer; the pops it knows of */
	uint8_t _reserved1[QUEUE_LINE_PAIR_BYTES];
	uint64_t popped;      /* W: consumer  R: producer */
	uint64_t pushed_seen; /* W, R: consumer; the pushes it knows of */
	uint8_t _reserved2[QUEUE_LINE_PAIR_BYTES];
};

/* Room for at least message_count messages of message_bytes each. */
must_check int queue_init(struct queue *queue, uint32_t message_count, uint32_t message_bytes);

/* Copies the message in; false when the queue is full. */
bool queue_push(struct queue *queue, const void *message);

/* Copies the oldest message out; false when the queue is empty. */
bool queue_pop(struct queue *queue, void *ret_message);

/* Messages inside, at some recent moment. Any thread. */
uint64_t queue_depth(const struct queue *queue);

void queue_deinit(struct queue *queue);

#endif

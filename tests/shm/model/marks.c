/* SPDX-License-Identifier: MIT */
/*
 * tests/shm/model/marks.c - a completion's place is written again only after it was copied
 *
 * Mirrors lane_consumed, lane_progress and hearth_completion_take: one stream publishes marks, each
 * after the last one was consumed, then its final completion without a look. Nothing else orders
 * the two sides, so the places change hands through cq_head alone.
 */
#include "tests/shm/model/connection.h"

#define MARKS (COMPLETION_SLOTS + 1) /* and the final completion */

static uint64_t tells[COMPLETION_SLOTS];

static void publish(uint64_t position)
{
	tells[position % COMPLETION_SLOTS] = position;
	completion_push(position, 200 + position);
}

static void *daemon_main(void *unused)
{
	uint64_t position;
	uint64_t head;

	for (position = 0; position < MARKS; position++) {
		head = hearth_cq_consumed(&client_segment);
		assert(head <= position); /* or the client lies */
		if (head < position) {
			head = hearth_cq_consumed(&client_segment);
			__VERIFIER_assume(head >= position);
		}
		publish(position);
	}
	publish(position);
	return unused;
}

static void *client_main(void *unused)
{
	uint64_t words[SLOT_WORDS];
	uint64_t position;

	for (position = 0; position <= MARKS; position++) {
		uint64_t tell;

		if (!completion_copy(position, words))
			__VERIFIER_assume(completion_copy(position, words));
		tell = tells[position % COMPLETION_SLOTS];
		/* Judged afterwards: a branch on the copy would order the store as well. */
		hearth_cq_consume(&client_segment, position + 1);
		completion_judge(words, 200 + position);
		assert(tell == position);
	}
	return unused;
}

int main(void)
{
	run_both();
	return 0;
}

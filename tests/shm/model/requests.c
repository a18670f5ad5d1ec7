/* SPDX-License-Identifier: MIT */
/*
 * tests/shm/model/requests.c - request slots, their ranges and their answers cross whole
 *
 * Mirrors hearth_submit, intake_lane, finish_infer and hearth_completion_take. Ranges are plain
 * memory; a slot and its ranges are used again as soon as the final completion gives them back.
 */
#include "tests/shm/model/connection.h"

#define REQUESTS (SLOTS + 2)

static uint64_t inputs[SLOTS];
static uint64_t outputs[SLOTS];

static void answer_take(uint64_t position)
{
	completion_await(position, 200 + position);
	assert(outputs[position % SLOTS] == 100 + position);
	hearth_cq_consume(&client_segment, position + 1);
}

static void *client_main(void *unused)
{
	uint64_t position;

	for (position = 0; position < REQUESTS; position++) {
		if (position >= SLOTS) /* hearth_record_acquire: no slot is free before that */
			answer_take(position - SLOTS);
		inputs[position % SLOTS] = position;
		request_push(position, 300 + position);
	}
	for (position = REQUESTS - SLOTS; position < REQUESTS; position++)
		answer_take(position);
	return unused;
}

static void *daemon_main(void *unused)
{
	uint64_t position;

	for (position = 0; position < REQUESTS; position++) {
		request_await(position, 300 + position);
		assert(inputs[position % SLOTS] == position);
		outputs[position % SLOTS] = 100 + position;
		completion_push(position, 200 + position);
	}
	return unused;
}

int main(void)
{
	run_both();
	return 0;
}

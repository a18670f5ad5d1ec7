/* SPDX-License-Identifier: MIT */
/*
 * tests/shm/model/cancels.c - a cancel, however late, is about its own request alone
 *
 * Mirrors hearth_cancel and finish_judge. The second request has the first one's place and the next
 * generation; nobody cancels it. The cancel word needs no ordering: this driver has no mutant.
 */
#include "tests/shm/model/connection.h"

#define REQUESTS 2

static uint32_t cancel[SLOTS];
static uint64_t runs[REQUESTS];

static uint64_t id_of(uint64_t position)
{
	return (position + 1) << 32;
}

static void *client_main(void *unused)
{
	uint64_t words[SLOT_WORDS];

	request_push(0, id_of(0));
	hearth_cancel_store(cancel, 0, 1);
	__VERIFIER_assume(completion_copy(0, words));
	assert(runs[0] == (words[1] == 0)); /* answered or cancelled, as it was judged */
	request_push(1, id_of(1));
	completion_await(1, 0);
	assert(runs[1] == 1);
	return unused;
}

static void *daemon_main(void *unused)
{
	uint64_t position;

	for (position = 0; position < REQUESTS; position++) {
		bool is_cancelled;

		request_await(position, id_of(position));
		is_cancelled = hearth_cancel_wanted(cancel, id_of(position));
		assert(position == 0 || !is_cancelled);
		if (!is_cancelled)
			runs[position]++;
		completion_push(position, is_cancelled);
	}
	return unused;
}

int main(void)
{
	run_both();
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* daemon/serve/trace.c - a ring of slots whose sequence says what each holds, or that it is torn */
#include "serve/trace.h"

#include <assert.h>
#include <string.h>

#include "shm/barrier.h"

static_assert(sizeof(struct trace_request) == TRACE_WORDS * sizeof(uint64_t),
	      "a request is copied word by word");

void trace_write(struct trace *trace, const struct trace_request *request)
{
	uint64_t position = counter_read(&trace->count);
	struct trace_slot *slot = trace->slots + position % TRACE_REQUESTS;
	uint64_t words[TRACE_WORDS];

	memcpy(words, request, sizeof(words));
	hearth_store_relaxed(&slot->seq, 0);
	for (uint32_t word = 0; word < TRACE_WORDS; word++)
		/* T1 (release) pairs with T2: who sees this word sees that the slot is being
		 * written. Without it a reader could take it for one of the request before. */
		hearth_store_release(slot->words + word, words[word]);
	/* T3 (release) pairs with T4: the words are there before their sequence. Without it a
	 * reader could take those of the request before. */
	hearth_store_release(&slot->seq, position + 1);
	counter_set(&trace->count, position + 1);
}

bool trace_read(const struct trace *trace, uint64_t position, struct trace_request *ret_request)
{
	const struct trace_slot *slot = trace->slots + position % TRACE_REQUESTS;
	uint64_t words[TRACE_WORDS];

	/* T4 (acquire) pairs with T3: the words are read after the sequence that they belong to. */
	if (hearth_load_acquire(&slot->seq) != position + 1)
		return false;
	for (uint32_t word = 0; word < TRACE_WORDS; word++)
		/* T2 (acquire) pairs with T1: the sequence is looked at again after this word.
		 * Without it a later request's word could pass for one of this request. */
		words[word] = hearth_load_acquire(slot->words + word);
	if (hearth_load_relaxed(&slot->seq) != position + 1)
		return false;
	memcpy(ret_request, words, sizeof(words));
	return true;
}

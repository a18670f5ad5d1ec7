/* SPDX-License-Identifier: MIT */
/*
 * tests/shm/spsc.c - the shipped ring's push and pop, and the loops that are made of any pair
 *
 * A pair is a constant argument of the loops and is inlined: what is compared
 * are layouts, not calls. The loops work on copies of the ends, which no store
 * into shared memory can change, so positions stay in registers.
 */
#include "spsc.h"

#include <stdbool.h>

#include "bare.h"
#include "shm/prefetch.h"
#include "shm/ring.h"
#include "tests/system/crowd.h"

#define WARM_ROUNDS 500u

#define LOOP __attribute__((flatten)) static /* no call is left in it */

/* --- the limit: a line, no ring -------------------------------------------------------------- */

INLINE bool line_push(struct spsc_end *end, uint64_t body, bool is_last)
{
	(void)is_last;
	line_send(&end->way->line, ++end->position, body);
	return true;
}

INLINE bool line_pop(struct spsc_end *end, bool is_last, uint64_t *ret_body)
{
	(void)is_last;
	if (!line_take(&end->way->line, end->position + 1, ret_body))
		return false;
	end->position++;
	return true;
}

/* --- the shipped ring ------------------------------------------------------------------------ */

union slot {
	struct hearth_request_slot request;
	struct hearth_completion_slot completion;
	uint64_t words[8];
};

INLINE void slot_fill(union slot *slot, uint64_t body)
{
	uint32_t word;

#pragma GCC unroll 8
	for (word = 1; word < 8; word++)
		slot->words[word] = body;
}

INLINE bool sq_push(struct spsc_end *end, uint64_t body, bool is_last)
{
	const struct hearth_lane_daemon *daemon = &end->way->lane.daemon;
	union slot slot;

	(void)is_last;
	if (end->position - end->peer >= SPSC_SLOTS) {
		/* T1 (acquire) pairs with T2: a slot is written after its reader copied it. Without
		 * it a message can be lost under the next one. */
		end->peer = hearth_load_acquire(&daemon->sq_head);
		if (end->position - end->peer >= SPSC_SLOTS)
			return false;
	}
	slot_fill(&slot, body);
	hearth_sq_push(end->way->lane.requests, SPSC_SLOTS, end->position++, &slot.request);
	return true;
}

INLINE bool sq_pop(struct spsc_end *end, bool is_last, uint64_t *ret_body)
{
	union slot slot;

	if (!hearth_sq_pop(end->way->lane.requests, SPSC_SLOTS, end->position, &slot.request))
		return false;
	KEEP(&slot);
	*ret_body = slot.words[1];
	end->position++;
	/* T2 (release) pairs with T1: the slot was copied before it is given back. Without it the
	 * copy can be of the next message. */
	if (is_last)
		hearth_store_release(&end->way->lane.daemon.sq_head, end->position);
	return true;
}

INLINE bool cq_push(struct spsc_end *end, uint64_t body, bool is_last)
{
	union slot slot;

	(void)is_last;
	if (end->position - end->peer >= 2 * SPSC_SLOTS) {
		end->peer = hearth_cq_consumed(&end->way->lane.client);
		if (end->position - end->peer >= 2 * SPSC_SLOTS)
			return false;
	}
	slot_fill(&slot, body);
	hearth_cq_push(end->way->lane.completions, 2 * SPSC_SLOTS, end->position++,
		       &slot.completion);
	return true;
}

INLINE bool cq_pop(struct spsc_end *end, bool is_last, uint64_t *ret_body)
{
	union slot slot;

	if (!hearth_cq_pop(end->way->lane.completions, 2 * SPSC_SLOTS, end->position,
			   &slot.completion))
		return false;
	KEEP(&slot);
	*ret_body = slot.words[1];
	end->position++;
	if (is_last)
		hearth_cq_consume(&end->way->lane.client, end->position);
	return true;
}

/* --- the shipped ring, as client and daemon push, and in other ways --------------------------- */

INLINE bool sq_ahead_push(struct spsc_end *end, uint64_t body, bool is_last)
{
	if (!sq_push(end, body, is_last))
		return false;
	hearth_prefetch_slot(end->way->lane.requests, SPSC_SLOTS, end->position);
	return true;
}

INLINE bool cq_ahead_push(struct spsc_end *end, uint64_t body, bool is_last)
{
	if (!cq_push(end, body, is_last))
		return false;
	hearth_prefetch_slot(end->way->lane.completions, 2 * SPSC_SLOTS, end->position);
	return true;
}

/* Nobody sleeps here: what is measured is the question. */
INLINE bool sq_asks_push(struct spsc_end *end, uint64_t body, bool is_last)
{
	if (!sq_push(end, body, is_last))
		return false;
	if (hearth_sq_must_ring(&end->way->lane.daemon))
		hearth_sq_ring(&end->way->lane.client);
	return true;
}

INLINE bool sq_asks_once_push(struct spsc_end *end, uint64_t body, bool is_last)
{
	return is_last ? sq_asks_push(end, body, true) : sq_push(end, body, false);
}

INLINE bool cq_asks_push(struct spsc_end *end, uint64_t body, bool is_last)
{
	struct spsc_lane *lane = &end->way->lane;

	if (!cq_push(end, body, is_last))
		return false;
	if (hearth_cq_must_ring(&lane->client, end->asked, end->position) != HEARTH_CQ_POLLING)
		hearth_cq_ring(&lane->daemon);
	end->asked = end->position;
	return true;
}

INLINE bool cq_asks_once_push(struct spsc_end *end, uint64_t body, bool is_last)
{
	return is_last ? cq_asks_push(end, body, true) : cq_push(end, body, false);
}

#define sq_ahead_pop sq_pop
#define cq_ahead_pop cq_pop
#define sq_asks_pop sq_pop
#define sq_asks_once_pop sq_pop
#define cq_asks_pop cq_pop
#define cq_asks_once_pop cq_pop

/* --- the loops ------------------------------------------------------------------------------- */

typedef bool push_function(struct spsc_end *end, uint64_t body, bool is_last);
typedef bool pop_function(struct spsc_end *end, bool is_last, uint64_t *ret_body);

INLINE void exchange(struct spsc_end *there, struct spsc_end *back, uint64_t body,
		     push_function *push, pop_function *pop, bool pauses)
{
	uint64_t answer;

	push(there, body, true);
	while (!pop(back, true, &answer))
		if (pauses)
			hearth_pause();
	must(answer == body + 1, "the other side answered something else");
}

INLINE void ping_loop(struct spsc_side *side, uint64_t slice_ticks, struct samples *samples,
		      push_function *push, pop_function *pop, bool pauses)
{
	struct spsc_end there = side->there;
	struct spsc_end back = side->back;
	uint64_t begun;
	uint64_t last;
	uint64_t now;
	uint32_t round;

	for (round = 0; round < WARM_ROUNDS; round++)
		exchange(&there, &back, 1, push, pop, pauses);
	samples->count = 0;
	begun = last = ticks();
	do {
		exchange(&there, &back, 1, push, pop, pauses);
		now = ticks();
		if (!samples_add(samples, now - last))
			break;
		last = now;
	} while (now - begun < slice_ticks);
	exchange(&there, &back, 0, push, pop, pauses);
	side->there = there;
	side->back = back;
}

INLINE void answer_loop(struct spsc_side *side, pop_function *pop, push_function *push, bool pauses)
{
	struct spsc_end there = side->there;
	struct spsc_end back = side->back;
	uint64_t body;

	do {
		while (!pop(&there, true, &body))
			if (pauses)
				hearth_pause();
		push(&back, body + 1, true);
	} while (body > 0);
	side->there = there;
	side->back = back;
}

INLINE uint64_t turn_push(struct spsc_end *end, uint64_t body, push_function *push, bool pauses)
{
	uint32_t batch;
	uint32_t index;

	for (batch = 0; batch < SPSC_TURN_MESSAGES / SPSC_BATCH; batch++) {
		for (index = 1; index <= SPSC_BATCH; index++) {
			body++;
			while (!push(end, body, index == SPSC_BATCH))
				if (pauses)
					hearth_pause();
		}
	}
	return body;
}

INLINE uint64_t produce_loop(struct spsc_side *side, uint64_t slice_ticks, struct samples *samples,
			     push_function *push, bool pauses)
{
	struct spsc_end end = side->along;
	uint64_t body = turn_push(&end, 0, push, pauses); /* the other side has begun by then */
	uint64_t begun = ticks();
	uint64_t last = begun;
	uint64_t now;

	samples->count = 0;
	do {
		body = turn_push(&end, body, push, pauses);
		now = ticks();
		if (!samples_add(samples, now - last))
			break;
		last = now;
	} while (now - begun < slice_ticks);
	while (!push(&end, 0, true))
		hearth_pause();
	side->along = end;
	return body * (body + 1) / 2;
}

INLINE uint64_t consume_loop(struct spsc_side *side, pop_function *pop, bool pauses)
{
	struct spsc_end end = side->along;
	uint64_t sum = 0;
	uint64_t body;
	uint32_t index = 0;

	do {
		index = index % SPSC_BATCH + 1;
		while (!pop(&end, index == SPSC_BATCH, &body))
			if (pauses)
				hearth_pause();
		sum += body;
	} while (body > 0);
	side->along = end;
	return sum;
}

/* --- the table ------------------------------------------------------------------------------- */

#define OURS false
#define RIVAL true
#define PAUSES true
#define SPINS false

/* key, name, bytes of a slot, whose; the way there and along, the way back, what a loop does that
 * finds nothing */
#define EACH(RING)                                                                                 \
	RING(line, "bare cache line", 64, OURS, line, line, PAUSES)                                \
	RING(hearth, "hearth: sequence in 64 bytes", 64, OURS, sq_ahead, cq_ahead, PAUSES)         \
	RING(hearth_spin, "  without pause", 64, OURS, sq_ahead, cq_ahead, SPINS)                  \
	RING(hearth_plain, "  without prefetch", 64, OURS, sq, cq, PAUSES)                         \
	RING(sq_asks, "  F2 each request", 64, OURS, sq_asks, cq, PAUSES)                          \
	RING(sq_asks_once, "  F2 once a batch", 64, OURS, sq_asks_once, cq, PAUSES)                \
	RING(cq_asks, "  F4 each completion", 64, OURS, cq_asks, cq, PAUSES)                       \
	RING(cq_asks_once, "  F4 once a batch", 64, OURS, cq_asks_once, cq, PAUSES)                \
	RING(seq64, "sequence in 64 bytes", 64, RIVAL, seq64, seq64, PAUSES)                       \
	RING(seq64_next, "  prefetchw of the next", 64, RIVAL, seq64_next, seq64_next, PAUSES)     \
	RING(seq64_ahead, "  prefetchw 16 ahead", 64, RIVAL, seq64_ahead, seq64_ahead, PAUSES)     \
	RING(seq128, "sequence in 128, 64 used", 64, RIVAL, seq128, seq128, PAUSES)                \
	RING(seq128_full, "sequence in 128 bytes", 128, RIVAL, seq128_full, seq128_full, PAUSES)   \
	RING(seq32, "sequence in 32 bytes", 32, RIVAL, seq32, seq32, PAUSES)                       \
	RING(seq16, "sequence in 16 bytes", 16, RIVAL, seq16, seq16, PAUSES)                       \
	RING(index_each, "head and tail, a message", 64, RIVAL, index_each, index_each, PAUSES)    \
	RING(index_batch, "head and tail, a batch", 64, RIVAL, index_batch, index_batch, PAUSES)   \
	RING(index_spin, "  without pause", 64, RIVAL, index_batch, index_batch, SPINS)            \
	RING(index_ahead, "  prefetchw 16 ahead", 64, RIVAL, index_ahead, index_ahead, PAUSES)

#define LOOPS(key, name, bytes, is_rival, outward, inward, pauses)                                 \
	LOOP void key##_loop_ping(struct spsc_side *side, uint64_t slice_ticks,                    \
				  struct samples *samples)                                         \
	{                                                                                          \
		ping_loop(side, slice_ticks, samples, outward##_push, inward##_pop, pauses);       \
	}                                                                                          \
	LOOP void key##_loop_answer(struct spsc_side *side)                                        \
	{                                                                                          \
		answer_loop(side, outward##_pop, inward##_push, pauses);                           \
	}                                                                                          \
	LOOP uint64_t key##_loop_produce(struct spsc_side *side, uint64_t slice_ticks,             \
					 struct samples *samples)                                  \
	{                                                                                          \
		return produce_loop(side, slice_ticks, samples, outward##_push, pauses);           \
	}                                                                                          \
	LOOP uint64_t key##_loop_consume(struct spsc_side *side)                                   \
	{                                                                                          \
		return consume_loop(side, outward##_pop, pauses);                                  \
	}
EACH(LOOPS)

#define ENTRY(key, name, bytes, is_rival, outward, inward, pauses)                                 \
	{ #key,                                                                                    \
	  name,                                                                                    \
	  bytes,                                                                                   \
	  is_rival,                                                                                \
	  key##_loop_ping,                                                                         \
	  key##_loop_answer,                                                                       \
	  key##_loop_produce,                                                                      \
	  key##_loop_consume },

const struct spsc spsc_all[] = { EACH(ENTRY) };
const uint32_t spsc_count = sizeof(spsc_all) / sizeof(*spsc_all);

void spsc_side_init(struct spsc_side *side, struct spsc_way ways[SPSC_WAYS])
{
	*side = (struct spsc_side){
		.there = { .way = ways },
		.back = { .way = ways + 1 },
		.along = { .way = ways + 2 },
	};
}

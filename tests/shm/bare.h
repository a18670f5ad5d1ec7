/* SPDX-License-Identifier: MIT */
/*
 * tests/shm/bare.h - rings that could be in the shipped one's place, without its protocol
 *
 * Threads:  a push on one side, the pop of the same name on the other one
 *
 * They differ in what is published (a sequence in each slot, or a count of all),
 * when (each message, or a batch), how large a slot is, and which lines a
 * producer asks for before it needs them. Slots are plain memory, copied in
 * whatever words the compiler likes best: nobody lies here.
 */
#ifndef HEARTH_TESTS_SHM_BARE_H
#define HEARTH_TESTS_SHM_BARE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "shm/barrier.h"
#include "shm/prefetch.h"
#include "spsc.h"

#define BARE_AHEAD_SLOTS 16u

#define INLINE static inline __attribute__((always_inline))

/* What was copied is in memory, whether or not somebody looks at it. */
#define KEEP(copy) __asm__ __volatile__("" : : "r"(copy) : "memory")

/* --- a sequence in the slot's first word ------------------------------------------------------ */

INLINE uint64_t *bare_slot(const struct spsc_end *end, uint64_t position, uint32_t slot_bytes)
{
	uint64_t offset = (position & (SPSC_SLOTS - 1)) * slot_bytes;

	return (uint64_t *)(void *)(end->way->bare.slots + offset);
}

INLINE bool bare_has_room(struct spsc_end *end)
{
	if (end->position - end->peer < SPSC_SLOTS)
		return true;
	/* T3 (acquire) pairs with T4: as T1. */
	end->peer = hearth_load_acquire(&end->way->bare.head);
	return end->position - end->peer < SPSC_SLOTS;
}

INLINE void bare_give_back(struct spsc_end *end)
{
	/* T4 (release) pairs with T3: as T2. */
	hearth_store_release(&end->way->bare.head, end->position);
}

INLINE bool seq_push(struct spsc_end *end, uint64_t body, uint32_t slot_bytes, uint32_t words,
		     uint32_t ahead)
{
	uint64_t *slot = bare_slot(end, end->position, slot_bytes);
	uint32_t word;

	if (!bare_has_room(end))
		return false;
#pragma GCC unroll 16
	for (word = 1; word <= words; word++)
		slot[word] = body;
	end->position++;
	/* T5 (release) pairs with T6: the body is visible before its sequence. Without it the last
	 * lap's body is read. */
	hearth_store_release(slot, end->position);
	if (ahead > 0)
		hearth_prefetch_write(bare_slot(end, end->position + ahead - 1, slot_bytes));
	return true;
}

INLINE bool seq_pop(struct spsc_end *end, bool is_last, uint64_t *ret_body, uint32_t slot_bytes,
		    uint32_t words)
{
	const uint64_t *slot = bare_slot(end, end->position, slot_bytes);
	uint64_t copy[SPSC_SLOT_BYTES_MAX / 8];

	/* T6 (acquire) pairs with T5: the body is read after its sequence. Without it it can be
	 * older. */
	if (hearth_load_acquire(slot) != end->position + 1)
		return false;
	memcpy(copy, slot + 1, words * sizeof(*copy));
	KEEP(copy);
	*ret_body = copy[0];
	end->position++;
	if (is_last)
		bare_give_back(end);
	return true;
}

#define SEQUENCE(name, slot_bytes, words, ahead)                                                   \
	INLINE bool name##_push(struct spsc_end *end, uint64_t body, bool is_last)                 \
	{                                                                                          \
		(void)is_last;                                                                     \
		return seq_push(end, body, slot_bytes, words, ahead);                              \
	}                                                                                          \
	INLINE bool name##_pop(struct spsc_end *end, bool is_last, uint64_t *ret_body)             \
	{                                                                                          \
		return seq_pop(end, is_last, ret_body, slot_bytes, words);                         \
	}

SEQUENCE(seq64, 64, 7, 0)
SEQUENCE(seq64_next, 64, 7, 1)
SEQUENCE(seq64_ahead, 64, 7, BARE_AHEAD_SLOTS)
SEQUENCE(seq128, 128, 7, 0)
SEQUENCE(seq128_full, 128, 15, 0)
SEQUENCE(seq32, 32, 3, 0)
SEQUENCE(seq16, 16, 1, 0)

/* --- head and tail, each side keeping what it last saw of the other one's --------------------- */

INLINE bool index_push(struct spsc_end *end, uint64_t body, bool publishes)
{
	uint64_t *slot = bare_slot(end, end->position, 64);
	uint32_t word;

	if (!bare_has_room(end))
		return false;
#pragma GCC unroll 8
	for (word = 0; word < 8; word++)
		slot[word] = body;
	end->position++;
	/* T7 (release) pairs with T8: the body is visible before it is counted. Without it the last
	 * lap's body is read. */
	if (publishes)
		hearth_store_release(&end->way->bare.tail, end->position);
	return true;
}

INLINE bool index_pop(struct spsc_end *end, bool gives_back, uint64_t *ret_body)
{
	const uint64_t *slot = bare_slot(end, end->position, 64);
	uint64_t copy[8];

	if (end->position == end->peer) {
		/* T8 (acquire) pairs with T7: the body is read after it was counted. Without it it
		 * can be older. */
		end->peer = hearth_load_acquire(&end->way->bare.tail);
		if (end->position == end->peer)
			return false;
	}
	memcpy(copy, slot, sizeof(copy));
	KEEP(copy);
	*ret_body = copy[0];
	end->position++;
	if (gives_back)
		bare_give_back(end);
	return true;
}

INLINE bool index_each_push(struct spsc_end *end, uint64_t body, bool is_last)
{
	(void)is_last;
	return index_push(end, body, true);
}

INLINE bool index_each_pop(struct spsc_end *end, bool is_last, uint64_t *ret_body)
{
	(void)is_last;
	return index_pop(end, true, ret_body);
}

#define index_batch_push index_push
#define index_batch_pop index_pop

INLINE bool index_ahead_push(struct spsc_end *end, uint64_t body, bool is_last)
{
	if (!index_push(end, body, is_last))
		return false;
	hearth_prefetch_write(bare_slot(end, end->position + BARE_AHEAD_SLOTS - 1, 64));
	return true;
}

#define index_ahead_pop index_pop

#endif

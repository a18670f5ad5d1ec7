/* SPDX-License-Identifier: MIT */
/*
 * shm/ring.h - publish and take 64-byte slots, and agree about sleeping
 *
 * One producer and one consumer a ring. A slot carries its own sequence
 * (position + 1), written last: a slot whose sequence is not the expected one
 * is empty. Nothing in this file loops or waits; push and pop try once, so a
 * model checker takes the file as it is.
 *
 * Sleeping is symmetric in both directions. The sleeper owns a "wait" word and
 * the ringer owns a "bell" word, each in the segment that its owner writes:
 *
 *     sleeper                              ringer
 *     b = bell                             publish a slot
 *     wait = wanted                        full fence            F2
 *     full fence            F1             if wait says so:
 *     look once more                           bell = bell + 1
 *     sleep while bell == b                    wake the sleepers of bell
 *
 * Either the sleeper's last look sees the slot, or the ringer sees `wait`; a
 * bell rung between the two is a changed word, and the sleep returns at once.
 *
 * Threads:  each function names the side that may call it
 * Errors:   none; what a lying peer can write is checked by the caller
 * Source:   the fences are Dekker's; slot sequences follow Vyukov's bounded
 *           queue, with one producer and one consumer
 */
#ifndef HEARTH_SHM_RING_H
#define HEARTH_SHM_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/barrier.h"
#include "shm/layout.h"

/* Slots move as words: a peer may overwrite one while it is copied, and a word
 * is never torn. The copy is what gets validated. */
typedef uint64_t __attribute__((may_alias)) hearth_word;

static inline void hearth_slot_store_body(void *slot, const void *body)
{
	hearth_word *to = (hearth_word *)slot;
	const hearth_word *from = (const hearth_word *)body;

	hearth_store_relaxed(to + 1, from[1]);
	hearth_store_relaxed(to + 2, from[2]);
	hearth_store_relaxed(to + 3, from[3]);
	hearth_store_relaxed(to + 4, from[4]);
	hearth_store_relaxed(to + 5, from[5]);
	hearth_store_relaxed(to + 6, from[6]);
	hearth_store_relaxed(to + 7, from[7]);
}

static inline void hearth_slot_load_body(void *body, const void *slot)
{
	hearth_word *to = (hearth_word *)body;
	const hearth_word *from = (const hearth_word *)slot;

	to[1] = hearth_load_relaxed(from + 1);
	to[2] = hearth_load_relaxed(from + 2);
	to[3] = hearth_load_relaxed(from + 3);
	to[4] = hearth_load_relaxed(from + 4);
	to[5] = hearth_load_relaxed(from + 5);
	to[6] = hearth_load_relaxed(from + 6);
	to[7] = hearth_load_relaxed(from + 7);
}

/* Client. The caller knows by its credits that the slot is free. */
static inline void hearth_sq_push(struct hearth_request_slot *slots, uint32_t slot_count,
				  uint64_t position, const struct hearth_request_slot *request)
{
	struct hearth_request_slot *slot = slots + (position & (slot_count - 1));

	hearth_slot_store_body(slot, request);
	/* P1 (release) pairs with C1: the slot's body, and the request range it
	 * names, are visible before its sequence. Without it the daemon can
	 * read the slot's previous occupant. */
	hearth_store_release(&slot->seq, position + 1);
}

/* Daemon. Copies the slot at `position` when it is there; judges nothing. */
static inline bool hearth_sq_pop(const struct hearth_request_slot *slots, uint32_t slot_count,
				 uint64_t position, struct hearth_request_slot *ret_request)
{
	const struct hearth_request_slot *slot = slots + (position & (slot_count - 1));

	/* C1 (acquire) pairs with P1: the body is read after its sequence.
	 * Without it a fresh sequence can come with a stale body. */
	if (hearth_load_acquire(&slot->seq) != position + 1)
		return false;
	hearth_slot_load_body(ret_request, slot);
	ret_request->seq = position + 1;
	return true;
}

/* Daemon. The caller reserved the place at admission. */
static inline void hearth_cq_push(struct hearth_completion_slot *slots, uint32_t slot_count,
				  uint64_t position,
				  const struct hearth_completion_slot *completion)
{
	struct hearth_completion_slot *slot = slots + (position & (slot_count - 1));

	hearth_slot_store_body(slot, completion);
	/* P2 (release) pairs with C2: the completion's body, and the response
	 * range it is about, are visible before its sequence. Without it the
	 * client can read results that are not there yet. */
	hearth_store_release(&slot->seq, position + 1);
}

/* Client. Copies the completion at `position` when it is there. */
static inline bool hearth_cq_pop(const struct hearth_completion_slot *slots, uint32_t slot_count,
				 uint64_t position, struct hearth_completion_slot *ret_completion)
{
	const struct hearth_completion_slot *slot = slots + (position & (slot_count - 1));

	/* C2 (acquire) pairs with P2: the body and the response range are read
	 * after the sequence. Without it they can be older than it. */
	if (hearth_load_acquire(&slot->seq) != position + 1)
		return false;
	hearth_slot_load_body(ret_completion, slot);
	ret_completion->seq = position + 1;
	return true;
}

/* Client. Gives every completion slot below `consumed` back to the daemon. */
static inline void hearth_cq_consume(struct hearth_lane_client *client, uint64_t consumed)
{
	/* P3 (release) pairs with C3: the completion was copied before its
	 * place is given back. Without it the daemon can overwrite a
	 * completion that is still being read. */
	hearth_store_release(&client->cq_head, consumed);
}

/* Daemon. What the client says it has consumed; the caller checks that it lies
 * between the last value and what was published. */
static inline uint64_t hearth_cq_consumed(const struct hearth_lane_client *client)
{
	/* C3 (acquire) pairs with P3: a place is reused only after the client's
	 * reads of it. Without it a new completion can be written too early. */
	return hearth_load_acquire(&client->cq_head);
}

/* Client, after hearth_sq_push: must the daemon be rung? */
static inline bool hearth_sq_must_ring(const struct hearth_lane_daemon *daemon)
{
	/* F2 (full fence) pairs with F1: the published slot is visible before
	 * need_wakeup is read. Without it both sides can read the past, and
	 * the request waits until the daemon's bounded sleep ends. */
	hearth_fence_full();
	return hearth_load_relaxed(&daemon->need_wakeup) != 0;
}

/* Client: changes the bell; the caller then wakes its sleepers. */
static inline void hearth_sq_ring(struct hearth_lane_client *client)
{
	hearth_store_relaxed(&client->sq_bell, hearth_load_relaxed(&client->sq_bell) + 1);
}

/* Daemon: announces sleep. The caller then looks at the ring once more, and
 * sleeps only while client->sq_bell is the returned value. */
static inline uint32_t hearth_sq_doze(struct hearth_lane_daemon *daemon,
				      const struct hearth_lane_client *client)
{
	uint32_t bell = hearth_load_relaxed(&client->sq_bell);

	hearth_store_relaxed(&daemon->need_wakeup, 1);
	/* F1 (full fence) pairs with F2: need_wakeup is visible before the last
	 * look at the ring. Without it a request can be published unseen. */
	hearth_fence_full();
	return bell;
}

static inline void hearth_sq_awake(struct hearth_lane_daemon *daemon)
{
	hearth_store_relaxed(&daemon->need_wakeup, 0);
}

/* Daemon, after publishing up to `published`, having last looked when
 * `published_before` were: how must the client be rung (HEARTH_CQ_*)? */
static inline uint32_t hearth_cq_must_ring(const struct hearth_lane_client *client,
					   uint64_t published_before, uint64_t published)
{
	uint64_t wait;

	/* F4 (full fence) pairs with F3: the completion is visible before
	 * cq_wait is read. Without it both sides can read the past, and the
	 * client sleeps until its bounded wait ends. */
	hearth_fence_full();
	wait = hearth_load_relaxed(&client->cq_wait);
	if (wait <= published_before || wait > published)
		return HEARTH_CQ_POLLING;
	return hearth_load_relaxed(&client->cq_mode);
}

/* Daemon: changes the bell; the caller then wakes its sleepers. */
static inline void hearth_cq_ring(struct hearth_lane_daemon *daemon)
{
	hearth_store_relaxed(&daemon->cq_bell, hearth_load_relaxed(&daemon->cq_bell) + 1);
}

/* Client: announces sleep until `position` completions are published. The
 * caller then looks once more, and sleeps only while daemon->cq_bell is the
 * returned value. */
static inline uint32_t hearth_cq_doze(struct hearth_lane_client *client,
				      const struct hearth_lane_daemon *daemon, uint64_t position,
				      uint32_t mode)
{
	uint32_t bell = hearth_load_relaxed(&daemon->cq_bell);

	hearth_store_relaxed(&client->cq_mode, mode);
	hearth_store_relaxed(&client->cq_wait, position);
	/* F3 (full fence) pairs with F4: cq_wait is visible before the last
	 * look at the completions. Without it one can be published unseen. */
	hearth_fence_full();
	return bell;
}

static inline void hearth_cq_awake(struct hearth_lane_client *client)
{
	hearth_store_relaxed(&client->cq_wait, 0);
}

/* Client: asks for the request in place `index` of `generation` to be given
 * up. It still ends with exactly one final completion. */
static inline void hearth_cancel_store(uint32_t *cancel, uint32_t index, uint32_t generation)
{
	hearth_store_relaxed(cancel + index, generation);
}

static inline bool hearth_cancel_wanted(const uint32_t *cancel, uint64_t id)
{
	return hearth_load_relaxed(cancel + (uint32_t)id) == (uint32_t)(id >> 32);
}

#endif

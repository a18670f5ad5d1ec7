/* SPDX-License-Identifier: MIT */
/*
 * tests/shm/model/connection.h - one connection as the model checker sees it, and the kernel's part
 *
 * The drivers in this folder call the shipped shm/ring.h. A caller's loop is cut: the first look
 * may find nothing, and executions in which the second one finds nothing either are left out
 * (__VERIFIER_assume), since the thread would only look again.
 *
 * A futex is what the kernel promises: the comparison and the sleep are one step under a lock that
 * a wake takes as well. No sleep ends by itself, so nothing here leans on the bounded sleeps.
 *
 * A tell is a plain word beside a place of a ring. Who owns the place touches it; when the
 * orderings do not hand the place over, the checker sees a data race.
 */
#ifndef HEARTH_TESTS_SHM_MODEL_CONNECTION_H
#define HEARTH_TESTS_SHM_MODEL_CONNECTION_H

#include <assert.h>
#include <genmc.h>
#include <pthread.h>

#include "shm/ring.h"

#ifndef SLOTS
#define SLOTS 1
#endif
#define COMPLETION_SLOTS (2 * SLOTS)
#define SLOT_WORDS 8

static struct hearth_lane_client client_segment;
static struct hearth_lane_daemon daemon_segment;
static struct hearth_request_slot request_slots[SLOTS];
static struct hearth_completion_slot completion_slots[COMPLETION_SLOTS];

/* --- slots: every word carries the message, so that a mixture of two shows -------------------- */

static inline void request_push(uint64_t position, uint64_t message)
{
	uint64_t words[SLOT_WORDS];

	for (int word = 0; word < SLOT_WORDS; word++)
		words[word] = message;
	hearth_sq_push(request_slots, SLOTS, position, (struct hearth_request_slot *)words);
}

static inline bool request_pop(uint64_t position, uint64_t message)
{
	uint64_t words[SLOT_WORDS];

	if (!hearth_sq_pop(request_slots, SLOTS, position, (struct hearth_request_slot *)words))
		return false;
	for (int word = 1; word < SLOT_WORDS; word++)
		assert(words[word] == message);
	return true;
}

static inline void completion_push(uint64_t position, uint64_t message)
{
	uint64_t words[SLOT_WORDS];

	for (int word = 0; word < SLOT_WORDS; word++)
		words[word] = message;
	hearth_cq_push(completion_slots, COMPLETION_SLOTS, position,
		       (struct hearth_completion_slot *)words);
}

static inline bool completion_copy(uint64_t position, uint64_t words[SLOT_WORDS])
{
	return hearth_cq_pop(completion_slots, COMPLETION_SLOTS, position,
			     (struct hearth_completion_slot *)words);
}

static inline void completion_judge(const uint64_t words[SLOT_WORDS], uint64_t message)
{
	for (int word = 1; word < SLOT_WORDS; word++)
		assert(words[word] == message);
}

static inline bool completion_pop(uint64_t position, uint64_t message)
{
	uint64_t words[SLOT_WORDS];

	if (!completion_copy(position, words))
		return false;
	completion_judge(words, message);
	return true;
}

static inline void request_await(uint64_t position, uint64_t message)
{
	if (!request_pop(position, message))
		__VERIFIER_assume(request_pop(position, message));
}

static inline void completion_await(uint64_t position, uint64_t message)
{
	if (!completion_pop(position, message))
		__VERIFIER_assume(completion_pop(position, message));
}

/* --- the kernel --------------------------------------------------------------------------------
 */

struct futex {
	pthread_mutex_t lock;
	bool has_sleeper;
};

/* Returns whether the caller sleeps; otherwise the word had changed. */
static inline bool futex_sleep(struct futex *futex, const uint32_t *word, uint32_t expected)
{
	bool sleeps;

	pthread_mutex_lock(&futex->lock);
	sleeps = hearth_load_relaxed(word) == expected;
	if (sleeps)
		futex->has_sleeper = true;
	pthread_mutex_unlock(&futex->lock);
	return sleeps;
}

static inline void futex_wake(struct futex *futex)
{
	pthread_mutex_lock(&futex->lock);
	futex->has_sleeper = false;
	pthread_mutex_unlock(&futex->lock);
}

static inline bool futex_is_asleep(struct futex *futex)
{
	bool sleeps;

	pthread_mutex_lock(&futex->lock);
	sleeps = futex->has_sleeper;
	pthread_mutex_unlock(&futex->lock);
	return sleeps;
}

/* The socket as a bell: a message stays until it is read. */
struct bell_socket {
	pthread_mutex_t lock;
	uint32_t messages;
};

static inline void socket_send(struct bell_socket *socket)
{
	pthread_mutex_lock(&socket->lock);
	socket->messages++;
	pthread_mutex_unlock(&socket->lock);
}

static inline bool socket_is_readable(struct bell_socket *socket)
{
	bool is_readable;

	pthread_mutex_lock(&socket->lock);
	is_readable = socket->messages > 0;
	pthread_mutex_unlock(&socket->lock);
	return is_readable;
}

/* --- two threads -------------------------------------------------------------------------------
 */

static void *client_main(void *unused);
static void *daemon_main(void *unused);

static inline void run_both(void)
{
	pthread_t client;
	pthread_t daemon;

	pthread_create(&client, NULL, client_main, NULL);
	pthread_create(&daemon, NULL, daemon_main, NULL);
	pthread_join(client, NULL);
	pthread_join(daemon, NULL);
}

#endif

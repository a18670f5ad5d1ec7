/* SPDX-License-Identifier: MIT */
/*
 * tests/shm/model/queue.c - messages between the daemon's two threads cross whole
 *
 * The shipped daemon/base/queue.c; only its memcpy is spelled as words, which the checker follows.
 * Messages are plain memory: when the counts do not order them, the checker sees a data race.
 */
#include <assert.h>
#include <genmc.h>
#include <pthread.h>
#include <string.h>

static inline void words_copy(void *to, const void *from, unsigned bytes)
{
	for (unsigned word = 0; word < bytes / sizeof(unsigned long); word++)
		((unsigned long *)to)[word] = ((const unsigned long *)from)[word];
}

#define memcpy(to, from, bytes) words_copy((to), (from), (bytes))
#include "daemon/base/queue.c"

#define MESSAGES 4
#define CAPACITY 2
#define MESSAGE_WORDS 2

static unsigned long places[CAPACITY * MESSAGE_WORDS];
static struct queue queue = {
	.messages = (unsigned char *)places,
	.message_bytes = MESSAGE_WORDS * sizeof(unsigned long),
	.message_count_max = CAPACITY,
};

/* Without this queue_init would miss it; it is never called. */
int err_raise_at(int error, const char *file, int line, const char *format, ...)
{
	(void)file, (void)line, (void)format;
	return error;
}

static void *producer_main(void *unused)
{
	for (unsigned long message = 1; message <= MESSAGES; message++) {
		unsigned long words[MESSAGE_WORDS] = {message, message};

		if (!queue_push(&queue, words))
			__VERIFIER_assume(queue_push(&queue, words));
	}
	return unused;
}

static void *consumer_main(void *unused)
{
	for (unsigned long message = 1; message <= MESSAGES; message++) {
		unsigned long words[MESSAGE_WORDS];

		if (!queue_pop(&queue, words))
			__VERIFIER_assume(queue_pop(&queue, words));
		assert(words[0] == message && words[1] == message);
	}
	return unused;
}

int main(void)
{
	pthread_t producer;
	pthread_t consumer;

	pthread_create(&producer, NULL, producer_main, NULL);
	pthread_create(&consumer, NULL, consumer_main, NULL);
	pthread_join(producer, NULL);
	pthread_join(consumer, NULL);
	return 0;
}

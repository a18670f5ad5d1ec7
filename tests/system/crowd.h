/* SPDX-License-Identifier: MIT */
/*
 * tests/system/crowd.h - processes that a test starts, what they share, and how they end
 *
 * Owns:     nothing: who starts a process ends it with crowd_finish or crowd_kill
 * Threads:  one thread at a time
 * Units:    ns
 * Errors:   `must` prints file, line and a sentence and ends the process with status 1,
 *           which the one that waits for it sees; nothing here returns an error
 *
 * A process that is started here dies with the one that started it, so a test
 * that fails leaves nobody behind.
 */
#ifndef HEARTH_TESTS_SYSTEM_CROWD_H
#define HEARTH_TESTS_SYSTEM_CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CROWD_SLOWDOWN 10
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CROWD_SLOWDOWN 10
#endif
#endif
#ifndef CROWD_SLOWDOWN
#define CROWD_SLOWDOWN 1 /* counts are divided by it: a sanitizer slows everything down */
#endif

/* What happens at all happens within this time, on any machine. */
#define CROWD_PATIENCE_NS (INT64_C(40) * 1000000000)

#define must(condition, ...)                                                                       \
	((condition) ? (void)0 : crowd_fail(__FILE__, __LINE__, #condition, __VA_ARGS__))

/* Looks every now and then until the condition holds. */
#define await(condition)                                                                           \
	for (int64_t await_until_ns = crowd_now_ns() + CROWD_PATIENCE_NS; !(condition);            \
	     crowd_pause_ns(500000))                                                               \
	must(crowd_now_ns() < await_until_ns, "waited in vain")

__attribute__((noreturn, format(printf, 4, 5))) void crowd_fail(const char *file, int line,
								const char *condition,
								const char *format, ...);

int64_t crowd_now_ns(void);
void crowd_pause_ns(int64_t pause_ns);

/* Runs `work` in a process of its own, which then ends with status 0. */
pid_t crowd_start(void (*work)(void *argument), void *argument);
/* Waits, bounded; it must have ended with status 0. */
void crowd_finish(pid_t pid);
void crowd_kill(pid_t pid);
/* It has not ended; who waits for its work asks. */
bool crowd_runs(pid_t pid);

/* Zeroed memory that this process and all it starts share, for their lifetime. */
void *crowd_share(size_t bytes);

/* Words in such memory. */
uint64_t crowd_read(const uint64_t *word);
void crowd_write(uint64_t *word, uint64_t value);
uint64_t crowd_add(uint64_t *word, uint64_t amount); /* returns the sum */

/* The next number of a sequence that its state alone decides (splitmix64). */
uint64_t crowd_random(uint64_t *state);
/* HEARTH_SEED, or one from the clock; printed with `what`. */
uint64_t crowd_seed(const char *what);
/* A number from the environment, for the long campaigns. */
uint64_t crowd_setting(const char *name, uint64_t otherwise);

#endif

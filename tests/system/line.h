/* SPDX-License-Identifier: MIT */
/*
 * tests/system/line.h - a message without a ring: one cache line
 *
 * Threads:  one side sends, the other one takes
 *
 * 64 bytes that one side writes and the other one reads, the turn last. A line
 * there and a line back, both sides polling, is the limit that the rings and the
 * whole way through hearthd are measured against.
 */
#ifndef HEARTH_TESTS_SYSTEM_LINE_H
#define HEARTH_TESTS_SYSTEM_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/barrier.h"

#define LINE_WORDS 7

struct line {
	uint64_t turn;
	uint64_t body[LINE_WORDS];
	uint8_t _unused[64]; /* cache lines are prefetched in pairs */
};

static inline void line_send(struct line *line, uint64_t turn, uint64_t body)
{
	uint32_t word;

#pragma GCC unroll 8
	for (word = 0; word < LINE_WORDS; word++)
		hearth_store_relaxed(&line->body[word], body);
	/* B1 (release) pairs with B2: the body is visible before its turn. Without it the other
	 * side can answer to the last turn's body. */
	hearth_store_release(&line->turn, turn);
}

/* Tries once. */
static inline bool line_take(const struct line *line, uint64_t turn, uint64_t *ret_body)
{
	uint64_t body = 0;
	uint32_t word;

	/* B2 (acquire) pairs with B1: the body is read after its turn. Without it what is copied
	 * can be older. */
	if (hearth_load_acquire(&line->turn) != turn)
		return false;
#pragma GCC unroll 8
	for (word = 0; word < LINE_WORDS; word++)
		body |= hearth_load_relaxed(&line->body[word]);
	*ret_body = body;
	return true;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tests/system/bare.h - what two processes can do at best: a cache line there, one back, both polling
 *
 * A child on a CPU of its own answers turn after turn. It can copy some bytes before it answers, from
 * a map that this side writes into one that this side reads: the least that an echo costs.
 *
 * Owns:     the child, which sleeps between bare_end and bare_begin; the maps
 * Threads:  one thread at a time
 */
#ifndef HEARTH_TESTS_SYSTEM_BARE_H
#define HEARTH_TESTS_SYSTEM_BARE_H

#include <stdint.h>
#include <sys/types.h>

#include "line.h"
#include "measure.h"

struct bare_lines {
	struct line there;
	struct line back;
};

struct bare {
	struct bare_lines *lines;
	uint8_t *request;  /* this side writes it, the child copies it ... */
	uint8_t *response; /* ... to here, where this side reads it */
	uint64_t turn;
	pid_t child_pid;
	int start_fd; /* the child waits here between its slices */
};

/* Up to bytes_max are copied in a round. */
void bare_open(struct bare *bare, int cpu_other, uint32_t bytes_max);
void bare_close(struct bare *bare);

void bare_begin(struct bare *bare);
void bare_end(struct bare *bare);

/* With bytes, they are written before and checked afterwards (payload.h). */
void bare_round(struct bare *bare, uint32_t bytes);
/* What a round without bytes takes, the middle half of many. */
double bare_line_ns(struct bare *bare, struct samples *samples);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tests/shm/spsc.h - the bare line, the shipped ring, and the rings that could be in its place
 *
 * Owns:     nothing: the caller shares the ways' memory and keeps the sides
 * Threads:  one producer and one consumer a way; ping and produce run on one side,
 *           answer and consume on the other one, at the same time
 * Units:    ticks of measure.h
 *
 * Each ring is a push and a pop that try once. They are compiled into four
 * loops, whose text is the same for all: ping and answer exchange messages one
 * by one; produce and consume move them one way, in batches.
 *
 * A message is one word, its body, repeated over the whole slot. The reader
 * copies all of it into private memory, as one must who trusts no writer. A
 * body of 0 ends a slice.
 */
#ifndef HEARTH_TESTS_SHM_SPSC_H
#define HEARTH_TESTS_SHM_SPSC_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/layout.h"
#include "tests/system/line.h"
#include "tests/system/measure.h"

#define SPSC_SLOTS 256u /* what a client has that asks for no other number */
#define SPSC_BATCH 16u
#define SPSC_TURN_MESSAGES (64 * SPSC_BATCH) /* more than any ring holds */
#define SPSC_SLOT_BYTES_MAX 128u

/* A bare ring. The producer writes tail and slots, the consumer head. */
struct spsc_bare {
	uint64_t head;
	uint8_t _unused0[HEARTH_LINE_PAIR_BYTES - 8];
	uint64_t tail;
	uint8_t _unused1[HEARTH_LINE_PAIR_BYTES - 8];
	uint8_t slots[SPSC_SLOTS * SPSC_SLOT_BYTES_MAX];
};

/* The shipped ring: what both segments of a connection hold ahead of their areas. */
struct spsc_lane {
	struct hearth_lane_client client;
	uint32_t cancel[SPSC_SLOTS];
	struct hearth_request_slot requests[SPSC_SLOTS];
	struct hearth_lane_daemon daemon;
	struct hearth_completion_slot completions[2 * SPSC_SLOTS];
};

/* What a ring keeps in the shared memory of one way; each one uses its part. */
struct spsc_way {
	struct spsc_lane lane;
	struct spsc_bare bare;
	struct line line;
};

/* What one side knows of one way. */
struct spsc_end {
	struct spsc_way *way;
	uint64_t position; /* of the next message */
	uint64_t peer;     /* the other side's position, when it was last looked at */
	uint64_t asked;    /* our position, when the other side was last asked whether it sleeps */
};

struct spsc_side {
	struct spsc_end there; /* ping and answer */
	struct spsc_end back;
	struct spsc_end along; /* produce and consume */
};

#define SPSC_WAYS 3u

struct spsc {
	const char *key;
	const char *name;
	uint32_t bytes; /* of a slot */
	bool is_rival;  /* not the shipped ring, however used, nor the limit */
	/* A sample is a round trip. */
	void (*ping)(struct spsc_side *side, uint64_t slice_ticks, struct samples *samples);
	void (*answer)(struct spsc_side *side);
	/* A sample is SPSC_TURN_MESSAGES; both return the sum of all bodies. */
	uint64_t (*produce)(struct spsc_side *side, uint64_t slice_ticks, struct samples *samples);
	uint64_t (*consume)(struct spsc_side *side);
};

#define SPSC_LIMIT 0u   /* the bare line: it has no room for a second message, so no stream */
#define SPSC_SHIPPED 1u /* shm/ring.h as both sides use it while they poll */
#define SPSC_COUNT_MAX 32u
extern const struct spsc spsc_all[];
extern const uint32_t spsc_count;

void spsc_side_init(struct spsc_side *side, struct spsc_way ways[SPSC_WAYS]);

#endif

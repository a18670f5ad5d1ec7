/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/tier.h - the table behind `hearthctl mem`: which memory serves what
 *
 * Owns:     the table of rows, not the memory they tell of
 * Threads:  any but the data thread: a mutex guards the table
 * Units:    bytes
 * Errors:   -ENOMEM with a sentence
 *
 * A row is there before the first page of its memory, and until after the last one. So whoever holds
 * a view, while which rows neither come nor go, finds the owner of every page that he sees.
 */
#ifndef HEARTH_MEMORY_TIER_H
#define HEARTH_MEMORY_TIER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define TIER_OWNER_BYTES 128
#define TIER_NO_ROW 0 /* what no row has for its number */
#define TIER_WHAT_IS_THERE UINT64_MAX /* used bytes of what grows as it is used */

enum tier_use {
	TIER_WEIGHTS,
	TIER_REPLICAS, /* of weights, on other nodes */
	TIER_ACTIVATIONS,
	TIER_LANES,
	TIER_LEFT, /* segments of a client that has disconnected, which its process may hold */
	TIER_KEPT, /* for the process that comes next: in a descriptor, mapped nowhere */
	TIER_POOLS,
	TIER_ROWS, /* on their way from cold tables */
	TIER_HEAP,
	TIER_STACKS,
	TIER_CODE,
	TIER_RINGS,
	TIER_RESERVE, /* huge pages that nobody has yet (memory/reserve.h) */
	TIER_STATS, /* the page in which a daemon is read that answers nobody */
	TIER_USE_COUNT,
};

struct reserve; /* memory/reserve.h */
struct tier_table;

/* Whose memory it will be. */
struct tier_owner {
	struct tier_table *table; /* NULL: nobody keeps books */
	const char *name;         /* "shoppers@2", "client 4711"; copied, and cut when it is too long */
	enum tier_use use;
};

struct tier_entry {
	uintptr_t address; /* 0: it is not mapped here */
	int node;          /* -1: not bound */
	enum tier_use use;
	char owner[TIER_OWNER_BYTES];
	uint64_t used_bytes;
	uint64_t mapped_bytes;
};

struct tier_row {
	bool is_taken;
	uint64_t number; /* the later it was taken, the higher */
	struct tier_entry entry;
};

struct tier_table {
	pthread_mutex_t mutex;
	bool is_ready;
	uint64_t number_last;
	uint32_t row_count; /* taken ones and others */
	struct tier_row *rows;
	struct reserve *reserve; /* of which those have their pages who have rows here; NULL: none */
};

/* Rows by address. */
struct tier_view_row {
	const struct tier_row *row;
	uintptr_t end_max; /* of the memory of this row, and of all before it */
};
struct tier_view {
	struct tier_table *table;
	struct tier_view_row *rows;
	uint32_t row_count;
};

void tier_init(struct tier_table *table);

/* The row's number is what tier_remove takes. */
must_check int tier_add(struct tier_table *table, const struct tier_entry *entry,
			uint32_t *ret_row);
/* One of these; where nobody keeps books it is TIER_NO_ROW. */
must_check int tier_add_range(const struct tier_owner *owner, const void *address,
			      uint64_t used_bytes, uint64_t mapped_bytes, int node,
			      uint32_t *ret_row);
/* TIER_NO_ROW is none. */
void tier_remove(struct tier_table *table, uint32_t row);

/* Copies the first entry at or after *row and moves *row past it; false at the
 * end. Start with *row = 0; entries may come and go between two calls. */
bool tier_next(struct tier_table *table, uint32_t *row, struct tier_entry *ret_entry);

/* From here to tier_end_view whoever adds or removes a row waits. */
must_check int tier_begin_view(struct tier_table *table, struct tier_view *ret_view);
/* The entry whose memory all of the range is; NULL: nobody's. Memory that has been unmapped has its
 * row for a moment longer, what was there at the start has it for ever, and either may be part of
 * somebody else's by then: of several rows the one that was taken last is told. */
const struct tier_entry *tier_find(const struct tier_view *view, uintptr_t begin, uintptr_t end);
void tier_end_view(struct tier_view *view);

const char *tier_use_name(enum tier_use use); /* "weights", "activations", ... */

void tier_deinit(struct tier_table *table);

/* `table` may be NULL. */
static inline struct reserve *tier_reserve(const struct tier_table *table)
{
	return table ? table->reserve : NULL;
}

#endif

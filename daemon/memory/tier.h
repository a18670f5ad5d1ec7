/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/tier.h - the table behind `hearthctl mem`: which memory serves what
 *
 * Owns:     the table of rows, not the memory they tell of
 * Threads:  any but the data thread: a mutex guards the table
 * Units:    bytes
 * Errors:   tier_init: -EINVAL, -ENOMEM; tier_add: TIER_E_FULL
 */
#ifndef HEARTH_MEMORY_TIER_H
#define HEARTH_MEMORY_TIER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "memory/span.h"

#define TIER_E_FULL 1 /* no row is left; the memory itself is fine */

#define TIER_ENTRIES_MAX 65536
#define TIER_NAME_BYTES 16
#define TIER_OWNER_BYTES 128

enum tier_use {
	TIER_WEIGHTS,
	TIER_ACTIVATIONS,
	TIER_LANES,
	TIER_POOLS,
};

struct tier_entry {
	char tier[TIER_NAME_BYTES]; /* "host" */
	int node;                   /* -1: not bound */
	enum span_backing pages;
	enum tier_use use;
	char owner[TIER_OWNER_BYTES]; /* "shoppers@2", "client 4711" */
	uint64_t used_bytes;
	uint64_t mapped_bytes;
};

struct tier_row {
	bool is_taken;
	struct tier_entry entry;
};

struct tier_table {
	pthread_mutex_t mutex;
	bool is_ready;
	uint32_t row_count_max;
	struct tier_row *rows;
};

must_check int tier_init(struct tier_table *table, uint32_t entry_count_max);

/* The row's number is what tier_remove and tier_resize take. */
must_check int tier_add(struct tier_table *table, const struct tier_entry *entry,
			uint32_t *ret_row);

/* A span of host memory; `owner` is copied, and cut when it is too long. */
must_check int tier_add_span(struct tier_table *table, const struct span *span, enum tier_use use,
			     const char *owner, uint32_t *ret_row);

void tier_resize(struct tier_table *table, uint32_t row, uint64_t used_bytes);
void tier_remove(struct tier_table *table, uint32_t row);

/* Copies the first entry at or after *row and moves *row past it; false at the
 * end. Start with *row = 0; entries may come and go between two calls. */
bool tier_next(struct tier_table *table, uint32_t *row, struct tier_entry *ret_entry);

const char *tier_use_name(enum tier_use use); /* "weights", "activations", "lanes", "pools" */

void tier_deinit(struct tier_table *table);

#endif

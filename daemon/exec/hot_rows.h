/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/hot_rows.h - which rows of cold tables are in memory, and which one leaves next
 *
 *     hot_rows_take     a batch needs this row: it is here, on its way, or to be read
 *     hot_rows_arrive   it has been read, or could not be
 *     hot_rows_give     the batch is done with it
 *
 * Owns:     its lists, index and counts; not the memory of the rows: slot s is the caller's
 *           s-th row
 * Threads:  one at a time
 * Units:    keys name a row of a table, whatever the caller makes of that; slots
 * Errors:   hot_rows_init -EINVAL, -ENOMEM; nothing allocates or fails after it
 * Source:   Einziger, Friedman, Manes 2017, "TinyLFU: A Highly Efficient Cache Admission
 *           Policy": W-TinyLFU, the window here being as large as batches may hold at once
 *
 * What was taken is pinned until it is given back as often. What is not pinned stands in one
 * of two lists, latest first: the window, into which each row comes, and the main part. When
 * room is needed the oldest of the window competes with the oldest of the main part; which
 * of the two was asked for less often, lately, leaves. So a scan passes through the window and
 * pushes nothing out that is asked for again and again.
 */
#ifndef HEARTH_EXEC_HOT_ROWS_H
#define HEARTH_EXEC_HOT_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define HOT_ROWS_NONE UINT32_MAX

enum hot_row {
	HOT_ROW_HERE,
	HOT_ROW_COMING, /* somebody else's read will bring it */
	HOT_ROW_WANTED, /* its slot is there: the caller reads it and tells hot_rows_arrive */
	HOT_ROW_FAILED, /* its read failed, and who took it before still holds it */
	HOT_ROW_FULL,   /* all slots are pinned; nothing was taken */
};

struct hot_slot {
	uint64_t key;
	uint32_t pins;
	uint32_t newer, older; /* in its list, while it is not pinned; of a free slot: the next free */
	uint8_t state;
	bool is_main;
};

struct hot_list {
	uint32_t newest, oldest;
};

/* How often keys were asked for lately: a count-min sketch, halved step by step. */
struct hot_sketch {
	uint8_t *counts;
	uint64_t mask; /* of a row's counters */
	uint64_t cursor;
	uint64_t credit; /* of halving, in counters times HOT_SKETCH_PERIOD times slots */
};

struct hot_rows {
	struct hot_slot *slots;
	uint32_t *index; /* open addressing: slot + 1, or 0 */
	uint64_t index_mask;
	uint32_t slot_count;
	uint32_t window_max;   /* of slots that came by the window, pinned ones included */
	uint32_t window_count;
	uint32_t used_count;
	uint32_t free_first;
	struct hot_list window, main;
	struct hot_sketch sketch;

	uint64_t hits; /* HERE and COMING */
	uint64_t misses;
	uint64_t evictions;
};

/* window_max: more slots than all batches together can pin at once. */
must_check int hot_rows_init(struct hot_rows *rows, uint32_t slot_count, uint32_t window_max);
void hot_rows_deinit(struct hot_rows *rows);

/* Pins the row's slot, but for HOT_ROW_FULL. */
enum hot_row hot_rows_take(struct hot_rows *rows, uint64_t key, uint32_t *ret_slot);

/* Of a slot that was WANTED. One that could not be read is forgotten once nobody holds it. */
void hot_rows_arrive(struct hot_rows *rows, uint32_t slot, bool is_read);

/* Of a slot that is pinned: is it HOT_ROW_COMING, or _FAILED? */
bool hot_rows_is_coming(const struct hot_rows *rows, uint32_t slot);
bool hot_rows_has_failed(const struct hot_rows *rows, uint32_t slot);

void hot_rows_give(struct hot_rows *rows, uint32_t slot);

#endif

/* SPDX-License-Identifier: MIT */
/* daemon/exec/hot_rows.c - which rows of cold tables are in memory, and which one leaves next */
#include "exec/hot_rows.h"

#include <errno.h>
#include <stdlib.h>

#include "memory/resident.h"

#define SLOTS_MAX (UINT32_C(1) << 30)
#define SKETCH_ROWS 4
#define SKETCH_COUNTERS 8 /* a slot, in each row: few keys share all four */
#define SKETCH_MAX 15
#define SKETCH_PERIOD 10 /* questions a slot, after which each counter has been halved once */

enum state {
	STATE_FREE,
	STATE_COMING,
	STATE_HERE,
	STATE_FAILED,
};

/* --- hashing ---------------------------------------------------------------------------------- */

/* The finalizer of MurmurHash3, which is a permutation. */
static uint64_t scramble(uint64_t key)
{
	key ^= key >> 33;
	key *= UINT64_C(0xff51afd7ed558ccd);
	key ^= key >> 33;
	key *= UINT64_C(0xc4ceb9fe1a85ec53);
	return key ^ key >> 33;
}

static uint64_t power_of_two(uint64_t least)
{
	uint64_t power = 1;

	while (power < least)
		power *= 2;
	return power;
}

/* --- how often -------------------------------------------------------------------------------- */

static uint8_t *sketch_counter(const struct hot_sketch *sketch, uint64_t hash, uint32_t row)
{
	/* Kirsch and Mitzenmacher 2006: two hashes make as many as are wanted. */
	uint64_t place = (hash + row * (hash >> 32 | 1)) & sketch->mask;

	return sketch->counts + row * (sketch->mask + 1) + place;
}

static uint32_t sketch_count(const struct hot_sketch *sketch, uint64_t key)
{
	uint64_t hash = scramble(key);
	uint32_t least = SKETCH_MAX;

	for (uint32_t row = 0; row < SKETCH_ROWS; row++) {
		uint8_t count = *sketch_counter(sketch, hash, row);

		least = count < least ? count : least;
	}
	return least;
}

/* Counters are halved a few at a time, so that no question waits for all of them. */
static void sketch_age(struct hot_sketch *sketch, uint32_t slot_count)
{
	uint64_t counters = SKETCH_ROWS * (sketch->mask + 1);
	uint64_t price = (uint64_t)SKETCH_PERIOD * slot_count;

	for (sketch->credit += counters; sketch->credit >= price; sketch->credit -= price) {
		sketch->counts[sketch->cursor] /= 2;
		sketch->cursor = sketch->cursor + 1 < counters ? sketch->cursor + 1 : 0;
	}
}

static void sketch_add(struct hot_sketch *sketch, uint64_t key)
{
	uint64_t hash = scramble(key);
	uint32_t least = sketch_count(sketch, key);

	/* Only the smallest are raised: the others are shared with somebody. */
	for (uint32_t row = 0; row < SKETCH_ROWS; row++) {
		uint8_t *count = sketch_counter(sketch, hash, row);

		if (*count == least && *count < SKETCH_MAX)
			(*count)++;
	}
}

/* --- lists ------------------------------------------------------------------------------------ */

static struct hot_list *list_of(struct hot_rows *rows, const struct hot_slot *slot)
{
	return slot->is_main ? &rows->main : &rows->window;
}

static void list_enter(struct hot_rows *rows, uint32_t number)
{
	struct hot_slot *slot = &rows->slots[number];
	struct hot_list *list = list_of(rows, slot);

	slot->newer = HOT_ROWS_NONE;
	slot->older = list->newest;
	if (list->newest != HOT_ROWS_NONE)
		rows->slots[list->newest].newer = number;
	else
		list->oldest = number;
	list->newest = number;
}

static void list_leave(struct hot_rows *rows, uint32_t number)
{
	struct hot_slot *slot = &rows->slots[number];
	struct hot_list *list = list_of(rows, slot);

	if (slot->newer != HOT_ROWS_NONE)
		rows->slots[slot->newer].older = slot->older;
	else
		list->newest = slot->older;
	if (slot->older != HOT_ROWS_NONE)
		rows->slots[slot->older].newer = slot->newer;
	else
		list->oldest = slot->newer;
}

/* --- the index -------------------------------------------------------------------------------- */

static uint32_t *index_find(const struct hot_rows *rows, uint64_t key)
{
	uint64_t place = scramble(key) & rows->index_mask;

	while (rows->index[place] != 0 && rows->slots[rows->index[place] - 1].key != key)
		place = (place + 1) & rows->index_mask;
	return &rows->index[place];
}

/* What was displaced past the hole moves back into it: Knuth, volume 3, 6.4, algorithm R. */
static void index_remove(struct hot_rows *rows, uint64_t key)
{
	uint64_t hole = (uint64_t)(index_find(rows, key) - rows->index);
	uint64_t place = hole;

	for (;;) {
		uint64_t home;

		place = (place + 1) & rows->index_mask;
		if (rows->index[place] == 0)
			break;
		home = scramble(rows->slots[rows->index[place] - 1].key) & rows->index_mask;
		if (((place - home) & rows->index_mask) >= ((place - hole) & rows->index_mask)) {
			rows->index[hole] = rows->index[place];
			hole = place;
		}
	}
	rows->index[hole] = 0;
}

/* --- room ------------------------------------------------------------------------------------- */

/* Of a slot that is in no list. */
static void slot_free(struct hot_rows *rows, uint32_t number)
{
	struct hot_slot *slot = &rows->slots[number];

	index_remove(rows, slot->key);
	if (!slot->is_main)
		rows->window_count--;
	rows->used_count--;
	slot->state = STATE_FREE;
	slot->is_main = false;
	slot->older = rows->free_first;
	rows->free_first = number;
}

static void slot_promote(struct hot_rows *rows, uint32_t number)
{
	list_leave(rows, number);
	rows->slots[number].is_main = true;
	rows->window_count--;
	list_enter(rows, number);
}

/* Frees a slot; false when all are pinned. */
static bool make_room(struct hot_rows *rows)
{
	uint32_t candidate = rows->window.oldest;
	uint32_t victim = rows->main.oldest;
	bool is_contest = candidate != HOT_ROWS_NONE && victim != HOT_ROWS_NONE;

	if (candidate == HOT_ROWS_NONE && victim == HOT_ROWS_NONE)
		return false;
	if (victim == HOT_ROWS_NONE)
		victim = candidate;
	if (is_contest && rows->window_count >= rows->window_max) {
		if (sketch_count(&rows->sketch, rows->slots[candidate].key) >
		    sketch_count(&rows->sketch, rows->slots[victim].key))
			slot_promote(rows, candidate);
		else
			victim = candidate;
	}
	list_leave(rows, victim);
	slot_free(rows, victim);
	rows->evictions++;
	return true;
}

/* While there is room beside it, what grows old in the window goes to the main part. */
static void window_settle(struct hot_rows *rows)
{
	while (rows->window_count > rows->window_max && rows->window.oldest != HOT_ROWS_NONE &&
	       rows->used_count - rows->window_count < rows->slot_count - rows->window_max)
		slot_promote(rows, rows->window.oldest);
}

/* --- questions -------------------------------------------------------------------------------- */

static enum hot_row slot_pin(struct hot_rows *rows, uint32_t number)
{
	struct hot_slot *slot = &rows->slots[number];

	if (slot->pins++ == 0)
		list_leave(rows, number);
	if (slot->state == STATE_FAILED)
		return HOT_ROW_FAILED;
	rows->hits++;
	return slot->state == STATE_HERE ? HOT_ROW_HERE : HOT_ROW_COMING;
}

enum hot_row hot_rows_take(struct hot_rows *rows, uint64_t key, uint32_t *ret_slot)
{
	uint32_t *place = index_find(rows, key);
	uint32_t number;

	sketch_add(&rows->sketch, key);
	sketch_age(&rows->sketch, rows->slot_count);
	if (*place != 0) {
		*ret_slot = *place - 1;
		return slot_pin(rows, *ret_slot);
	}
	if (rows->free_first == HOT_ROWS_NONE) {
		if (!make_room(rows))
			return HOT_ROW_FULL;
		place = index_find(rows, key);
	}
	number = rows->free_first;
	rows->free_first = rows->slots[number].older;
	rows->slots[number] = (struct hot_slot){ .key = key, .pins = 1, .state = STATE_COMING };
	*place = number + 1;
	rows->window_count++;
	rows->used_count++;
	rows->misses++;
	window_settle(rows);
	*ret_slot = number;
	return HOT_ROW_WANTED;
}

void hot_rows_arrive(struct hot_rows *rows, uint32_t slot, bool is_read)
{
	rows->slots[slot].state = is_read ? STATE_HERE : STATE_FAILED;
}

bool hot_rows_is_coming(const struct hot_rows *rows, uint32_t slot)
{
	return rows->slots[slot].state == STATE_COMING;
}

bool hot_rows_has_failed(const struct hot_rows *rows, uint32_t slot)
{
	return rows->slots[slot].state == STATE_FAILED;
}

void hot_rows_give(struct hot_rows *rows, uint32_t slot)
{
	if (--rows->slots[slot].pins > 0)
		return;
	if (rows->slots[slot].state == STATE_FAILED)
		slot_free(rows, slot);
	else
		list_enter(rows, slot);
}

/* --- life ------------------------------------------------------------------------------------- */

int hot_rows_init(struct hot_rows *rows, uint32_t slot_count, uint32_t window_max)
{
	uint64_t index_count = power_of_two(2 * (uint64_t)slot_count);
	uint64_t sketch_count_max = power_of_two((uint64_t)SKETCH_COUNTERS * slot_count);

	if (slot_count == 0 || slot_count > SLOTS_MAX || window_max == 0 || window_max > slot_count)
		return err_raise(-EINVAL,
				 "a cache of %u rows, %u of them for batches at work; 1 to %u are "
				 "possible",
				 slot_count, window_max, SLOTS_MAX);
	*rows = (struct hot_rows){
		.slots = resident_alloc(slot_count, sizeof(rows->slots[0])),
		.index = resident_alloc(index_count, sizeof(rows->index[0])),
		.index_mask = index_count - 1,
		.slot_count = slot_count,
		.window_max = window_max,
		.window = { HOT_ROWS_NONE, HOT_ROWS_NONE },
		.main = { HOT_ROWS_NONE, HOT_ROWS_NONE },
		.sketch = {
			.counts = resident_alloc(SKETCH_ROWS, sketch_count_max),
			.mask = sketch_count_max - 1,
		},
	};
	if (!rows->slots || !rows->index || !rows->sketch.counts) {
		hot_rows_deinit(rows);
		return err_raise(-ENOMEM, "no memory to keep count of %u rows", slot_count);
	}
	for (uint32_t number = 0; number < slot_count; number++)
		rows->slots[number].older = number + 1 < slot_count ? number + 1 : HOT_ROWS_NONE;
	return 0;
}

void hot_rows_deinit(struct hot_rows *rows)
{
	free(rows->slots);
	free(rows->index);
	free(rows->sketch.counts);
	*rows = (struct hot_rows){0};
}

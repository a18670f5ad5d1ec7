/* SPDX-License-Identifier: MIT */
/* daemon/memory/tier.c - rows taken and given back under one mutex */

#include "memory/tier.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_FIRST 64

void tier_init(struct tier_table *table)
{
	*table = (struct tier_table){ .is_ready = true };
	pthread_mutex_init(&table->mutex, NULL);
}

/* Twice as many as there are. */
static bool rows_grow(struct tier_table *table)
{
	uint32_t count = table->row_count > 0 ? 2 * table->row_count : ROWS_FIRST;
	struct tier_row *rows = realloc(table->rows, count * sizeof(rows[0]));

	if (!rows)
		return false;
	memset(rows + table->row_count, 0, (count - table->row_count) * sizeof(rows[0]));
	table->rows = rows;
	table->row_count = count;
	return true;
}

int tier_add(struct tier_table *table, const struct tier_entry *entry, uint32_t *ret_row)
{
	uint32_t row;
	bool has_room;

	pthread_mutex_lock(&table->mutex);
	for (row = 0; row < table->row_count && table->rows[row].is_taken; row++)
		;
	has_room = row < table->row_count || rows_grow(table);
	if (has_room)
		table->rows[row] = (struct tier_row){ true, ++table->number_last, *entry };
	pthread_mutex_unlock(&table->mutex);
	if (!has_room)
		return err_raise(-ENOMEM, "no memory to write down what %s takes", entry->owner);
	*ret_row = row + 1;
	return 0;
}

int tier_add_range(const struct tier_owner *owner, const void *address, uint64_t used_bytes,
		   uint64_t mapped_bytes, int node, uint32_t *ret_row)
{
	struct tier_entry entry = {
		.address = (uintptr_t)address,
		.node = node,
		.used_bytes = used_bytes,
		.mapped_bytes = mapped_bytes,
	};

	*ret_row = TIER_NO_ROW;
	if (!owner || !owner->table)
		return 0;
	entry.use = owner->use;
	snprintf(entry.owner, sizeof(entry.owner), "%s", owner->name);
	return err_trace(tier_add(owner->table, &entry, ret_row));
}

void tier_remove(struct tier_table *table, uint32_t row)
{
	if (row == TIER_NO_ROW)
		return;
	pthread_mutex_lock(&table->mutex);
	assert(row <= table->row_count && table->rows[row - 1].is_taken);
	table->rows[row - 1].is_taken = false;
	pthread_mutex_unlock(&table->mutex);
}

bool tier_next(struct tier_table *table, uint32_t *row, struct tier_entry *ret_entry)
{
	bool is_found = false;

	pthread_mutex_lock(&table->mutex);
	while (!is_found && *row < table->row_count) {
		is_found = table->rows[*row].is_taken;
		if (is_found)
			*ret_entry = table->rows[*row].entry;
		(*row)++;
	}
	pthread_mutex_unlock(&table->mutex);
	return is_found;
}

/* --- views ------------------------------------------------------------------------------------ */

static int row_compare(const void *left, const void *right)
{
	uintptr_t one = ((const struct tier_view_row *)left)->row->entry.address;
	uintptr_t other = ((const struct tier_view_row *)right)->row->entry.address;

	return one < other ? -1 : one > other;
}

static uintptr_t row_end(const struct tier_row *row)
{
	return row->entry.address + row->entry.mapped_bytes;
}

int tier_begin_view(struct tier_table *table, struct tier_view *ret_view)
{
	struct tier_view view = { .table = table };
	uintptr_t end_max = 0;
	uint32_t index;
	uint32_t row;

	pthread_mutex_lock(&table->mutex);
	view.rows = calloc((size_t)table->row_count + 1, sizeof(view.rows[0]));
	if (!view.rows) {
		pthread_mutex_unlock(&table->mutex);
		return err_raise(-ENOMEM, "no memory to look through %u rows", table->row_count);
	}
	for (row = 0; row < table->row_count; row++)
		if (table->rows[row].is_taken && table->rows[row].entry.address)
			view.rows[view.row_count++].row = &table->rows[row];
	qsort(view.rows, view.row_count, sizeof(view.rows[0]), row_compare);
	for (index = 0; index < view.row_count; index++) {
		if (row_end(view.rows[index].row) > end_max)
			end_max = row_end(view.rows[index].row);
		view.rows[index].end_max = end_max;
	}
	*ret_view = view;
	return 0;
}

const struct tier_entry *tier_find(const struct tier_view *view, uintptr_t begin, uintptr_t end)
{
	const struct tier_row *found = NULL;
	uint32_t low = 0;
	uint32_t high = view->row_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (view->rows[middle].row->entry.address <= begin)
			low = middle + 1;
		else
			high = middle;
	}
	/* Where none of those before reaches so far, none that is still to come does. */
	for (; low > 0 && view->rows[low - 1].end_max >= end; low--) {
		const struct tier_row *row = view->rows[low - 1].row;

		if (row_end(row) >= end && (!found || row->number > found->number))
			found = row;
	}
	return found ? &found->entry : NULL;
}

void tier_end_view(struct tier_view *view)
{
	free(view->rows);
	pthread_mutex_unlock(&view->table->mutex);
}

const char *tier_use_name(enum tier_use use)
{
	static const char *const names[TIER_USE_COUNT] = {
		[TIER_WEIGHTS] = "weights", [TIER_REPLICAS] = "replicas",
		[TIER_ACTIVATIONS] = "activations",
		[TIER_LANES] = "lanes",     [TIER_LEFT] = "left",
		[TIER_KEPT] = "kept",
		[TIER_POOLS] = "pools",     [TIER_ROWS] = "rows",
		[TIER_HEAP] = "heap",       [TIER_STACKS] = "stacks",
		[TIER_CODE] = "code",       [TIER_RINGS] = "rings",
		[TIER_RESERVE] = "reserve", [TIER_STATS] = "stats",
	};

	return names[use];
}

void tier_deinit(struct tier_table *table)
{
	if (table->is_ready)
		pthread_mutex_destroy(&table->mutex);
	free(table->rows);
	memset(table, 0, sizeof(*table));
}

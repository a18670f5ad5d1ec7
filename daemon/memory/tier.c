/* SPDX-License-Identifier: MIT */
/* daemon/memory/tier.c - rows taken and given back under one mutex */

#include "memory/tier.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int tier_init(struct tier_table *table, uint32_t entry_count_max)
{
	struct tier_row *rows;

	if (entry_count_max == 0 || entry_count_max > TIER_ENTRIES_MAX)
		return err_raise(-EINVAL, "a tier table of %u entries was asked for; 1 to %d work",
				 entry_count_max, TIER_ENTRIES_MAX);
	rows = calloc(entry_count_max, sizeof(rows[0]));
	if (!rows)
		return err_raise(-ENOMEM, "no memory for a tier table of %u entries",
				 entry_count_max);
	*table = (struct tier_table){ .row_count_max = entry_count_max, .rows = rows };
	pthread_mutex_init(&table->mutex, NULL);
	table->is_ready = true;
	return 0;
}

int tier_add(struct tier_table *table, const struct tier_entry *entry, uint32_t *ret_row)
{
	uint32_t row;

	pthread_mutex_lock(&table->mutex);
	for (row = 0; row < table->row_count_max && table->rows[row].is_taken; row++)
		;
	if (row < table->row_count_max)
		table->rows[row] = (struct tier_row){ .is_taken = true, .entry = *entry };
	pthread_mutex_unlock(&table->mutex);
	if (row == table->row_count_max)
		return TIER_E_FULL;
	*ret_row = row;
	return 0;
}

int tier_add_span(struct tier_table *table, const struct span *span, enum tier_use use,
		  const char *owner, uint32_t *ret_row)
{
	struct tier_entry entry = {
		.tier = "host",
		.node = span->node,
		.pages = span->backing,
		.use = use,
		.used_bytes = span->bytes,
		.mapped_bytes = span->used_bytes,
	};

	snprintf(entry.owner, sizeof(entry.owner), "%s", owner);
	return tier_add(table, &entry, ret_row); /* TIER_E_FULL is this function's too */
}

void tier_resize(struct tier_table *table, uint32_t row, uint64_t used_bytes)
{
	pthread_mutex_lock(&table->mutex);
	assert(row < table->row_count_max && table->rows[row].is_taken);
	table->rows[row].entry.used_bytes = used_bytes;
	pthread_mutex_unlock(&table->mutex);
}

void tier_remove(struct tier_table *table, uint32_t row)
{
	pthread_mutex_lock(&table->mutex);
	assert(row < table->row_count_max && table->rows[row].is_taken);
	table->rows[row].is_taken = false;
	pthread_mutex_unlock(&table->mutex);
}

bool tier_next(struct tier_table *table, uint32_t *row, struct tier_entry *ret_entry)
{
	bool is_found = false;

	pthread_mutex_lock(&table->mutex);
	while (!is_found && *row < table->row_count_max) {
		is_found = table->rows[*row].is_taken;
		if (is_found)
			*ret_entry = table->rows[*row].entry;
		(*row)++;
	}
	pthread_mutex_unlock(&table->mutex);
	return is_found;
}

const char *tier_use_name(enum tier_use use)
{
	switch (use) {
	case TIER_WEIGHTS:
		return "weights";
	case TIER_ACTIVATIONS:
		return "activations";
	case TIER_LANES:
		return "lanes";
	case TIER_POOLS:
		return "pools";
	}
	return "";
}

void tier_deinit(struct tier_table *table)
{
	if (table->is_ready)
		pthread_mutex_destroy(&table->mutex);
	free(table->rows);
	memset(table, 0, sizeof(*table));
}

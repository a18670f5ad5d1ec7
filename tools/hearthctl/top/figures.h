/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/top/figures.h - what went on between two readings, as a head and three tables
 *
 * Owns:     the figures their rows
 * Threads:  one
 * Units:    those of a title; a number that is not known is below 0
 * Errors:   a row for which there is no memory is left out, and lacks_memory says so
 *
 * Texts hold what a client or a model's folder chose: control characters are '?' in them.
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_TOP_FIGURES_H
#define HEARTH_TOOLS_HEARTHCTL_TOP_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/hearthctl/top/reading.h"

#define FIGURES_COLUMNS_MAX 8
#define FIGURES_TEXT_BYTES 144
#define FIGURES_ITEMS_MAX 12
#define FIGURES_ITEM_BYTES 48
#define FIGURES_BAR_CELLS 20

enum figures_kind {
	FIGURES_MODELS,
	FIGURES_CLIENTS, /* connections of a process are one row */
	FIGURES_MEMORY,
	FIGURES_KINDS,
};

struct figures_column {
	const char *title;
	bool is_text; /* to the left, and sorted as a text */
};

struct figures_cell {
	double number;
	char text[FIGURES_TEXT_BYTES];
};

struct figures_row {
	struct figures_cell cells[FIGURES_COLUMNS_MAX];
	bool is_bad;
	uint32_t place; /* where the daemon has it */
};

struct figures_table {
	const struct figures_column *columns;
	uint32_t column_count;
	struct figures_row *rows;
	uint32_t row_count, row_count_max;
	uint32_t sort_column;
	bool is_reverse; /* else texts rise and numbers fall */
};

struct figures {
	char items[FIGURES_ITEMS_MAX][FIGURES_ITEM_BYTES]; /* of the head */
	uint32_t item_count;
	char worst[READING_WORST_BYTES];
	struct figures_table tables[FIGURES_KINDS];
	struct histogram interval;
	bool lacks_memory;
};

void figures_init(struct figures *figures);

/* Of `before`, which may have no answer, and `now`, which has one. The order stays what it was told
 * to be. */
void figures_make(struct figures *figures, const struct reading *before, const struct reading *now);

void figures_sort(struct figures_table *table);

void figures_deinit(struct figures *figures);

#endif

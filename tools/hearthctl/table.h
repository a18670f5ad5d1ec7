/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/table.h - aligned columns for a person, and numbers with their unit
 *
 * Owns:     the table its cells
 * Threads:  one
 * Units:    the text_ functions take what their name ends in
 * Errors:   none; a cell for which there is no memory stays empty
 *
 * Cells may hold what a client or a model file chose: control characters become
 * '?', so that nobody writes to the operator's terminal.
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_TABLE_H
#define HEARTH_TOOLS_HEARTHCTL_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 16
#define TEXT_BYTES 32

enum table_style {
	TABLE_PLAIN,
	TABLE_STRONG, /* a total */
	TABLE_GOOD,
	TABLE_BAD,
};

struct table_cell {
	char *text;
	enum table_style style;
};

struct table {
	uint32_t column_count;
	bool is_right[TABLE_COLUMNS_MAX];
	struct table_cell *cells; /* row after row, the titles first */
	uint32_t cell_count;
	uint32_t cell_count_max;
};

/* Titles separated by spaces; one that starts with '>' is aligned to the right. */
void table_init(struct table *table, const char *titles);
void table_add(struct table *table, enum table_style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void table_print(const struct table *table, FILE *stream);
void table_deinit(struct table *table);

/* A terminal that is not "dumb". */
bool terminal_is_on(int fd);

/* Of stdout; 80 where that does not say. */
uint32_t terminal_columns(void);

/* Colour: only on a terminal that is not "dumb", and without NO_COLOR. What is put together in memory
 * goes to stdout. */
bool style_is_on(FILE *stream);
const char *style_begin(FILE *stream, enum table_style style);
const char *style_end(FILE *stream, enum table_style style);

/* Control characters become '?', in place. */
void text_disarm(char *text);

/* Writes what somebody else chose, control characters as '?'. */
void text_put(const char *text, FILE *stream);

/* A number of bytes as "1.5 MiB", of ns as "12.3 us"; each writes at most
 * TEXT_BYTES and returns `text`. */
const char *text_bytes(uint64_t bytes, char text[TEXT_BYTES]);
const char *text_ns(uint64_t ns, char text[TEXT_BYTES]);
const char *text_duration_s(double seconds, char text[TEXT_BYTES]);

#endif

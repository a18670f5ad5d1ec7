/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/top/screen.h - figures on a terminal, whatever its size
 *
 * Owns:     the terminal, from screen_open to screen_close
 * Threads:  one; needs setlocale(LC_CTYPE, "")
 * Errors:   exit codes, with a sentence on stderr
 *
 * Colours repeat what is written, and are left out as everywhere (table.h).
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_TOP_SCREEN_H
#define HEARTH_TOOLS_HEARTHCTL_TOP_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/hearthctl/top/figures.h"

enum screen_key {
	SCREEN_NONE, /* no more of them */
	SCREEN_OTHER,
	SCREEN_RESIZED,
	SCREEN_QUIT,
	SCREEN_TABLE,
	SCREEN_TABLE_BACK,
	SCREEN_UP,
	SCREEN_DOWN,
	SCREEN_PAGE_UP,
	SCREEN_PAGE_DOWN,
	SCREEN_LEFT,
	SCREEN_RIGHT,
	SCREEN_SORT,
	SCREEN_REVERSE,
	SCREEN_PAUSE,
	SCREEN_HELP,
	SCREEN_DIGIT, /* + 1 to 9 */
};

struct screen {
	void *curses; /* a SCREEN, of which only screen.c knows; NULL: not open */
	bool is_styled;
	bool has_colours;
	bool is_help;
	enum figures_kind chosen;
	uint32_t first_rows[FIGURES_KINDS]; /* that are shown; too large ones are put right */
	uint32_t first_columns[FIGURES_KINDS]; /* behind the first one, which stays */
	uint32_t page_rows; /* of the chosen table */
};

/* EXIT_OK, or the sentence that says why there is nothing to draw on, and what to use instead. */
int screen_check(void);
int screen_open(struct screen *screen);

/* `state` is a word or two, `note` a sentence or "". */
void screen_draw(struct screen *screen, const struct figures *figures, const char *state,
		 const char *note);

/* What was pressed, without waiting. */
int screen_read(struct screen *screen);

/* The terminal is as it was. Accepts one that was not opened. */
void screen_close(struct screen *screen);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/top/screen.c - a head, tables one below the other, and what can be pressed
 *
 * All tables are shown where there is room, and the chosen one gets what the others leave; on a small
 * terminal it is alone.
 */
#include "tools/hearthctl/top/screen.h"

#include <curses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "tools/hearthctl/table.h"

#define LINE_BYTES 2048
#define GAP 2
#define SHARED_LINES 11 /* that three tables need */
#define PAIR_BAD 1

static const char *const kind_names[] = {"models", "clients", "memory"};
static const char *const nothings[] = {"no model is loaded", "no client is connected", "it is not known"};

/* --- text ------------------------------------------------------------------------------------------ */

/* As much of a text as fits `columns`; returns how many it takes. What the terminal's character set
 * does not have is '?'. */
static int text_fit(const char *text, int columns, char fitted[LINE_BYTES])
{
	size_t used = 0;
	int taken = 0;

	while (*text) {
		mbstate_t state = {0};
		wchar_t character;
		size_t bytes = mbrtowc(&character, text, MB_CUR_MAX, &state);
		bool is_whole = bytes != (size_t)-1 && bytes != (size_t)-2;
		int width = is_whole ? wcwidth(character) : -1;

		if (!is_whole)
			bytes = 1;
		if (taken + (width < 0 ? 1 : width) > columns || used + MB_CUR_MAX >= LINE_BYTES)
			break;
		if (width < 0)
			fitted[used++] = '?';
		else
			memcpy(fitted + used, text, bytes);
		used += width < 0 ? 0 : bytes;
		taken += width < 0 ? 1 : width;
		text += bytes;
	}
	fitted[used] = '\0';
	return taken;
}

static int text_columns(const char *text)
{
	char fitted[LINE_BYTES];

	return text_fit(text, LINE_BYTES, fitted);
}

/* Returns the column behind it. */
static int text_draw(int line, int column, const char *text)
{
	char fitted[LINE_BYTES];
	int taken;

	if (column >= COLS || line >= LINES)
		return column;
	taken = text_fit(text, COLS - column, fitted);
	mvaddstr(line, column, fitted);
	return column + taken;
}

static void style_set(const struct screen *screen, bool is_strong, bool is_bad)
{
	attr_t attributes = A_NORMAL;

	if (screen->is_styled && is_strong)
		attributes |= A_BOLD;
	attr_set(attributes, screen->has_colours && is_bad ? PAIR_BAD : 0, NULL);
}

/* --- the head -------------------------------------------------------------------------------------- */

/* Items one behind the other, and below where they do not fit. Returns the line behind them. */
static int items_draw(const struct figures *figures, const char *state, int line_max)
{
	int line = 0, column = 0;

	for (uint32_t at = 0; at <= figures->item_count; at++) {
		const char *item = at == 0 ? state : figures->items[at - 1];

		if (column > 0 && column + text_columns(item) > COLS) {
			column = 0;
			if (++line == line_max)
				return line;
		}
		column = text_draw(line, column, item) + GAP;
	}
	return line + 1;
}

/* A sentence, cut between words, in `line_count` lines at most. Returns the line behind it. */
static int sentence_draw(int line, int line_count, const char *sentence)
{
	char fitted[LINE_BYTES];

	for (; *sentence && line_count > 0; line_count--) {
		size_t bytes;

		(void)text_fit(sentence, COLS, fitted);
		bytes = strlen(fitted);
		while (line_count > 1 && sentence[bytes] && bytes > 0 && sentence[bytes] != ' ')
			bytes--;
		if (bytes == 0)
			bytes = strlen(fitted);
		fitted[bytes] = '\0';
		mvaddstr(line++, 0, fitted);
		sentence += bytes;
		sentence += strspn(sentence, " ");
	}
	return line;
}

static int head_draw(const struct screen *screen, const struct figures *figures, const char *state,
		     const char *note)
{
	int line_max = LINES > 5 ? LINES / 3 : 1;
	int sentence_lines = LINES > 20 ? 3 : 1;
	int line;

	style_set(screen, true, false);
	line = items_draw(figures, state, line_max);
	if (*note && line < LINES - 1) {
		style_set(screen, true, true);
		line = sentence_draw(line, sentence_lines, note);
	} else if (*figures->worst && line < LINES - 4) {
		char worst[READING_WORST_BYTES + 16];

		style_set(screen, false, false);
		snprintf(worst, sizeof(worst), "worst: %s", figures->worst);
		line = sentence_draw(line, sentence_lines, worst);
	}
	style_set(screen, false, false);
	return line;
}

/* --- tables ---------------------------------------------------------------------------------------- */

static const char *title_text(const struct figures_table *table, uint32_t column,
			      char text[FIGURES_TEXT_BYTES])
{
	bool rises = table->columns[column].is_text != table->is_reverse;

	snprintf(text, FIGURES_TEXT_BYTES, "%s%s", table->columns[column].title,
		 column != table->sort_column ? "" : rises ? "^" : "v");
	return text;
}

static void widths_measure(const struct figures_table *table, int widths[FIGURES_COLUMNS_MAX])
{
	for (uint32_t column = 0; column < table->column_count; column++) {
		char title[FIGURES_TEXT_BYTES];

		widths[column] = text_columns(title_text(table, column, title));
		for (uint32_t row = 0; row < table->row_count; row++) {
			int width = text_columns(table->rows[row].cells[column].text);

			if (width > widths[column])
				widths[column] = width;
		}
	}
}

/* The titles, where `row` is NULL. */
static void row_draw(const struct screen *screen, const struct figures_table *table,
		     enum figures_kind kind, const struct figures_row *row,
		     const int widths[FIGURES_COLUMNS_MAX], int line)
{
	int left = text_draw(line, 0, row ? "  " : kind == screen->chosen ? "> " : "  ");

	for (uint32_t column = 0; column < table->column_count; column++) {
		char title[FIGURES_TEXT_BYTES];
		const char *text = row ? row->cells[column].text : title_text(table, column, title);
		bool is_left = table->columns[column].is_text;

		if (column > 0 && column <= screen->first_columns[kind])
			continue;
		(void)text_draw(line, left + (is_left ? 0 : widths[column] - text_columns(text)), text);
		left += widths[column] + GAP;
	}
}

static void table_draw(struct screen *screen, const struct figures_table *table,
		       enum figures_kind kind, int line, int line_count)
{
	uint32_t room = line_count > 1 ? (uint32_t)line_count - 1 : 0;
	uint32_t last = table->row_count > room ? table->row_count - room : 0;
	int widths[FIGURES_COLUMNS_MAX];

	if (screen->first_rows[kind] > last)
		screen->first_rows[kind] = last;
	if (screen->first_columns[kind] > table->column_count - 2)
		screen->first_columns[kind] = table->column_count - 2;
	if (kind == screen->chosen)
		screen->page_rows = room > 0 ? room : 1;
	widths_measure(table, widths);
	style_set(screen, true, false);
	row_draw(screen, table, kind, NULL, widths, line);
	style_set(screen, false, false);
	if (table->row_count == 0 && room > 0)
		(void)text_draw(line + 1, 2, nothings[kind]);
	for (uint32_t at = 0; at < room && screen->first_rows[kind] + at < table->row_count; at++) {
		const struct figures_row *row = &table->rows[screen->first_rows[kind] + at];

		style_set(screen, false, row->is_bad);
		row_draw(screen, table, kind, row, widths, line + 1 + (int)at);
	}
	style_set(screen, false, false);
}

static int lines_wanted(const struct figures_table *table)
{
	return table->row_count < INT16_MAX ? 1 + (table->row_count > 0 ? (int)table->row_count : 1)
					    : INT16_MAX;
}

/* Lines of each table: all they want, or the chosen one what the others leave; 0: it is not shown. */
static void lines_share(const struct screen *screen, const struct figures *figures, int room,
			int lines[FIGURES_KINDS])
{
	int most = room / 4 > 3 ? room / 4 : 3;
	int left;

	memset(lines, 0, FIGURES_KINDS * sizeof(*lines));
	lines[screen->chosen] = room;
	if (room < SHARED_LINES)
		return;
	for (uint32_t kind = 0; kind < FIGURES_KINDS; kind++) {
		int wanted = lines_wanted(&figures->tables[kind]);

		if (kind == screen->chosen)
			continue;
		lines[kind] = wanted < most ? wanted : most;
		lines[screen->chosen] -= lines[kind] + 1;
	}
	/* What the chosen one does not want, the others may. */
	left = lines[screen->chosen] - lines_wanted(&figures->tables[screen->chosen]);
	if (left <= 0)
		return;
	lines[screen->chosen] -= left;
	for (uint32_t kind = 0; kind < FIGURES_KINDS; kind++) {
		int more = lines_wanted(&figures->tables[kind]) - lines[kind];

		more = more < left ? more : left;
		lines[kind] += more;
		left -= more;
	}
}

static void foot_draw(const struct screen *screen, const struct figures *figures)
{
	const struct figures_table *table = &figures->tables[screen->chosen];
	uint32_t first = screen->first_rows[screen->chosen];
	uint32_t behind = first + screen->page_rows;
	char foot[256];

	if (behind > table->row_count)
		behind = table->row_count;
	snprintf(foot, sizeof(foot),
		 "%s %u-%u of %u  h help  q quit  tab table  s sort  r reverse  p pause  1-9 seconds",
		 kind_names[screen->chosen], table->row_count > 0 ? first + 1 : 0, behind,
		 table->row_count);
	style_set(screen, true, false);
	(void)text_draw(LINES - 1, 0, foot);
	style_set(screen, false, false);
}

/* --- the whole of it ------------------------------------------------------------------------------- */

/* Ten lines of forty columns. */
static void help_draw(void)
{
	static const char *const lines[] = {
		"tab         the next table",
		"up down     a row; PgUp PgDn: a page",
		"left right  a column",
		"s  r        sort by the next; reverse",
		"1-9         seconds between questions",
		"p           pause, and go on",
		"h  ?        this",
		"q           quit",
		"USED: # hearthd's  = others'  . free",
		"any key goes back",
	};

	for (size_t line = 0; line < sizeof(lines) / sizeof(lines[0]); line++)
		(void)text_draw((int)line, 0, lines[line]);
}

void screen_draw(struct screen *screen, const struct figures *figures, const char *state,
		 const char *note)
{
	int lines[FIGURES_KINDS];
	int line;

	erase();
	if (screen->is_help) {
		help_draw();
		refresh();
		return;
	}
	line = head_draw(screen, figures, state, note);
	lines_share(screen, figures, LINES - 1 - line, lines);
	for (enum figures_kind kind = 0; kind < FIGURES_KINDS; kind++) {
		if (lines[kind] <= 0)
			continue;
		table_draw(screen, &figures->tables[kind], kind, line, lines[kind]);
		line += lines[kind] + 1;
	}
	foot_draw(screen, figures);
	refresh();
}

int screen_read(struct screen *screen)
{
	int key = getch();

	(void)screen;
	switch (key) {
	case ERR:
		return SCREEN_NONE;
	case KEY_RESIZE:
		return SCREEN_RESIZED;
	case 'q':
		return SCREEN_QUIT;
	case '\t':
		return SCREEN_TABLE;
	case KEY_BTAB:
		return SCREEN_TABLE_BACK;
	case KEY_UP:
		return SCREEN_UP;
	case KEY_DOWN:
		return SCREEN_DOWN;
	case KEY_PPAGE:
		return SCREEN_PAGE_UP;
	case KEY_NPAGE:
		return SCREEN_PAGE_DOWN;
	case KEY_LEFT:
		return SCREEN_LEFT;
	case KEY_RIGHT:
		return SCREEN_RIGHT;
	case 's':
		return SCREEN_SORT;
	case 'r':
		return SCREEN_REVERSE;
	case 'p':
		return SCREEN_PAUSE;
	case 'h':
	case '?':
		return SCREEN_HELP;
	default:
		return key >= '1' && key <= '9' ? SCREEN_DIGIT + key - '0' : SCREEN_OTHER;
	}
}

/* --- the terminal ---------------------------------------------------------------------------------- */

static int refuse(const char *why)
{
	return complain(EXIT_USAGE,
			"top draws on a terminal, and %s; `hearthctl stat` and `hearthctl status -w 1` "
			"do not need one",
			why);
}

int screen_check(void)
{
	const char *term = getenv("TERM");

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return refuse("this is none");
	if (!term || !*term || strcmp(term, "dumb") == 0)
		return refuse("TERM does not name one that can move its cursor");
	return EXIT_OK;
}

int screen_open(struct screen *screen)
{
	*screen = (struct screen){.curses = newterm(NULL, stdout, stdin)};
	if (!screen->curses)
		return refuse("TERM names none that is known here");
	if (!tigetstr("cup")) {
		screen_close(screen);
		return refuse("this one cannot move its cursor");
	}
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	screen->is_styled = style_is_on(stdout);
	screen->has_colours = screen->is_styled && has_colors() && start_color() == OK &&
			      use_default_colors() == OK &&
			      init_pair(PAIR_BAD, COLOR_RED, -1) == OK;
	return EXIT_OK;
}

void screen_close(struct screen *screen)
{
	if (!screen->curses)
		return;
	/* Where the screen stays, who writes next finds an empty line. */
	(void)move(LINES - 1, 0);
	clrtoeol();
	refresh();
	endwin();
	delscreen(screen->curses);
	screen->curses = NULL;
}

/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/table.c - a table knows its widths when the last cell is in, and prints then */

#include "tools/hearthctl/table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GAP 2
#define COLUMNS 80

/* Characters of UTF-8, not bytes. */
static int text_width(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

/* Control characters, DEL, and C1 controls in UTF-8 (C2 80 to C2 9f). */
void text_disarm(char *text)
{
	unsigned char *byte = (unsigned char *)text;

	for (; *byte; byte++) {
		if (*byte < ' ' || *byte == 0x7f)
			*byte = '?';
		else if (*byte == 0xc2 && byte[1] >= 0x80 && byte[1] <= 0x9f)
			byte[0] = byte[1] = '?';
	}
}

static void table_push(struct table *table, enum table_style style, char *text)
{
	if (table->cell_count == table->cell_count_max) {
		uint32_t count = table->cell_count_max ? 2 * table->cell_count_max : 64;
		struct table_cell *cells = realloc(table->cells, count * sizeof(*cells));
		if (!cells) {
			free(text);
			return;
		}
		table->cells = cells;
		table->cell_count_max = count;
	}
	table->cells[table->cell_count++] = (struct table_cell){.text = text, .style = style};
}

void table_init(struct table *table, const char *titles)
{
	*table = (struct table){0};
	while (*titles && table->column_count < TABLE_COLUMNS_MAX) {
		size_t bytes = strcspn(titles, " ");
		bool is_right = titles[0] == '>';
		table->is_right[table->column_count++] = is_right;
		table_push(table, TABLE_STRONG, strndup(titles + is_right, bytes - is_right));
		titles += bytes + (titles[bytes] == ' ');
	}
}

void table_add(struct table *table, enum table_style style, const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if (text)
		text_disarm(text);
	table_push(table, style, text);
}

void table_print(const struct table *table, FILE *stream)
{
	int widths[TABLE_COLUMNS_MAX] = {0};
	uint32_t index;

	for (index = 0; index < table->cell_count; index++) {
		const char *text = table->cells[index].text;
		int width = text ? text_width(text) : 0;
		if (width > widths[index % table->column_count])
			widths[index % table->column_count] = width;
	}
	for (index = 0; index < table->cell_count; index++) {
		const struct table_cell *cell = &table->cells[index];
		uint32_t column = index % table->column_count;
		bool is_last = column + 1 == table->column_count;
		const char *text = cell->text ? cell->text : "";
		int padding = widths[column] - text_width(text);
		fprintf(stream, "%*s%s%s%s", table->is_right[column] ? padding : 0, "",
			style_begin(stream, cell->style), text, style_end(stream, cell->style));
		if (is_last)
			fputc('\n', stream);
		else
			fprintf(stream, "%*s", (table->is_right[column] ? 0 : padding) + GAP, "");
	}
}

void table_deinit(struct table *table)
{
	uint32_t index;

	for (index = 0; index < table->cell_count; index++)
		free(table->cells[index].text);
	free(table->cells);
	*table = (struct table){0};
}

bool terminal_is_on(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && term && strcmp(term, "dumb") != 0;
}

uint32_t terminal_columns(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
									       : COLUMNS;
}

bool style_is_on(FILE *stream)
{
	const char *no_color = getenv("NO_COLOR");
	int fd = fileno(stream);

	return terminal_is_on(fd < 0 ? STDOUT_FILENO : fd) && !(no_color && *no_color);
}

const char *style_begin(FILE *stream, enum table_style style)
{
	static const char *const codes[] = {"", "\033[1m", "\033[32m", "\033[31m"};

	return style_is_on(stream) ? codes[style] : "";
}

const char *style_end(FILE *stream, enum table_style style)
{
	return style != TABLE_PLAIN && style_is_on(stream) ? "\033[0m" : "";
}

void text_put(const char *text, FILE *stream)
{
	char *copy = strdup(text);

	if (copy) {
		text_disarm(copy);
		fputs(copy, stream);
	}
	free(copy);
}

/* Three digits that matter: 1.23, 12.3, 123. */
static const char *text_scaled(double value, const char *unit, char text[TEXT_BYTES])
{
	snprintf(text, TEXT_BYTES, "%.*f %s",
		 value < 9.995	 ? 2
		 : value < 99.95 ? 1
				 : 0,
		 value, unit);
	return text;
}

const char *text_bytes(uint64_t bytes, char text[TEXT_BYTES])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	unsigned unit;

	if (bytes < 1024) {
		snprintf(text, TEXT_BYTES, "%" PRIu64 " B", bytes);
		return text;
	}
	for (unit = 0; value >= 1023.5 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		value /= 1024;
	return text_scaled(value, units[unit], text);
}

const char *text_ns(uint64_t ns, char text[TEXT_BYTES])
{
	static const char *const units[] = {"ns", "us", "ms", "s"};
	double value = (double)ns;
	unsigned unit;

	if (ns < 1000) {
		snprintf(text, TEXT_BYTES, "%" PRIu64 " ns", ns);
		return text;
	}
	for (unit = 0; value >= 999.5 && unit < 3; unit++)
		value /= 1000;
	return text_scaled(value, units[unit], text);
}

const char *text_duration_s(double seconds, char text[TEXT_BYTES])
{
	uint64_t whole = seconds > 0 ? (uint64_t)seconds : 0;

	if (whole >= 86400)
		snprintf(text, TEXT_BYTES, "%" PRIu64 " d %" PRIu64 " h", whole / 86400,
			 whole / 3600 % 24);
	else if (whole >= 3600)
		snprintf(text, TEXT_BYTES, "%" PRIu64 " h %" PRIu64 " min", whole / 3600,
			 whole / 60 % 60);
	else if (whole >= 60)
		snprintf(text, TEXT_BYTES, "%" PRIu64 " min %" PRIu64 " s", whole / 60, whole % 60);
	else
		snprintf(text, TEXT_BYTES, "%.1f s", seconds > 0 ? seconds : 0);
	return text;
}

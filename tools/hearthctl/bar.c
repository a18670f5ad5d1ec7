/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/bar.c - one line, drawn over itself */
#include "tools/hearthctl/bar.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/hearthctl/row.h"
#include "tools/hearthctl/table.h"

#define BAR_COLUMNS_MAX 40
#define LINE_EVERY_S 2.0

bool bar_is_on(void)
{
	return terminal_is_on(STDOUT_FILENO);
}

static void bar_put(int width, double share)
{
	int full = (int)(share * width);

	fputs(style_begin(stdout, TABLE_GOOD), stdout);
	for (int column = 0; column < full; column++)
		putchar('#');
	fputs(style_end(stdout, TABLE_GOOD), stdout);
	for (int column = full; column < width; column++)
		putchar('-');
}

/* What stands behind the bar. */
static void numbers_format(const json_t *row, uint64_t arrived, uint64_t total, char *text,
			   size_t text_bytes_max)
{
	double rate = (double)arrived / row_real(row, "elapsed_s");
	char texts[4][TEXT_BYTES];

	if (!(rate >= 1 && rate < 1e18)) {
		snprintf(text, text_bytes_max, "%s of %s", text_bytes(arrived, texts[0]),
			 text_bytes(total, texts[1]));
		return;
	}
	snprintf(text, text_bytes_max, "%s of %s, %s/s, %s left", text_bytes(arrived, texts[0]),
		 text_bytes(total, texts[1]), text_bytes((uint64_t)rate, texts[2]),
		 text_duration_s((double)(total - arrived) / rate, texts[3]));
}

static void bar_draw(struct bar *bar, const json_t *row)
{
	uint64_t total = row_number(row, "total_bytes");
	uint64_t arrived = row_number(row, "arrived_bytes");
	int columns_left = (int)terminal_columns() - 1; /* one that is written last may begin the next line */
	char label[256], numbers[5 * TEXT_BYTES];
	int width;

	arrived = arrived < total ? arrived : total;
	snprintf(label, sizeof(label), "loading %s@%" PRIu64, row_text(row, "model"),
		 row_number(row, "version"));
	numbers_format(row, arrived, total, numbers, sizeof(numbers));
	fputs("\r\033[K", stdout);
	bar->is_drawn = true;
	width = columns_left - (int)strlen(label) - (int)strlen(numbers) - 3;
	width = width < BAR_COLUMNS_MAX ? width : BAR_COLUMNS_MAX;
	if (width < 1) {
		printf("%.*s", columns_left, numbers);
	} else {
		text_put(label, stdout);
		putchar(' ');
		bar_put(width, (double)arrived / (double)total);
		printf("  %s", numbers);
	}
}

void bar_show(struct bar *bar, const json_t *row)
{
	double elapsed_s = row_real(row, "elapsed_s");

	if (bar_is_on()) {
		bar_draw(bar, row);
	} else if (elapsed_s >= bar->next_s) {
		text_put(row_text(row, "progress"), stdout);
		putchar('\n');
		bar->next_s = elapsed_s + LINE_EVERY_S;
	}
	fflush(stdout);
}

void bar_end(struct bar *bar)
{
	if (bar->is_drawn)
		fputs("\r\033[K", stdout);
	fflush(stdout);
	*bar = (struct bar){ .is_drawn = false };
}

/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/map.c - a bar's cells are shared out among the ranges: each has one at least
 *
 * A weight of 1 MiB in a pool of 64 GiB would otherwise not be seen. Where there are more ranges than
 * cells, a cell shows who has its first byte.
 */
#include "tools/hearthctl/map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hearthctl/listing.h"

#define COLUMNS_MAX 512
#define AROUND 27 /* columns that are not cells: pages, node, the total */
#define CELLS_MIN 10
#define RANGES_MAX 4096
#define RANGE_BYTES_MAX (UINT64_C(1) << 50) /* so many ranges of them have a sum */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
#define LETTER_REST '+' /* of more owners than letters */

enum range_state {
	RANGE_USED,
	RANGE_UNUSED,
	RANGE_OTHER,
	RANGE_FREE,
};

static const char *const state_names[] = {"used", "unused", "other", "free"};
static const char state_cells[] = {0, ':', '=', '.'};

struct range {
	enum range_state state;
	const char *pages;
	const json_t *row; /* of whom; NULL: nobody's here */
	uint64_t bytes;
	uint32_t cells;
	char cell;
};

struct bar {
	const char *pages; /* of its pool */
	const json_t *pool;
	uint64_t total_bytes;
	uint32_t range_count;
	struct range ranges[RANGES_MAX];
};

void map_init(struct map *map, const struct invocation *invocation)
{
	*map = (struct map){
		.invocation = invocation,
		.pools = json_array(),
		.holdings = json_array(),
		.letters = json_object(),
		.bytes = json_object(),
	};
}

void map_deinit(struct map *map)
{
	json_decref(map->pools);
	json_decref(map->holdings);
	json_decref(map->letters);
	json_decref(map->bytes);
	*map = (struct map){0};
}

void map_add(struct map *map, const json_t *row)
{
	if (*row_text(row, "pool"))
		json_array_append(map->pools, (json_t *)row);
	else if (strcmp(row_text(row, "tier"), "host") == 0)
		json_array_append(map->holdings, (json_t *)row);
}

/* --- ranges ------------------------------------------------------------------------------------ */

static char letter_of(struct map *map, const json_t *row, uint64_t bytes)
{
	char key[256];
	json_int_t place;

	snprintf(key, sizeof(key), "%-12s %s", row_text(row, "use"), row_text(row, "owner"));
	if (!json_object_get(map->letters, key))
		json_object_set_new(map->letters, key,
				    json_integer((json_int_t)json_object_size(map->letters)));
	place = json_integer_value(json_object_get(map->letters, key));
	json_object_set_new(map->bytes, key,
			    json_integer((json_int_t)(row_number(map->bytes, key) + bytes)));
	return place < (json_int_t)sizeof(letters) - 1 ? letters[place] : LETTER_REST;
}

static void range_add(struct map *map, struct bar *bar, enum range_state state, const char *pages,
		      const json_t *row, uint64_t bytes)
{
	if (bytes == 0 || bar->range_count == RANGES_MAX)
		return;
	if (bytes > RANGE_BYTES_MAX)
		bytes = RANGE_BYTES_MAX;
	bar->ranges[bar->range_count++] = (struct range){
		.state = state,
		.pages = pages,
		.row = row,
		.bytes = bytes,
		.cell = state == RANGE_USED ? letter_of(map, row, bytes) : state_cells[state],
	};
}

static bool is_huge(const char *pages)
{
	return strcmp(pages, "2M") == 0 || strcmp(pages, "1G") == 0;
}

static bool is_same_node(const json_t *one, const json_t *other)
{
	return json_equal(json_object_get(one, "node"), json_object_get(other, "node"));
}

/* One owner's part of a bar; returns how much of it is of pages that are not there yet. */
static uint64_t holding_add(struct map *map, struct bar *bar, const json_t *row)
{
	const char *pages = row_text(row, "pages");
	uint64_t resident_bytes = row_number(row, "resident_bytes");
	uint64_t mapped_bytes = row_number(row, "mapped_bytes");
	uint64_t thp_bytes = row_number(row, "thp_bytes");
	uint64_t unused_bytes = mapped_bytes > resident_bytes ? mapped_bytes - resident_bytes : 0;

	if (!is_same_node(row, bar->pool) || is_huge(pages) != is_huge(bar->pages) ||
	    (is_huge(pages) && strcmp(pages, bar->pages) != 0))
		return 0;
	if (thp_bytes > resident_bytes)
		thp_bytes = resident_bytes;
	range_add(map, bar, RANGE_USED, "thp", row, thp_bytes);
	range_add(map, bar, RANGE_USED, is_huge(pages) ? pages : "4k", row,
		  resident_bytes - thp_bytes);
	if (!is_huge(pages))
		return 0; /* ordinary memory is nobody's until it is touched */
	range_add(map, bar, RANGE_UNUSED, pages, row, unused_bytes);
	return unused_bytes;
}

static void bar_fill(struct map *map, const json_t *pool, struct bar *bar)
{
	uint64_t total_bytes = row_number(pool, "total_bytes");
	uint64_t free_bytes = row_number(pool, "free_bytes");
	uint64_t known_bytes = 0, unused_bytes = 0;
	json_t *row;
	size_t at;

	bar->pool = pool;
	bar->pages = row_text(pool, "pool");
	bar->range_count = 0;
	json_array_foreach(map->holdings, at, row)
		unused_bytes += holding_add(map, bar, row);
	for (uint32_t range = 0; range < bar->range_count; range++)
		known_bytes += bar->ranges[range].bytes;
	free_bytes = free_bytes > unused_bytes ? free_bytes - unused_bytes : 0;
	if (total_bytes > known_bytes + free_bytes)
		range_add(map, bar, RANGE_OTHER, bar->pages, NULL,
			  total_bytes - known_bytes - free_bytes);
	range_add(map, bar, RANGE_FREE, bar->pages, NULL, free_bytes);
	bar->total_bytes = 0;
	for (uint32_t range = 0; range < bar->range_count; range++)
		bar->total_bytes += bar->ranges[range].bytes;
}

/* --- cells --------------------------------------------------------------------------------------- */

/* The one whose cells stand for the most bytes, or for the fewest. */
static struct range *range_choose(struct bar *bar, bool wants_most)
{
	struct range *best = NULL;

	for (uint32_t at = 0; at < bar->range_count; at++) {
		struct range *range = &bar->ranges[at];
		double bytes = (double)range->bytes / range->cells;

		if (!wants_most && range->cells == 1)
			continue;
		if (!best || (wants_most ? bytes > (double)best->bytes / best->cells
					 : bytes < (double)best->bytes / best->cells))
			best = range;
	}
	return best;
}

static void cells_share(struct bar *bar, uint32_t cell_count)
{
	uint32_t shared_cells = 0;

	for (uint32_t at = 0; at < bar->range_count; at++) {
		struct range *range = &bar->ranges[at];

		range->cells = (uint32_t)((double)range->bytes / (double)bar->total_bytes * cell_count);
		range->cells += range->cells == 0;
		shared_cells += range->cells;
	}
	for (; shared_cells < cell_count; shared_cells++)
		range_choose(bar, true)->cells++;
	for (; shared_cells > cell_count; shared_cells--)
		range_choose(bar, false)->cells--;
}

static void cells_print(struct bar *bar, uint32_t cell_count)
{
	uint64_t end_bytes = bar->ranges[0].bytes;
	uint32_t range = 0;

	if (bar->range_count <= cell_count) {
		cells_share(bar, cell_count);
		for (range = 0; range < bar->range_count; range++)
			for (uint32_t cell = 0; cell < bar->ranges[range].cells; cell++)
				putchar(bar->ranges[range].cell);
		return;
	}
	for (uint32_t cell = 0; cell < cell_count; cell++) {
		double at_bytes = (double)bar->total_bytes * cell / cell_count;

		while (range + 1 < bar->range_count && (double)end_bytes <= at_bytes)
			end_bytes += bar->ranges[++range].bytes;
		putchar(bar->ranges[range].cell);
	}
}

static uint32_t cell_count(void)
{
	uint32_t columns = terminal_columns();

	columns = columns < COLUMNS_MAX ? columns : COLUMNS_MAX;
	return columns > AROUND + CELLS_MIN ? columns - AROUND : CELLS_MIN;
}

/* --- all of them --------------------------------------------------------------------------------- */

static void bar_print(struct bar *bar)
{
	char text[TEXT_BYTES];

	printf("%-7s %-4" PRIu64 " |", is_huge(bar->pages) ? bar->pages : "4k, thp",
	       row_number(bar->pool, "node"));
	cells_print(bar, cell_count());
	printf("| %9s\n", text_bytes(bar->total_bytes, text));
}

static int bar_emit(const struct bar *bar)
{
	uint64_t offset_bytes = 0;
	int code = EXIT_OK;

	for (uint32_t at = 0; at < bar->range_count && code == EXIT_OK; at++) {
		const struct range *range = &bar->ranges[at];
		json_t *row = json_pack("{s:O, s:s, s:I, s:I, s:s}", "node",
					json_object_get(bar->pool, "node"), "pages", range->pages,
					"offset_bytes", (json_int_t)offset_bytes, "bytes",
					(json_int_t)range->bytes, "state",
					state_names[range->state]);

		if (range->row) {
			json_object_set_new(row, "use", json_string(row_text(range->row, "use")));
			json_object_set_new(row, "owner", json_string(row_text(range->row, "owner")));
		}
		offset_bytes += range->bytes;
		code = listing_emit(row);
		json_decref(row);
	}
	return code;
}

static void legend_print(const struct map *map)
{
	char text[TEXT_BYTES];
	const char *key;
	json_t *place;

	putchar('\n');
	json_object_foreach(map->letters, key, place)
	{
		json_int_t letter = json_integer_value(place);

		printf("%c  %9s  ", letter < (json_int_t)sizeof(letters) - 1 ? letters[letter] : LETTER_REST,
		       text_bytes(row_number(map->bytes, key), text));
		text_put(key, stdout);
		putchar('\n');
	}
	puts(".  free   =  of other programs and the kernel   :  hearthd's, not touched yet");
}

static bool is_wanted(const struct map *map, const json_t *pool)
{
	const struct invocation *invocation = map->invocation;
	const char *pages = row_text(pool, "pool");

	if (row_number(pool, "total_bytes") == 0 || strcmp(pages, "thp") == 0)
		return false;
	if (invocation->has_node && row_number(pool, "node") != invocation->node)
		return false;
	return !invocation->tier || strcmp(invocation->tier, pages) == 0 ||
	       (strcmp(invocation->tier, "thp") == 0 && strcmp(pages, "4k") == 0);
}

int map_show(struct map *map)
{
	struct bar *bar = malloc(sizeof(*bar));
	uint32_t bar_count = 0;
	int code = EXIT_OK;
	json_t *pool;
	size_t at;

	if (!bar)
		return complain(EXIT_FAILED, "no memory for the map");
	json_array_foreach(map->pools, at, pool)
	{
		if (!is_wanted(map, pool) || code != EXIT_OK)
			continue;
		bar_fill(map, pool, bar);
		if (bar->range_count == 0)
			continue;
		bar_count++;
		if (map->invocation->is_json)
			code = bar_emit(bar);
		else
			bar_print(bar);
	}
	free(bar);
	if (bar_count == 0 && !map->invocation->is_json)
		puts("there is no such memory");
	else if (!map->invocation->is_json)
		legend_print(map);
	return code;
}

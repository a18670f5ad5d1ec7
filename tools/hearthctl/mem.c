/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/mem.c - mem: which memory there is, which holds what, and why */
#include <inttypes.h>
#include <string.h>

#include "tools/hearthctl/listing.h"
#include "tools/hearthctl/map.h"

#define REASONS_MAX 32 /* there are as many as uses, some of them twice */

enum sum {
	SUM_USED,
	SUM_MAPPED,
	SUM_RESIDENT,
	SUM_COUNT,
};

static const char *const sum_keys[] = { "used_bytes", "mapped_bytes", "resident_bytes" };

/* The listing is first, so that a row's context is both; its table has the rows of memory. */
struct mem {
	struct listing listing;
	struct table pools;
	struct table files;
	json_t *reasons; /* of each use, once */
	uint64_t sums[SUM_COUNT]; /* of the rows that are shown */
	uint64_t unaccounted_bytes;
	bool has_unaccounted; /* an older daemon does not say */
};

/* The same for a map. */
struct mem_map {
	struct listing listing;
	struct map map;
};

static void bytes_add(struct table *table, enum table_style style, uint64_t bytes)
{
	char text[TEXT_BYTES];

	table_add(table, style, "%s", text_bytes(bytes, text));
}

/* Of --node and --tier. */
static bool is_wanted(const struct invocation *invocation, const json_t *row)
{
	static const char *const kinds[] = { "pool", "pages", "tier" };
	const json_t *node = json_object_get(row, "node");
	bool is_wanted = !invocation->tier;

	for (uint32_t kind = 0; !is_wanted && kind < 3; kind++)
		is_wanted = strcmp(row_text(row, kinds[kind]), invocation->tier) == 0;
	return is_wanted && (!invocation->has_node || (json_is_integer(node) &&
						       json_integer_value(node) == invocation->node));
}

static void pool_add(struct table *table, const json_t *row)
{
	static const char *const keys[] = { "total_bytes", "free_bytes", "mapped_bytes",
					    "resident_bytes" };

	table_add(table, TABLE_PLAIN, "%s", row_text(row, "pool"));
	listing_add_node(table, row);
	for (uint32_t key = 0; key < 4; key++)
		bytes_add(table, TABLE_PLAIN, row_number(row, keys[key]));
}

static void file_add(struct table *table, const json_t *row)
{
	table_add(table, TABLE_PLAIN, "%s", row_text(row, "tier"));
	table_add(table, TABLE_PLAIN, "%s", row_text(row, "use"));
	table_add(table, TABLE_PLAIN, "%s", row_text(row, "owner"));
	bytes_add(table, TABLE_PLAIN, row_number(row, "file_bytes"));
	bytes_add(table, TABLE_PLAIN, row_number(row, "slot_bytes"));
}

static void memory_add(struct table *table, const json_t *row)
{
	table_add(table, TABLE_PLAIN, "%s", row_text(row, "tier"));
	listing_add_node(table, row);
	table_add(table, TABLE_PLAIN, "%s", row_text(row, "pages"));
	table_add(table, TABLE_PLAIN, "%s", row_text(row, "use"));
	table_add(table, TABLE_PLAIN, "%s", row_text(row, "owner"));
	for (uint32_t sum = 0; sum < SUM_COUNT; sum++)
		bytes_add(table, TABLE_PLAIN, row_number(row, sum_keys[sum]));
}

static int mem_row(const json_t *row, void *context)
{
	struct mem *mem = context;
	const char *why = row_text(row, "why");

	if (json_object_get(row, "unaccounted_bytes")) {
		mem->has_unaccounted = true;
		mem->unaccounted_bytes = row_number(row, "unaccounted_bytes");
		return EXIT_OK;
	}
	if (!is_wanted(mem->listing.invocation, row))
		return EXIT_OK;
	for (uint32_t sum = 0; *row_text(row, "tier") && sum < SUM_COUNT; sum++)
		mem->sums[sum] += row_number(row, sum_keys[sum]);
	if (mem->listing.invocation->is_json)
		return listing_emit(row);
	if (*why && json_object_size(mem->reasons) < REASONS_MAX)
		json_object_set(mem->reasons, why,
				json_object_get(row, *row_text(row, "use") ? "use" : "pool"));
	if (*row_text(row, "pool"))
		pool_add(&mem->pools, row);
	else if (json_object_get(row, "file_bytes"))
		file_add(&mem->files, row);
	else
		memory_add(&mem->listing.table, row);
	return EXIT_OK;
}

static int total_emit(const struct mem *mem)
{
	json_t *total = json_pack("{s:s, s:I, s:I, s:I}", "tier", "total", sum_keys[SUM_USED],
				  (json_int_t)mem->sums[SUM_USED], sum_keys[SUM_MAPPED],
				  (json_int_t)mem->sums[SUM_MAPPED], sum_keys[SUM_RESIDENT],
				  (json_int_t)mem->sums[SUM_RESIDENT]);
	int code;

	if (mem->has_unaccounted)
		json_object_set_new(total, "unaccounted_bytes",
				    json_integer((json_int_t)mem->unaccounted_bytes));
	code = listing_emit(total);
	json_decref(total);
	return code;
}

static void tables_print(struct mem *mem)
{
	struct table *table = &mem->listing.table;
	char text[TEXT_BYTES];
	const char *why;
	json_t *use;

	table_add(table, TABLE_STRONG, "total");
	for (uint32_t column = 1; column < 5; column++)
		table_add(table, TABLE_STRONG, "%s", "");
	for (uint32_t sum = 0; sum < SUM_COUNT; sum++)
		bytes_add(table, TABLE_STRONG, mem->sums[sum]);
	table_print(&mem->pools, stdout);
	putchar('\n');
	table_print(table, stdout);
	if (mem->has_unaccounted)
		printf("%sunaccounted %s%s\n",
		       style_begin(stdout, mem->unaccounted_bytes > 0 ? TABLE_BAD : TABLE_STRONG),
		       text_bytes(mem->unaccounted_bytes, text), style_end(stdout, TABLE_STRONG));
	if (mem->files.cell_count > mem->files.column_count) {
		putchar('\n');
		table_print(&mem->files, stdout);
	}
	putchar('\n');
	json_object_foreach(mem->reasons, why, use)
	{
		printf("%-12s ", json_string_value(use));
		text_put(why, stdout);
		putchar('\n');
	}
}

static int map_row(const json_t *row, void *context)
{
	struct mem_map *mem = context;

	map_add(&mem->map, row);
	return EXIT_OK;
}

static int map_run(const struct invocation *invocation)
{
	struct mem_map mem = {.listing.invocation = invocation};
	int code;

	map_init(&mem.map, invocation);
	code = listing_ask(&mem.listing, map_row);
	if (code == EXIT_OK)
		code = map_show(&mem.map);
	map_deinit(&mem.map);
	return code;
}

int mem_run(const struct invocation *invocation)
{
	struct mem mem = {.listing.invocation = invocation, .reasons = json_object()};
	int code;

	if (invocation->is_map) {
		json_decref(mem.reasons);
		return map_run(invocation);
	}
	table_init(&mem.pools, "POOL NODE >TOTAL >FREE >MAPPED >RESIDENT");
	table_init(&mem.files, "TIER USE OWNER >IN-FILES >SLOTS");
	table_init(&mem.listing.table, "TIER NODE PAGES USE OWNER >USED >MAPPED >RESIDENT");
	code = listing_ask(&mem.listing, mem_row);
	if (code == EXIT_OK && invocation->is_json)
		code = total_emit(&mem);
	else if (code == EXIT_OK)
		tables_print(&mem);
	table_deinit(&mem.pools);
	table_deinit(&mem.files);
	table_deinit(&mem.listing.table);
	json_decref(mem.reasons);
	return code;
}

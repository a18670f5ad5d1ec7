/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/mem.c - mem: which memory there is, which holds what, and why */
#include <inttypes.h>
#include <string.h>

#include "tools/hearthctl/listing.h"
#include "tools/hearthctl/map.h"

#define OWNERS_MAX 4 /* of a reason, by name */
#define REASONS_MAX 32 /* there are as many as uses, some of them twice */

enum sum {
	SUM_USED,
	SUM_MAPPED,
	SUM_RESIDENT,
	SUM_COUNT,
};

static const char *const sum_keys[] = { "used_bytes", "mapped_bytes", "resident_bytes" };

/* The listing is first, so that a row's context is both; its table has the rows of memory. Of the rows
 * that are shown it counts those. */
struct mem {
	struct listing listing;
	uint64_t nodes; /* bit k: node k has memory */
	struct table pools;
	struct table files;
	json_t *reasons; /* each once: its use, and its owners */
	uint64_t sums[SUM_COUNT]; /* of the rows that are shown */
	uint64_t unaccounted_bytes;
	bool has_unaccounted; /* an older daemon does not say */
};

/* The same for a map. */
struct mem_map {
	struct listing listing;
	uint64_t nodes;
	struct map map;
};

static void bytes_add(struct table *table, enum table_style style, uint64_t bytes)
{
	char text[TEXT_BYTES];

	table_add(table, style, "%s", text_bytes(bytes, text));
}

/* --- which part of it ---------------------------------------------------------------------------- */

static uint64_t node_bit(const json_t *row)
{
	const json_t *node = json_object_get(row, "node");
	json_int_t number = json_is_integer(node) ? json_integer_value(node) : -1;

	return number >= 0 && number < 64 ? UINT64_C(1) << number : 0;
}

/* EXIT_OK, or that there is no such node, and which there are. */
static int node_check(const struct invocation *invocation, uint64_t nodes)
{
	char text[64 * sizeof("63, ")] = "";
	size_t used = 0;

	if (!invocation->has_node || (invocation->node < 64 && nodes >> invocation->node & 1))
		return EXIT_OK;
	for (uint32_t node = 0; node < 64; node++)
		if (nodes >> node & 1)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%" PRIu32,
						 used > 0 ? ", " : "", node);
	return complain(EXIT_FAILED, "there is no memory on a node %" PRIu32 "; the nodes that have some: %s",
			invocation->node, text);
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

/* --- its rows -------------------------------------------------------------------------------------- */

/* An owner is named once. */
static void reason_add(struct mem *mem, const json_t *row, const char *why)
{
	json_t *reason = json_object_get(mem->reasons, why);
	json_t *owners;

	if (!reason && json_object_size(mem->reasons) == REASONS_MAX)
		return;
	if (!reason) {
		reason = json_pack("{s:s, s:{}}", "use",
				   row_text(row, *row_text(row, "use") ? "use" : "pool"), "owners");
		json_object_set_new(mem->reasons, why, reason);
	}
	owners = json_object_get(reason, "owners");
	if (*row_text(row, "owner"))
		json_object_set_new(owners, row_text(row, "owner"), json_true());
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
	mem->nodes |= node_bit(row);
	if (!is_wanted(mem->listing.invocation, row))
		return EXIT_OK;
	mem->listing.row_count++;
	for (uint32_t sum = 0; *row_text(row, "tier") && sum < SUM_COUNT; sum++)
		mem->sums[sum] += row_number(row, sum_keys[sum]);
	if (mem->listing.invocation->is_json)
		return listing_emit(row);
	if (*why)
		reason_add(mem, row, why);
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

/* Where one use has several reasons, whose is which. */
static void reason_owners_print(const struct mem *mem, const json_t *reason)
{
	const json_t *owners = json_object_get(reason, "owners");
	const char *key, *owner;
	uint32_t alike = 0;
	uint32_t told = 0;
	json_t *value;

	json_object_foreach(mem->reasons, key, value)
		alike += strcmp(row_text(value, "use"), row_text(reason, "use")) == 0;
	if (alike < 2)
		return;
	json_object_foreach((json_t *)(uintptr_t)owners, owner, value)
	{
		if (told == OWNERS_MAX) {
			printf(" and %zu more", json_object_size(owners) - told);
			break;
		}
		fputs(told++ == 0 ? ": " : ", ", stdout);
		text_put(owner, stdout);
	}
}

static void reasons_print(const struct mem *mem)
{
	json_t *reason;
	const char *why;

	putchar('\n');
	json_object_foreach(mem->reasons, why, reason)
	{
		printf("%-12s ", row_text(reason, "use"));
		text_put(why, stdout);
		reason_owners_print(mem, reason);
		putchar('\n');
	}
}

static void memory_print(struct mem *mem)
{
	struct table *table = &mem->listing.table;

	if (table->cell_count == table->column_count) {
		puts("hearthd has nothing there");
		return;
	}
	table_add(table, TABLE_STRONG, "total");
	for (uint32_t column = 1; column < 5; column++)
		table_add(table, TABLE_STRONG, "%s", "");
	for (uint32_t sum = 0; sum < SUM_COUNT; sum++)
		bytes_add(table, TABLE_STRONG, mem->sums[sum]);
	table_print(table, stdout);
}

static void tables_print(struct mem *mem)
{
	const struct invocation *invocation = mem->listing.invocation;
	bool has_files = mem->files.cell_count > mem->files.column_count;
	char text[TEXT_BYTES];

	if (mem->listing.row_count == 0) {
		printf("there is no such memory: %s%s\n", invocation->tier ? invocation->tier : "none",
		       invocation->has_node ? " on this node" : " on any node");
		return;
	}
	if (mem->pools.cell_count > mem->pools.column_count) {
		table_print(&mem->pools, stdout);
		putchar('\n');
	}
	memory_print(mem);
	if (mem->has_unaccounted)
		printf("%sunaccounted %s%s\n",
		       style_begin(stdout, mem->unaccounted_bytes > 0 ? TABLE_BAD : TABLE_STRONG),
		       text_bytes(mem->unaccounted_bytes, text), style_end(stdout, TABLE_STRONG));
	if (has_files) {
		putchar('\n');
		table_print(&mem->files, stdout);
	}
	if (json_object_size(mem->reasons) > 0)
		reasons_print(mem);
}

/* --- all of it ----------------------------------------------------------------------------------- */

static int map_row(const json_t *row, void *context)
{
	struct mem_map *mem = context;

	mem->nodes |= node_bit(row);
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
		code = node_check(invocation, mem.nodes);
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
	if (code == EXIT_OK)
		code = node_check(invocation, mem.nodes);
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

/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/mem.c - mem: which memory serves what, and how much it is together */
#include <inttypes.h>

#include "tools/hearthctl/listing.h"

/* The listing is first, so that a row's context is both. */
struct sums {
	struct listing listing;
	uint64_t used_bytes;
	uint64_t mapped_bytes;
};

static int mem_row(const json_t *row, void *context)
{
	struct sums *sums = context;
	char text[2][TEXT_BYTES];
	const json_t *node = json_object_get(row, "node");

	sums->used_bytes += row_number(row, "used_bytes");
	sums->mapped_bytes += row_number(row, "mapped_bytes");
	if (sums->listing.invocation->is_json)
		return listing_emit(row);
	table_add(&sums->listing.table, TABLE_PLAIN, "%s", row_text(row, "tier"));
	if (json_is_integer(node) && json_integer_value(node) >= 0)
		table_add(&sums->listing.table, TABLE_PLAIN, "%" PRIu64, row_number(row, "node"));
	else
		table_add(&sums->listing.table, TABLE_PLAIN, "any");
	table_add(&sums->listing.table, TABLE_PLAIN, "%s", row_text(row, "pages"));
	table_add(&sums->listing.table, TABLE_PLAIN, "%s", row_text(row, "use"));
	table_add(&sums->listing.table, TABLE_PLAIN, "%s", row_text(row, "owner"));
	table_add(&sums->listing.table, TABLE_PLAIN, "%s",
		  text_bytes(row_number(row, "used_bytes"), text[0]));
	table_add(&sums->listing.table, TABLE_PLAIN, "%s",
		  text_bytes(row_number(row, "mapped_bytes"), text[1]));
	return EXIT_OK;
}

static int mem_total_print(struct sums *sums)
{
	static const char *const blanks[] = {"total", "", "", "", ""};
	char text[2][TEXT_BYTES];
	unsigned column;

	if (sums->listing.invocation->is_json) {
		json_t *total = json_pack("{s:s, s:I, s:I}", "tier", "total", "used_bytes",
					  (json_int_t)sums->used_bytes, "mapped_bytes",
					  (json_int_t)sums->mapped_bytes);
		int code = listing_emit(total);
		json_decref(total);
		return code;
	}
	for (column = 0; column < 5; column++)
		table_add(&sums->listing.table, TABLE_STRONG, "%s", blanks[column]);
	table_add(&sums->listing.table, TABLE_STRONG, "%s", text_bytes(sums->used_bytes, text[0]));
	table_add(&sums->listing.table, TABLE_STRONG, "%s", text_bytes(sums->mapped_bytes, text[1]));
	table_print(&sums->listing.table, stdout);
	return EXIT_OK;
}

int mem_run(const struct invocation *invocation)
{
	struct sums sums = {.listing.invocation = invocation};
	int code;

	table_init(&sums.listing.table, "TIER NODE PAGES USE OWNER >USED >MAPPED");
	code = listing_ask(&sums.listing, mem_row);
	if (code == EXIT_OK)
		code = mem_total_print(&sums);
	table_deinit(&sums.listing.table);
	return code;
}

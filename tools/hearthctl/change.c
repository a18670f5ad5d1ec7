/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/change.c - load, unload, swap, reload: ask, and tell how it goes, or would go */

#include <inttypes.h>
#include <string.h>

#include "tools/hearthctl/bar.h"
#include "tools/hearthctl/capture.h"
#include "tools/hearthctl/listing.h"
#include "tools/hearthctl/page.h"

struct change {
	struct listing listing;
	struct bar bar;
};

static int change_row(const json_t *row, void *context)
{
	struct change *change = context;

	if (change->listing.invocation->is_json)
		return listing_emit(row);
	if (row_number(row, "total_bytes") > 0) {
		bar_show(&change->bar, row);
	} else if (*row_text(row, "progress")) {
		bar_end(&change->bar);
		text_put(row_text(row, "progress"), stdout);
		putchar('\n');
		fflush(stdout);
	}
	return EXIT_OK;
}

/* --- what would come of it ------------------------------------------------------------------- */

struct forecast {
	struct change change; /* its listing: the uses */
	struct table nodes;
	bool fits;
	char lack[512];
};

static void use_add(struct table *table, const json_t *row)
{
	bool is_lacking = strcmp(row_text(row, "pages"), "none") == 0;
	char text[TEXT_BYTES];

	table_add(table, TABLE_PLAIN, "%s", row_text(row, "use"));
	listing_add_node(table, row);
	table_add(table, is_lacking ? TABLE_BAD : TABLE_PLAIN, "%s",
		  is_lacking ? "does not fit" : row_text(row, "pages"));
	table_add(table, TABLE_PLAIN, "%s%s",
		  json_is_true(json_object_get(row, "at_most")) ? "at most " : "",
		  text_bytes(row_number(row, "bytes"), text));
}

static void memory_add(struct table *table, const json_t *row)
{
	static const char *const keys[] = {"free_bytes", "wanted_bytes", "held_bytes",
					   "peak_bytes"};
	char text[TEXT_BYTES];

	listing_add_node(table, row);
	table_add(table, TABLE_PLAIN, "%s", row_text(row, "memory"));
	for (unsigned key = 0; key < sizeof(keys) / sizeof(keys[0]); key++)
		table_add(table, TABLE_PLAIN, "%s", text_bytes(row_number(row, keys[key]), text));
}

static int forecast_row(const json_t *row, void *context)
{
	struct forecast *forecast = context;
	bool is_verdict = json_object_get(row, "fits") != NULL;

	if (is_verdict) {
		forecast->fits = json_is_true(json_object_get(row, "fits"));
		snprintf(forecast->lack, sizeof(forecast->lack), "%s", row_text(row, "lack"));
	}
	if (forecast->change.listing.invocation->is_json)
		return listing_emit(row);
	if (*row_text(row, "use"))
		use_add(&forecast->change.listing.table, row);
	else if (*row_text(row, "memory"))
		memory_add(&forecast->nodes, row);
	else if (!is_verdict)
		return change_row(row, &forecast->change);
	forecast->change.listing.row_count++;
	return EXIT_OK;
}

static int forecast_run(const struct invocation *invocation, const json_t *question)
{
	struct forecast forecast = {.change.listing.invocation = invocation, .fits = true};
	int code;

	table_init(&forecast.change.listing.table, "USE NODE PAGES >BYTES");
	table_init(&forecast.nodes, "NODE MEMORY >FREE >WANTED >HELD-NOW >PEAK");
	code = page_tell(invocation, question, forecast_row, &forecast);
	if (code == EXIT_OK && forecast.change.listing.row_count > 0) {
		table_print(&forecast.change.listing.table, stdout);
		putchar('\n');
		table_print(&forecast.nodes, stdout);
	}
	table_deinit(&forecast.change.listing.table);
	table_deinit(&forecast.nodes);
	if (code == EXIT_OK && !forecast.fits)
		return complain(EXIT_FAILED, "it does not fit: %s", forecast.lack);
	return code;
}

/* --- the change ------------------------------------------------------------------------------ */

/* Where a bar is drawn, a refusal waits until that is gone. */
static int change_ask(const struct invocation *invocation, const json_t *question)
{
	struct change change = {.listing = {.invocation = invocation}};
	struct capture errors = {0};
	int code;

	if (!invocation->is_json && bar_is_on())
		(void)capture_begin(&errors, &stderr);
	code = page_tell(invocation, question, change_row, &change);
	bar_end(&change.bar);
	capture_end(&errors);
	if (errors.text)
		fputs(errors.text, stderr);
	capture_deinit(&errors);
	return code;
}

int change_run(const struct invocation *invocation)
{
	json_t *question;
	json_t *done;
	int code;

	question = json_pack("{s:s}", "verb", invocation->verb);
	if (*invocation->model)
		json_object_set_new(question, "model", json_string(invocation->model));
	if (invocation->version > 0)
		json_object_set_new(question, "version", json_integer(invocation->version));
	if (invocation->drains)
		json_object_set_new(question, "drain", json_true());
	if (invocation->is_dry) {
		json_object_set_new(question, "dry", json_true());
		code = forecast_run(invocation, question);
		json_decref(question);
		return code;
	}
	code = change_ask(invocation, question);
	if (code == EXIT_OK && invocation->is_json) {
		done = json_copy(question);
		json_object_set_new(done, "done", json_true());
		code = listing_emit(done);
		json_decref(done);
	} else if (code == EXIT_OK && invocation->version > 0) {
		printf("%s %s@%u: done\n", invocation->verb, invocation->model,
		       invocation->version);
	} else if (code == EXIT_OK) {
		printf("%s%s%s: done\n", invocation->verb, *invocation->model ? " " : "",
		       invocation->model);
	}
	json_decref(question);
	return code;
}

/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/prom.c - -o prom: the metrics that belong to a command, all of them or nothing */
#include <stdio.h>
#include <stdlib.h>

#include "tools/hearthctl/listing.h"

/* The listing is first, so that a row's context is both. */
struct prom {
	struct listing listing;
	FILE *text;
};

static int text_row(const json_t *row, void *context)
{
	struct prom *prom = context;

	fputs(row_text(row, "text"), prom->text);
	return EXIT_OK;
}

int prom_run(const struct invocation *invocation)
{
	struct prom prom = {.listing.invocation = invocation};
	char *text = NULL;
	size_t bytes = 0;
	int code;

	if (*invocation->model || invocation->tier || invocation->has_node || invocation->is_map)
		return complain(EXIT_USAGE, "-o prom takes no model, --node, --tier or --map: it has "
				"all metrics that belong to a command");
	prom.text = open_memstream(&text, &bytes);
	if (!prom.text)
		return complain(EXIT_FAILED, "no memory for the metrics");
	code = listing_ask_question(&prom.listing,
				    json_pack("{s:s, s:s}", "verb", "metrics", "command",
					      invocation->verb),
				    text_row);
	if (fclose(prom.text) == EOF && code == EXIT_OK)
		code = complain(EXIT_FAILED, "no memory for the metrics");
	if (code == EXIT_OK)
		fputs(text, stdout);
	free(text);
	return code == EXIT_OK ? listing_flush() : code;
}

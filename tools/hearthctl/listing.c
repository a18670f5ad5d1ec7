/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/listing.c - a verb that only looks: asked, its rows shown */
#include "tools/hearthctl/listing.h"

#define ANSWER_SECONDS 10

int listing_ask_question(struct listing *listing, const json_t *question, talk_row row)
{
	const struct invocation *invocation = listing->invocation;
	double timeout_s = invocation->timeout_s > 0 ? invocation->timeout_s : ANSWER_SECONDS;

	return talk_ask(invocation->socket_path, timeout_s, question, row, listing);
}

int listing_ask_verb(struct listing *listing, const char *verb, talk_row row)
{
	json_t *question = json_pack("{s:s}", "verb", verb);
	int code = listing_ask_question(listing, question, row);

	json_decref(question);
	return code;
}

int listing_ask(struct listing *listing, talk_row row)
{
	return listing_ask_verb(listing, listing->invocation->verb, row);
}

int listing_emit(const json_t *row)
{
	if (row_print(row) < 0)
		return complain(EXIT_FAILED, "stdout takes no more");
	return EXIT_OK;
}

void listing_add_node(struct table *table, const json_t *row)
{
	const json_t *node = json_object_get(row, "node");

	if (json_is_integer(node) && json_integer_value(node) >= 0)
		table_add(table, TABLE_PLAIN, "%" JSON_INTEGER_FORMAT, json_integer_value(node));
	else
		table_add(table, TABLE_PLAIN, "any");
}

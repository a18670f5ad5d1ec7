/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/listing.c - a verb that only looks: asked, its rows shown */
#include "tools/hearthctl/listing.h"

#define ANSWER_SECONDS 10

int listing_ask_verb(struct listing *listing, const char *verb, talk_row row)
{
	const struct invocation *invocation = listing->invocation;
	json_t *question = json_pack("{s:s}", "verb", verb);
	double timeout_s = invocation->timeout_s > 0 ? invocation->timeout_s : ANSWER_SECONDS;
	int code = talk_ask(invocation->socket_path, timeout_s, question, row, listing);

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

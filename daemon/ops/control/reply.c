/* SPDX-License-Identifier: MIT */
/* daemon/ops/control/reply.c - one JSON object a packet, whole or not at all */
#include "ops/control/reply.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "serve/models/registry.h"

/* Takes the object over. False: the peer is to be closed, as it is after a row for which there is
 * no memory. Jansson's own growing text leaves out what finds no room; this one has its room. */
static bool reply(struct peer *peer, int status, bool has_more, json_t *object)
{
	char text[HEARTH_MESSAGE_BYTES_MAX + 1];
	size_t bytes = object ? json_dumpb(object, text, sizeof(text), JSON_COMPACT) : 0;

	json_decref(object);
	if (bytes == 0 && peer->record)
		return false;
	if (bytes == 0) {
		(void)!peer_reply(peer, status < 0 ? status : -ENOMEM, false,
				 "{\"error\": \"hearthd has no memory for its answer\"}");
		return false;
	}
	if (bytes >= sizeof(text)) {
		memset(text, ' ', sizeof(text)); /* of which peer_reply says that it does not fit */
		bytes = sizeof(text) - 1;
	}
	text[bytes] = '\0';
	if (!peer->record)
		return peer_reply(peer, status, has_more, text);
	ration_keep(peer->record, text);
	return true;
}

/* Takes the object over, as reply does. */
static bool answer_add(struct answer *answer, json_t *row)
{
	size_t room_bytes = answer->room_bytes - answer->text_bytes;
	size_t bytes = row ? json_dumpb(row, answer->text + answer->text_bytes, room_bytes,
					JSON_COMPACT)
			   : 0;

	json_decref(row);
	if (bytes == 0)
		return false;
	if (bytes >= room_bytes) {
		answer->status = -ENOSPC;
		return false;
	}
	answer->text_bytes += bytes;
	answer->text[answer->text_bytes++] = '\n';
	answer->row_count++;
	return true;
}

bool reply_row(struct peer *peer, json_t *row)
{
	return peer->answer ? answer_add(peer->answer, row) : reply(peer, 0, true, row);
}

bool reply_progress(struct peer *peer, const struct registry_report *report)
{
	const struct loader_progress *progress = &report->progress;

	return reply_row(peer, json_pack("{s:s, s:s, s:i, s:I, s:I, s:f}", "progress", report->text,
					 "model", report->name, "version", (int)report->number,
					 "arrived_bytes", (json_int_t)progress->arrived_bytes,
					 "total_bytes", (json_int_t)progress->total_bytes,
					 "elapsed_s", (double)progress->ns / 1e9));
}

bool reply_error(struct peer *peer, int status, const char *text)
{
	if (peer->answer)
		peer->answer->status = status;
	return peer->answer ||
	       reply(peer, status, false, json_pack("{s:s}", "error", text));
}

bool reply_end(struct peer *peer)
{
	return peer->answer || peer_reply(peer, 0, false, "{}");
}

bool reply_recorded(struct peer *peer, const struct ration *ration)
{
	size_t cursor = 0;
	const char *text;

	if (!ration->is_whole)
		return reply_rest(peer);
	while ((text = ration_next(ration, &cursor)))
		if (!peer_reply(peer, 0, true, text))
			return false;
	return reply_end(peer);
}

bool reply_is_rationed(const struct peer *peer)
{
	return peer->session->uid != 0 && peer->session->uid != geteuid();
}

bool reply_rest(struct peer *peer)
{
	return reply_error(peer, -EAGAIN, "this took much of hearthd's time a moment ago: ask again "
			   "later, or as root");
}

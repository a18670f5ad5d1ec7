/* SPDX-License-Identifier: MIT */
/* daemon/ops/control/events.c - the verb events: what was logged, from a position on */
#include "ops/control/verbs.h"

#include <errno.h>

#include "ops/control/reply.h"
#include "ops/loop.h"

bool verb_events(struct control *control, struct peer *peer, const json_t *question)
{
	const struct log_events *events = &control->events;
	uint64_t position;

	if (!verb_from(question, events->count, LOG_EVENTS, &position))
		return reply_error(peer, -EINVAL, VERB_FROM_WANTED);
	for (; position < events->count; position++) {
		const struct log_event *event = log_event(events, position);
		json_t *row = json_pack("{s:I, s:I, s:s, s:s}", "position", (json_int_t)position,
					"unix_ns", (json_int_t)event->unix_ns, "level",
					log_level_name(event->level), "text", event->text);

		if (!reply_row(peer, row))
			return false;
	}
	return reply_row(peer, json_pack("{s:I}", "next", (json_int_t)events->count)) &&
	       reply_end(peer);
}

/* SPDX-License-Identifier: MIT */
/* daemon/ops/control/told.c - the verb metrics: those of one command, as Prometheus reads them */
#include "ops/control/verbs.h"

#include <errno.h>
#include <string.h>

#include "ops/control/reply.h"
#include "ops/loop.h"
#include "ops/metrics/metrics.h"

#define ROW_BYTES 8192 /* of lines; as JSON they may be six times as long */

/* As many whole lines as fit; one that does not is whole all the same. */
static size_t row_bytes(const char *text)
{
	size_t bytes = 0;
	size_t line_bytes = strcspn(text, "\n") + 1;

	while (text[bytes] && (bytes == 0 || bytes + line_bytes <= ROW_BYTES)) {
		bytes += line_bytes;
		line_bytes = strcspn(text + bytes, "\n") + 1;
	}
	return bytes;
}

static bool text_reply(struct peer *peer, const char *text)
{
	size_t bytes;

	for (; *text; text += bytes) {
		bytes = row_bytes(text);
		if (!reply_row(peer, json_pack("{s:s%}", "text", text, bytes)))
			return false;
	}
	return true;
}

static bool tell(struct control *control, struct peer *peer, enum metrics_command command)
{
	struct ration *ration = &control->told.rations[command];
	bool is_answer;

	ration_begin(ration);
	is_answer = metrics_write(control, command, &control->told.text) == 0;
	peer->record = ration;
	is_answer = is_answer && text_reply(peer, control->told.text.text);
	peer->record = NULL;
	return ration_end(ration, RATION_RATIO, is_answer);
}

bool verb_metrics(struct control *control, struct peer *peer, const json_t *question)
{
	const char *name = json_string_value(json_object_get(question, "command"));
	enum metrics_command command = name ? metrics_command_of(name) : METRICS_ALL;

	if (command == METRICS_ALL)
		return reply_error(peer, -EINVAL, "no metrics belong to that command; they do to "
				   METRICS_COMMANDS_TEXT);
	if (ration_is_paid(&control->told.rations[command]) && !tell(control, peer, command))
		return reply_error(peer, -ENOMEM, "hearthd has no memory for its metrics");
	return reply_recorded(peer, &control->told.rations[command]);
}

void told_deinit(struct told *told)
{
	enum metrics_command command;

	for (command = 0; command < METRICS_ALL; command++)
		ration_deinit(told->rations + command);
	exposition_deinit(&told->text);
}

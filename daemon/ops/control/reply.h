/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/control/reply.h - the answer to a CONTROL message: rows, then an end or an error
 *
 * Owns:     nothing
 * Threads:  the control thread
 * Errors:   false: the peer is to be closed, as it is after a row for which there is no memory
 *
 * Rows of a peer that has an answer go into that, a line each, and to no socket.
 */
#ifndef HEARTH_OPS_CONTROL_REPLY_H
#define HEARTH_OPS_CONTROL_REPLY_H

#include <jansson.h>
#include <stdint.h>

#include "ops/peer.h"

struct registry_report;

struct answer {
	char *text;
	uint64_t room_bytes;
	uint64_t text_bytes;
	uint32_t row_count;
	int status; /* -errno: it has ended with that */
};

must_check bool reply_row(struct peer *peer, json_t *row); /* takes the row over */
/* A load that is under way. */
must_check bool reply_progress(struct peer *peer, const struct registry_report *report);
must_check bool reply_error(struct peer *peer, int status, const char *text);
must_check bool reply_end(struct peer *peer);

/* What was recorded (peer->record), and the end. -EAGAIN, where it did not all find memory. */
must_check bool reply_recorded(struct peer *peer, const struct ration *ration);

/* Who may stop the daemon may also ask it without a rest. */
bool reply_is_rationed(const struct peer *peer);
/* -EAGAIN: what it has been answered is not paid. */
must_check bool reply_rest(struct peer *peer);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/stream.h - a synthetic streaming operation: counts, with progress marks
 *
 * HEARTH_OP_STREAM_TEST keeps the streaming half of the contract honest until a
 * decoder uses it: item k of the response range is the number k, one item a
 * pass, and at most one progress mark is outstanding, so a slow reader loses
 * nothing: the mark is a cumulative count.
 */
#ifndef HEARTH_SERVE_STREAM_H
#define HEARTH_SERVE_STREAM_H

#include "serve/data.h"

void stream_admit(struct data *data, struct request *request,
		  const struct hearth_request_slot *slot);

/* One step of every stream. Returns whether any is left. */
bool stream_step_all(struct data *data);

/* Drops the streams of a lane that closes. */
void stream_drop(struct data *data, struct lane *lane);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/control/verbs.h - what each verb of ops/control/control.h does
 *
 * Threads:  the control thread
 * Errors:   false: the peer is to be closed
 *
 * A verb answers at once, or with the peer's ticket when its job ends.
 */
#ifndef HEARTH_OPS_CONTROL_VERBS_H
#define HEARTH_OPS_CONTROL_VERBS_H

#include <jansson.h>

#include "base/counter.h"
#include "ops/peer.h"

struct control;

typedef bool verb_function(struct control *control, struct peer *peer, const json_t *question);

static inline json_int_t count_of(const struct counter *counter)
{
	return (json_int_t)counter_read(counter);
}

/* Refuses who may not change anything. */
must_check bool verb_deny(const struct control *control, struct peer *peer);

#define VERB_FROM_WANTED "\"from\": a position from 0 is wanted"

/* Where the rows begin: at the position "from", or at the oldest of the last `kept` before `next`.
 * False: VERB_FROM_WANTED. */
must_check bool verb_from(const json_t *question, uint64_t next, uint64_t kept,
			  uint64_t *ret_position);

must_check verb_function verb_models;
must_check verb_function verb_plan;
must_check verb_function verb_mem;
must_check verb_function verb_latency;
must_check verb_function verb_trace;
must_check verb_function verb_events;
must_check verb_function verb_metrics;
must_check verb_function verb_clients;
must_check verb_function verb_users;
must_check verb_function verb_kick;

#endif

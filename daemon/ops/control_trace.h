/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/control_trace.h - the verb trace, of those in ops/control.h
 *
 * Threads:  the control thread
 * Errors:   false: the peer is to be closed
 */
#ifndef HEARTH_OPS_CONTROL_TRACE_H
#define HEARTH_OPS_CONTROL_TRACE_H

#include <jansson.h>

#include "ops/peer.h"

struct control;

must_check bool control_trace(struct control *control, struct peer *peer, const json_t *question);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/control_latency.h - the verb latency, of those in ops/control.h
 *
 * Threads:  the control thread
 * Errors:   false: the peer is to be closed
 */
#ifndef HEARTH_OPS_CONTROL_LATENCY_H
#define HEARTH_OPS_CONTROL_LATENCY_H

#include "ops/peer.h"

struct control;

must_check bool control_latency(struct control *control, struct peer *peer);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/control_mem.h - the verb mem, of those in ops/control.h
 *
 * Threads:  the control thread
 * Errors:   false: the peer is to be closed
 */
#ifndef HEARTH_OPS_CONTROL_MEM_H
#define HEARTH_OPS_CONTROL_MEM_H

#include "ops/peer.h"

struct control;

must_check bool control_mem(struct control *control, struct peer *peer);

#endif

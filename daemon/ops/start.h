/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/start.h - the serving rooms, built in step order for the control loop
 */
#ifndef HEARTH_OPS_START_H
#define HEARTH_OPS_START_H

#include "base/error.h"

struct control;

/* How the loops wait, and the waiter of this one. */
must_check int start_waiting(struct control *control);
/* Repository, tier table, data thread, registry; says in the log what was chosen. */
must_check int start_serving(struct control *control);
/* At each tick: the reserve has again what it should, as far as that is to be had. */
void start_tend(struct control *control);
/* In reverse; takes a half-built control. */
void start_undo(struct control *control);

#endif

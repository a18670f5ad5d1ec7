/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/control/placement.h - the answer to a load or swap that was dry (control.h)
 *
 * Threads:  the control thread
 * Errors:   false: the peer is to be closed
 */
#ifndef HEARTH_OPS_CONTROL_PLACEMENT_H
#define HEARTH_OPS_CONTROL_PLACEMENT_H

#include "ops/peer.h"
#include "serve/models/placement.h"

must_check bool control_placement(struct peer *peer, const struct placement *placement);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/control/told.h - what the verb metrics has answered of each command, a moment ago
 *
 * Owns:     the texts
 * Threads:  the control thread
 */
#ifndef HEARTH_OPS_CONTROL_TOLD_H
#define HEARTH_OPS_CONTROL_TOLD_H

#include "ops/metrics/exposition.h"
#include "ops/metrics/metrics.h"
#include "ops/ration.h"

struct told {
	struct ration rations[METRICS_ALL];
	struct exposition text; /* in which each of them is made */
};

void told_deinit(struct told *told);

#endif

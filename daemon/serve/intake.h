/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/intake.h - takes slots from a lane, each copied once, and has them admitted
 */
#ifndef HEARTH_SERVE_INTAKE_H
#define HEARTH_SERVE_INTAKE_H

#include "serve/data.h"

/* A lane may take this many of a pass before the next lane's turn. */
#define INTAKE_SLOTS_MAX 64

/* Has the lane work, at a glance? */
bool intake_has(const struct lane *lane);

/* Reads what the client claims to have consumed. This and those below mark the lane as lying when
 * it claims the impossible. */
void intake_judge(struct lane *lane);

/* Has the lane work? Its next slot is then in lane->head. */
bool intake_look(struct lane *lane);

/* Takes what its turn allows; returns how many slots. */
uint32_t intake_lane(struct data *data, struct lane *lane);

#endif

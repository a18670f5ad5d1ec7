/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/control/worst.h - the one thing that somebody should look at first
 *
 * Owns:     nothing
 * Threads:  the control thread
 *
 * What keeps answers from coming stands before what makes them late. Each sentence ends with the
 * command that tells more.
 */
#ifndef HEARTH_OPS_CONTROL_WORST_H
#define HEARTH_OPS_CONTROL_WORST_H

#include <stdint.h>

#define WORST_BYTES 256

struct control;

/* At the host, which takes longer. */
void worst_look(struct control *control);

/* "": all is as it should be, as far as worst_look has seen the host. */
void worst_describe(const struct control *control, char text[WORST_BYTES]);

/* At each tick: what moves, and since when something does not. */
void worst_watch(struct control *control, uint64_t now_ns);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/control/scratch.h - memory for rows that are made and gone again
 *
 * Owns:     one block for the life of the process, from which Jansson is given what it asks for
 * Threads:  the control thread, which alone uses Jansson
 * Errors:   none: what finds no room in the block comes from malloc
 *
 * Rows are written to the stats page while requests are served, and serving allocates nothing. A
 * row is freed before the next one is made, and the block is empty then.
 */
#ifndef HEARTH_OPS_CONTROL_SCRATCH_H
#define HEARTH_OPS_CONTROL_SCRATCH_H

/* Once, before the first row. Without memory for it everything comes from malloc. */
void scratch_init(void);

#endif

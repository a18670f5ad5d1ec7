/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/nodes.h - on which nodes the daemon's threads and memory are
 *
 * Owns:     nothing; the choice is in struct control
 * Threads:  the control thread
 * Errors:   -EINVAL a node that is not there, or without what it is wanted for; -errno of /sys; each
 *           with a sentence
 */
#ifndef HEARTH_OPS_NODES_H
#define HEARTH_OPS_NODES_H

#include "exec/engine.h"

struct control; /* ops/loop.h */

/* The nodes of data thread and workers, all that have memory, and how many cores' worth of time there
 * are. */
must_check int nodes_choose(struct control *control, double *ret_cores);

/* CPUs of the workers' nodes, the data thread's among them. */
uint32_t nodes_cpu_count(const struct control *control);

/* When the workers are there: what was asked for and comes to nothing. */
void nodes_report(const struct control *control);

/* Each node that memory is wanted on, as a bit: those of the options, and the data thread's. */
uint64_t nodes_wanted(const struct control *control);

/* Where a model's weights and tables lie. */
void nodes_place(const struct control *control, const char *name, struct engine_options *options);

#endif

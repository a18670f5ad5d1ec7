/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/rehearsal.h - a version's first requests come from nobody
 *
 * Whoever loaded a version ran it on another core. So the thread that will serve it takes a few
 * requests of one row of zeros all the way, from a ring to its completion: their client is this
 * file. A real one then finds code, weights and tables of the request path in the thread's caches
 * and predictors.
 *
 * Owns:     a pair of segments without a connection, and a loop without a thread
 * Threads:  made and freed by the control side, in between the data thread's
 * Errors:   rehearsal_new -ENOMEM
 */
#ifndef HEARTH_SERVE_REHEARSAL_H
#define HEARTH_SERVE_REHEARSAL_H

#include "base/error.h"
#include "serve/version.h"

struct rehearsal;

must_check int rehearsal_new(struct rehearsal **ret_rehearsal);
void rehearsal_free(struct rehearsal *rehearsal);

/* Of a version that nobody can ask yet; it counts none of this. Returns how many were answered. */
uint64_t rehearsal_run(struct rehearsal *rehearsal, struct version *version);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/kept.h - what is served outlives the daemon: weights and graphs in systemd's store
 *
 *     name in the store      what it is
 *     manifest.0, .1         ops/manifest.h, in turn: while one is replaced the other is whole
 *     model.ID, weights.ID   of one version that the manifest names
 *     table.ID               of the versions that the manifest says have it (memory/shelf.h)
 *
 * The next daemon takes them back and serves without reading a model file. Where the `load` setting
 * of a model is what it was, its versions are as they were, and of the repository only what is newer
 * than all of them is wanted; where it is another, what it names and was kept is taken from there.
 * What cannot be taken back is loaded from its files. Until all of that has ended the store stays as
 * it is, so that a start which fails costs nothing.
 *
 * Owns:     the store and what is known to be in it
 * Threads:  the control thread
 * Errors:   none: what is wrong with something kept is said in the log, and so is what cannot be kept
 */
#ifndef HEARTH_OPS_KEPT_H
#define HEARTH_OPS_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "exec/engine.h"
#include "ops/manifest.h"
#include "ops/store.h"
#include "serve/models/registry.h"

struct control;

struct kept {
	struct store store;
	struct manifest came;     /* what the last daemon left and nobody has recalled yet */
	struct manifest manifest; /* what systemd holds */
	struct manifest next;
	bool is_on;
	bool is_dirty; /* a job has said something since */
};

/* Before the registry has any job: reads what came. */
void kept_begin(struct control *control);
/* Asks for the versions that shall be as they were. */
void kept_want(struct control *control);
/* The highest number that was served of a model whose versions shall be as they were; 0: it has
 * none. */
uint32_t kept_newest(const struct control *control, const char *model);
/* For the registry: what came of a version, once. */
bool kept_recall(void *control, const char *model, uint32_t number, struct engine_kept *ret_kept,
		 struct registry_mark *ret_mark);

/* No job may recall anything any more: systemd shall hold what is served, and nothing else. Also
 * amid a job, for a swap that drains must have the memory of what has gone. */
void kept_sync(struct control *control);
void kept_deinit(struct control *control);

#endif

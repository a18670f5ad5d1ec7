/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/registry_parts.h - what the parts of the registry share; nobody else includes it
 *
 *     registry.c        lookups, places, memory, start and stop
 *     registry_jobs.c   load, swap and unload, one after another
 */
#ifndef HEARTH_SERVE_REGISTRY_PARTS_H
#define HEARTH_SERVE_REGISTRY_PARTS_H

#include "serve/registry.h"

/* NULL: there is none. */
struct registry_model *registry_model_find(const struct registry *registry, const char *name);
struct registry_version *registry_version_find(struct registry_model *model, uint32_t number);
struct registry_version *registry_version_of(struct registry *registry,
					     const struct version *version);

/* The place of one that may be there already; NULL: there is no place. */
struct registry_model *registry_model_reserve(struct registry *registry, const char *name);
struct registry_version *registry_version_reserve(struct registry_model *model, uint32_t number);

/* It takes no more requests; MESSAGE_RETIRED comes when it has answered those it has. */
void registry_version_retire(struct registry *registry, struct registry_version *slot);
/* Its memory is free, and so is its place. */
void registry_version_release(struct registry_version *slot);

#endif

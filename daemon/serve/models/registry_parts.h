/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/models/registry_parts.h - what the parts of the registry share; nobody else includes it
 *
 *     registry.c        lookups, places, memory, start and stop
 *     registry_jobs.c   load, swap and unload, one after another
 *     registry_drain.c  where a version would lie, and a swap without room for both
 *     registry_report.c what is said and counted of them
 *     registry_look.c   weights that are there, compared with what they were
 */
#ifndef HEARTH_SERVE_MODELS_REGISTRY_PARTS_H
#define HEARTH_SERVE_MODELS_REGISTRY_PARTS_H

#include "serve/models/registry.h"

struct registry_model *registry_model_of(struct registry *registry, uint32_t handle);
/* NULL: there is none; of no model there is no version. */
struct registry_model *registry_model_find(const struct registry *registry, const char *name);
struct registry_version *registry_version_find(struct registry_model *model, uint32_t number);
struct registry_version *registry_version_of(struct registry *registry,
					     const struct version *version);

/* The place of one that may be there already, or of one of which nothing is left but what has failed.
 * NULL: there is no place. */
struct registry_model *registry_model_reserve(struct registry *registry, const char *name);
struct registry_version *registry_version_reserve(struct registry_model *model, uint32_t number);

/* It takes no more requests; MESSAGE_RETIRED comes when it has answered those it has. */
void registry_version_retire(struct registry *registry, struct registry_version *slot);
/* Its newest other version answers for the model while this one goes, of those that are not out of
 * service if there are any; `number` 0: all go. */
void registry_model_inherit(struct registry *registry, struct registry_model *model,
			    uint32_t number);
/* The loader has hashed somebody's weights, or not. */
void registry_looked(struct registry *registry);
/* Its memory is free, and so is its place. */
void registry_version_release(struct registry_version *slot);

/* Of the job that runs. What a job that has drained cannot load gives way to what it has drained. */
void registry_job_load(struct registry *registry, struct registry_job *job);
void registry_job_end(struct registry *registry, int status, const char *text);
void registry_job_fail(struct registry *registry, int status, const char *text);
void registry_job_plan(struct registry *registry, struct registry_job *job);
/* To the loader, which closes what is open in it. */
void registry_job_submit(struct registry *registry, struct registry_job *job,
			 struct loader_job *load);

void registry_job_tell(struct registry *registry, const struct registry_job *job,
		       enum registry_weight weight, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* How far its load is, if that is news: each time to who asked, now and then to the log. */
void registry_job_tell_progress(struct registry *registry, struct registry_job *job);
/* It has ended. */
void registry_job_count(struct registry *registry, const struct registry_job *job, int status);

/* Must what it replaces go before it can be loaded, and is that so far? */
bool registry_drain_is_due(const struct registry *registry, const struct registry_job *job);
bool registry_drain_is_under_way(const struct registry *registry, const struct registry_job *job);
/* The version fits in the place of the other one, as was worked out: that one goes. */
void registry_drain_begin(struct registry *registry, struct registry_job *job);

#endif

/* SPDX-License-Identifier: MIT */
/* daemon/serve/models/registry_drain.c - what would be, and one version that goes before another comes */
#include "serve/models/registry_parts.h"

#include <stdio.h>
#include <string.h>

/* What it would replace, or lie beside. One that is out of service goes before it is loaded again. */
static struct placement_held job_held(const struct registry *registry, const struct registry_job *job)
{
	struct registry_model *model = registry_model_find(registry, job->name);
	const struct registry_version *slot = registry_version_find(model, job->number);
	bool drains = job->how & REGISTRY_DRAIN;

	if (!drains && slot && registry_version_is_stale(slot))
		return placement_held(slot->version, true);
	return placement_held(model && job->verb == REGISTRY_SWAP ? model->current : NULL, drains);
}

void registry_job_plan(struct registry *registry, struct registry_job *job)
{
	struct loader_job load = { .directory_fd = -1, .options = registry->engine };
	int r;

	r = repository_open_version(registry->repository, job->name, job->number,
				    &load.directory_fd);
	if (r < 0) {
		registry_job_end(registry, r, err_message());
		return;
	}
	load.is_dry = true;
	load.held = job_held(registry, job);
	job->is_planning = true;
	registry_job_submit(registry, job, &load);
}

bool registry_drain_is_due(const struct registry *registry, const struct registry_job *job)
{
	const struct registry_model *model = registry_model_find(registry, job->name);

	return job->how & REGISTRY_DRAIN && !job->drain.number && model && model->current;
}

bool registry_drain_is_under_way(const struct registry *registry, const struct registry_job *job)
{
	struct registry_model *model = registry_model_find(registry, job->name);
	const struct registry_version *slot =
		job->drain.number ? registry_version_find(model, job->drain.number) : NULL;

	return slot && slot->state == REGISTRY_DRAINING;
}

bool registry_is_draining(const struct registry *registry, const char *name)
{
	const struct registry_job *job = registry->jobs;

	return job && job->drain.number && strncmp(job->name, name, sizeof(job->name)) == 0;
}

void registry_drain_begin(struct registry *registry, struct registry_job *job)
{
	struct registry_model *model = registry_model_find(registry, job->name);
	struct version *before = model->current;
	struct message hold = { .kind = MESSAGE_HOLD, .model = before->model };

	job->drain.number = before->number;
	job->drain.wanted = job->number;
	job->is_parked = true;
	data_send(registry->data, &hold);
	registry_version_retire(registry, registry_version_of(registry, before));
}

/* Loads what has gone again. */
static void drain_restore(struct registry *registry, struct registry_job *job, int status,
			  const char *text)
{
	job->drain.status = status;
	snprintf(job->drain.text, sizeof(job->drain.text), "%s", text);
	job->number = job->drain.number;
	registry_job_load(registry, job);
}

static void drain_give_up(struct registry *registry, struct registry_job *job, const char *text)
{
	struct registry_model *model = registry_model_find(registry, job->name);
	const struct message release = {
		.kind = MESSAGE_RELEASE,
		.model = model->handle,
	};
	char both[1280];

	registry_model_inherit(registry, model, job->number);
	data_send(registry->data, &release);
	snprintf(both, sizeof(both), "%s; and %s@%u, which went first, is not there again: %s",
		 job->drain.text, job->name, job->number, text);
	job->number = job->drain.wanted;
	registry_job_end(registry, job->drain.status, both);
}

void registry_job_fail(struct registry *registry, int status, const char *text)
{
	struct registry_job *job = registry->jobs;
	struct registry_model *model = registry_model_find(registry, job->name);

	/* What was current went, since it was out of service, and does not come back. */
	if (!job->drain.number && model && !model->current)
		registry_model_inherit(registry, model, job->number);
	if (!job->drain.number)
		registry_job_end(registry, status, text);
	else if (!job->drain.status)
		drain_restore(registry, job, status, text);
	else
		drain_give_up(registry, job, text);
}

/* SPDX-License-Identifier: MIT */
/* daemon/serve/registry_drain.c - one version goes, another comes, or the first one again */
#include "serve/registry_parts.h"

#include <stdio.h>
#include <string.h>

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

bool registry_drain_restore(struct registry *registry, struct registry_job *job, int status,
			    const char *text)
{
	struct registry_drain *drain = &job->drain;

	if (!drain->number || drain->status)
		return false;
	drain->status = status;
	snprintf(drain->text, sizeof(drain->text), "%s", text);
	job->number = drain->number;
	registry_job_load(registry, job);
	return true;
}

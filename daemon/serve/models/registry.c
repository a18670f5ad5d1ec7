/* SPDX-License-Identifier: MIT */
/* daemon/serve/models/registry.c - the models and versions there are, their places and their memory */
#include "serve/models/registry_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- lookup ------------------------------------------------------------------------------------- */

struct registry_model *registry_model_find(const struct registry *registry, const char *name)
{
	uint32_t index;

	for (index = 0; index < registry->model_count; index++)
		if (strcmp(registry->models[index].name, name) == 0)
			return (struct registry_model *)(uintptr_t)(registry->models + index);
	return NULL;
}

struct registry_version *registry_version_find(struct registry_model *model, uint32_t number)
{
	uint32_t index;

	for (index = 0; model && index < DATA_VERSIONS_MAX; index++)
		if (model->versions[index].state != REGISTRY_ABSENT &&
		    model->versions[index].number == number)
			return model->versions + index;
	return NULL;
}

struct registry_model *registry_model_of(struct registry *registry, uint32_t handle)
{
	return registry->models + data_model_place(handle);
}

struct registry_version *registry_version_of(struct registry *registry,
					     const struct version *version)
{
	struct registry_model *model = registry_model_of(registry, version->model);
	uint32_t index;

	for (index = 0; index < DATA_VERSIONS_MAX; index++)
		if (model->versions[index].version == version)
			return model->versions + index;
	return NULL;
}

int registry_find(const struct registry *registry, const char *name, uint32_t number,
		  const struct version **ret_version, uint32_t *ret_current)
{
	struct registry_model *model = registry_model_find(registry, name);
	const struct registry_version *found;

	if (!model)
		return REGISTRY_E_ABSENT;
	if (number == 0) {
		if (!model->current)
			return REGISTRY_E_ABSENT;
		*ret_version = model->current;
	} else {
		found = registry_version_find(model, number);
		if (!found || found->state != REGISTRY_SERVING)
			return REGISTRY_E_ABSENT;
		*ret_version = found->version;
	}
	*ret_current = model->current ? model->current->number : 0;
	return 0;
}

bool registry_version_is_stale(const struct registry_version *slot)
{
	return slot->state == REGISTRY_SERVING && *slot->error;
}

bool registry_is_stale(const struct registry *registry, const char *name, uint32_t number)
{
	struct registry_model *model = registry_model_find(registry, name);
	const struct registry_version *slot = registry_version_find(model, number);

	return slot && registry_version_is_stale(slot);
}

const struct registry_version *registry_next(const struct registry *registry, uint32_t *cursor,
					     const struct registry_model **ret_model)
{
	while (*cursor / DATA_VERSIONS_MAX < registry->model_count) {
		const struct registry_model *model = registry->models + *cursor / DATA_VERSIONS_MAX;
		const struct registry_version *slot = model->versions + *cursor % DATA_VERSIONS_MAX;

		(*cursor)++;
		if (slot->state == REGISTRY_ABSENT)
			continue;
		*ret_model = model;
		return slot;
	}
	return NULL;
}

uint32_t registry_before(const struct registry *registry, const char *name)
{
	const struct registry_model *model = registry_model_find(registry, name);

	return model ? model->before : 0;
}

const char *registry_name_of(const struct registry *registry, uint32_t handle)
{
	const struct registry_model *model = registry->models + data_model_place(handle);

	return model->handle == handle ? model->name : NULL;
}

const char *registry_state_name(enum registry_state state)
{
	static const char *const names[] = { "absent", "loading", "serving", "draining", "failed" };

	return names[state];
}

bool registry_is_idle(const struct registry *registry)
{
	return !registry->jobs;
}

/* --- places and memory ---------------------------------------------------------------------------- */

/* Nothing is left of its model, or nothing but what has failed. */
static bool place_is_vacant(const struct registry_model *model, bool failed_too)
{
	uint32_t index;

	for (index = 0; index < DATA_VERSIONS_MAX; index++)
		if (model->versions[index].state != REGISTRY_ABSENT &&
		    !(failed_too && model->versions[index].state == REGISTRY_FAILED))
			return false;
	return true;
}

/* One that has had another name. They go in turn, so that a name which comes back soon finds its
 * clients' handles good. */
static struct registry_model *place_take(struct registry *registry, bool failed_too)
{
	uint32_t step;

	for (step = 1; step <= DATA_MODELS_MAX; step++) {
		uint32_t place = (registry->place_last + step) % DATA_MODELS_MAX;
		struct registry_model *model = registry->models + place;

		if (!place_is_vacant(model, failed_too))
			continue;
		registry->place_last = place;
		*model = (struct registry_model){ .handle = model->handle + DATA_MODELS_MAX };
		return model;
	}
	return NULL;
}

struct registry_model *registry_model_reserve(struct registry *registry, const char *name)
{
	struct registry_model *model = registry_model_find(registry, name);

	if (model)
		return model;
	if (registry->model_count < DATA_MODELS_MAX) {
		model = registry->models + registry->model_count;
		model->handle = registry->model_count++;
	} else {
		model = place_take(registry, false);
		if (!model)
			model = place_take(registry, true);
	}
	if (model)
		snprintf(model->name, sizeof(model->name), "%s", name);
	return model;
}

static struct registry_version *version_in(struct registry_model *model, enum registry_state state)
{
	uint32_t index;

	for (index = 0; index < DATA_VERSIONS_MAX; index++)
		if (model->versions[index].state == state)
			return model->versions + index;
	return NULL;
}

struct registry_version *registry_version_reserve(struct registry_model *model, uint32_t number)
{
	struct registry_version *slot = registry_version_find(model, number);

	if (!slot)
		slot = version_in(model, REGISTRY_ABSENT);
	if (!slot) /* what has failed makes room */
		slot = version_in(model, REGISTRY_FAILED);
	if (slot) {
		memset(slot, 0, sizeof(*slot));
		slot->number = number;
		slot->state = REGISTRY_LOADING;
	}
	return slot;
}

void registry_version_release(struct registry_version *slot)
{
	version_free(slot->version);
	memset(slot, 0, sizeof(*slot));
}

void registry_version_retire(struct registry *registry, struct registry_version *slot)
{
	struct message retire = { .kind = MESSAGE_RETIRE, .version = slot->version };
	struct registry_model *model = registry_model_of(registry, slot->version->model);

	slot->state = REGISTRY_DRAINING;
	if (registry->looked == slot) {
		loader_look_end(&registry->loader, slot->version->engine);
		registry->looked = NULL;
	}
	if (model->current == slot->version)
		model->current = NULL;
	data_send(registry->data, &retire);
}

/* Newer, and able to answer, which comes first. */
static bool is_better(const struct registry_version *slot, const struct registry_version *than)
{
	bool is_stale = registry_version_is_stale(slot);

	return is_stale == registry_version_is_stale(than) ? slot->number > than->number : !is_stale;
}

void registry_model_inherit(struct registry *registry, struct registry_model *model,
			    uint32_t number)
{
	struct registry_version *heir = NULL;
	struct message message = { .kind = MESSAGE_CURRENT };
	uint32_t index;

	for (index = 0; number && index < DATA_VERSIONS_MAX; index++) {
		struct registry_version *slot = model->versions + index;

		if (slot->state == REGISTRY_SERVING && slot->number != number &&
		    (!heir || is_better(slot, heir)))
			heir = slot;
	}
	if (!heir)
		return;
	model->current = heir->version;
	message.version = heir->version;
	data_send(registry->data, &message);
}

/* --- start and stop ------------------------------------------------------------------------------- */

int registry_start(struct registry *registry, bool wants_ring)
{
	int r;

	r = loader_start(&registry->loader, wants_ring);
	if (r < 0)
		return err_trace(r);
	return 0;
}

void registry_stop(struct registry *registry)
{
	struct registry_job *job;
	uint32_t model;
	uint32_t index;

	loader_stop(&registry->loader);
	while ((job = registry->jobs)) {
		registry->jobs = job->next;
		free(job);
	}
	for (model = 0; model < registry->model_count; model++)
		for (index = 0; index < DATA_VERSIONS_MAX; index++)
			if (registry->models[model].versions[index].state != REGISTRY_ABSENT)
				registry_version_release(registry->models[model].versions + index);
}

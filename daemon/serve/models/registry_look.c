/* SPDX-License-Identifier: MIT */
/* daemon/serve/models/registry_look.c - weights are hashed while they serve, and damage is loaded again */
#include "serve/models/registry_parts.h"

#include <errno.h>
#include <stdio.h>

/* NULL: all have been looked at. */
static struct registry_version *version_next(struct registry *registry)
{
	uint32_t model;
	uint32_t index;

	for (model = 0; model < registry->model_count; model++) {
		for (index = 0; index < DATA_VERSIONS_MAX; index++) {
			struct registry_version *slot = registry->models[model].versions + index;

			if (slot->state == REGISTRY_SERVING && !slot->is_looked_at &&
			    engine_kept(slot->version->engine))
				return slot;
		}
	}
	return NULL;
}

void registry_look(struct registry *registry)
{
	if (!registry->looks || registry->looked)
		return;
	registry->looked = version_next(registry);
	if (registry->looked)
		loader_look(&registry->loader, registry->looked->version->engine);
}

static void look_report(struct registry *registry, const struct registry_version *slot, int status,
			const char *text)
{
	const struct registry_report report = {
		.verb = REGISTRY_LOAD,
		.name = slot->version->name,
		.number = slot->number,
		.status = status,
		.text = text,
		.weight = REGISTRY_NEWS,
	};

	registry->notify(registry->context, &report);
}

/* Nothing is asked of weights that are wrong: what they answered would be, too. */
static void version_reload(struct registry *registry, const struct registry_version *slot)
{
	const struct registry_model *model = registry_model_of(registry, slot->version->model);
	enum registry_verb again =
		model->current == slot->version ? REGISTRY_ADVANCE : REGISTRY_LOAD;
	uint32_t number = slot->number;

	registry_submit(registry, REGISTRY_UNLOAD, model->name, number, 0, 0);
	registry_submit(registry, again, model->name, number, 0, 0);
}

void registry_looked(struct registry *registry)
{
	struct registry_version *slot = registry->looked;
	char text[256];
	uint64_t hash;

	if (!slot || !loader_looked(&registry->loader, &hash))
		return;
	registry->looked = NULL;
	slot->is_looked_at = true;
	if (slot->mark.content_hash && slot->mark.content_hash != hash) {
		snprintf(text, sizeof(text), "the weights of %s@%u are not what they were, though "
			 "nobody could write them (%016llx, wanted %016llx): is this memory sound? "
			 "They are loaded again", slot->version->name, slot->number,
			 (unsigned long long)hash, (unsigned long long)slot->mark.content_hash);
		look_report(registry, slot, -EIO, text);
		version_reload(registry, slot);
		return;
	}
	snprintf(text, sizeof(text), "the weights of %s@%u %s %016llx", slot->version->name,
		 slot->number, slot->mark.content_hash ? "are what they were:" : "have the hash",
		 (unsigned long long)hash);
	slot->mark.content_hash = hash;
	look_report(registry, slot, 0, text);
}

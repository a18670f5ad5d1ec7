/* SPDX-License-Identifier: MIT */
/* daemon/ops/reload.c - the repository's listing, turned into jobs for the registry */
#include "ops/reload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"
#include "ops/control/control.h"
#include "ops/loop.h"
#include "ops/peers.h"

#define NS_PER_US 1000

enum options_load reload_setting(const struct control *control, const char *model,
				 uint32_t *ret_version)
{
	const struct options_model *wish = options_model_of(control->options, model);

	*ret_version = wish && wish->has_load ? wish->version : 0;
	return wish && wish->has_load ? wish->load : control->options->load;
}

/* Nothing is asked for what is so already: a reload that finds nothing to do is silent. */
static void version_want(struct control *control, const char *name, uint32_t number,
			 enum registry_verb verb)
{
	const struct version *version;
	uint32_t current = 0;

	if (registry_find(&control->registry, name, number, &version, &current) == 0 &&
	    !registry_is_stale(&control->registry, name, number) &&
	    (verb == REGISTRY_LOAD || current == number))
		return;
	registry_submit(&control->registry, verb, name, number, 0, 0);
}

/* The first time the first version of a model to be loaded becomes the current one by itself. Of one
 * whose versions are taken back only what is newer is wanted, as in a reload. */
static void model_want(struct control *control, const struct repository_model *model, bool is_first)
{
	uint32_t kept = is_first ? kept_newest(control, model->name) : 0;
	enum registry_verb alone = is_first && !kept ? REGISTRY_LOAD : REGISTRY_SWAP;
	enum registry_verb beside = is_first && !kept ? REGISTRY_LOAD : REGISTRY_ADVANCE;
	uint32_t newest = model->versions[model->version_count - 1];
	uint32_t version;
	uint32_t index;
	enum options_load load = reload_setting(control, model->name, &version);

	if ((version ? version : newest) <= kept)
		return;
	if (model->has_config_pbtxt)
		log_line(LOG_LEVEL_INFO, "%s/config.pbtxt is not read yet; hearthd.conf has "
			 "[model %s]", model->name, model->name);
	switch (load) {
	case OPTIONS_LOAD_VERSION:
		version_want(control, model->name, version, alone);
		break;
	case OPTIONS_LOAD_LATEST:
		version_want(control, model->name, newest, alone);
		break;
	case OPTIONS_LOAD_ALL:
		version_want(control, model->name, newest, beside);
		for (index = model->version_count - 1; index > 0; index--)
			version_want(control, model->name, model->versions[index - 1],
				     REGISTRY_LOAD);
		break;
	case OPTIONS_LOAD_NONE:
		break;
	}
}

static bool has_model(const struct repository_listing *listing, const char *name)
{
	uint32_t index;

	for (index = 0; index < listing->model_count; index++)
		if (strcmp(listing->models[index].name, name) == 0)
			return true;
	return false;
}

/* A section of nobody is a slip of the pen, or a model that has yet to come. */
static void sections_check(const struct options *options, const struct repository_listing *listing)
{
	uint32_t index;

	for (index = 0; index < options->model_count; index++)
		if (!has_model(listing, options->models[index].model))
			log_line(LOG_LEVEL_WARNING, "[model %s] of the configuration is of no model "
				 "in %s", options->models[index].model, options->repository);
	for (index = 0; index < options->table_count; index++)
		if (!has_model(listing, options->tables[index].model))
			log_line(LOG_LEVEL_WARNING, "[table %s/%s] of the configuration is of no "
				 "model in %s", options->tables[index].model,
				 options->tables[index].table, options->repository);
}

static int repository_want(struct control *control, bool is_first)
{
	struct repository_listing listing;
	uint32_t index;
	int r;

	r = repository_list(&control->repository, &listing);
	if (r < 0) {
		log_line(LOG_LEVEL_ERROR, "%s", err_message());
		return err_trace(r);
	}
	for (index = 0; index < listing.ignored_count; index++)
		log_line(LOG_LEVEL_WARNING, "ignored: %s", listing.ignored[index]);
	sections_check(control->options, &listing);
	for (index = 0; index < listing.model_count; index++)
		model_want(control, listing.models + index, is_first);
	if (listing.model_count == 0)
		log_line(LOG_LEVEL_WARNING, "%s has no models (NAME/VERSION/model.onnx is wanted)",
			 control->options->repository);
	repository_listing_deinit(&listing);
	return 0;
}

static void failure_note(struct reload *reload, int status, const char *text)
{
	if (reload->failures++ > 0)
		return;
	reload->status = status;
	snprintf(reload->text, sizeof(reload->text), "%s", text);
}

void reload_first(struct control *control)
{
	kept_begin(control);
	kept_want(control);
	(void)!repository_want(control, true);
}

void reload_begin(struct control *control)
{
	struct reload *reload = &control->reload;
	int r;

	if (control->is_stopping)
		return;
	if (!reload->is_running)
		memset(reload, 0, sizeof(*reload));
	reload->is_running = true;
	/* The start ends with its own READY=1. */
	if (control->is_ready)
		sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_ns() / NS_PER_US);
	log_line(LOG_LEVEL_INFO, "reading the repository again");
	r = repository_want(control, false);
	if (r < 0)
		failure_note(reload, r, err_message());
}

void reload_report(struct control *control, const struct registry_report *report)
{
	struct reload *reload = &control->reload;
	char text[RELOAD_TEXT_BYTES];

	if (!reload->is_running)
		return;
	if (report->status == 0) {
		reload->served++;
		return;
	}
	snprintf(text, sizeof(text), "%s@%u: %s", report->name, report->number, report->text);
	failure_note(reload, report->status, text);
}

void reload_end(struct control *control)
{
	struct reload *reload = &control->reload;
	char text[RELOAD_TEXT_BYTES + 64];
	struct peer *peer;

	if (!reload->is_running)
		return;
	reload->is_running = false;
	if (reload->failures > 0)
		snprintf(text, sizeof(text), "%u of %u loads failed, the first: %s",
			 reload->failures, reload->failures + reload->served, reload->text);
	else
		snprintf(text, sizeof(text), "the repository is read again: %u versions loaded",
			 reload->served);
	log_line(reload->failures > 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "%s", text);
	if (control->is_ready)
		sd_notify(0, "READY=1");
	for (peer = control->peers; peer; peer = peer->next) {
		if (!peer->awaits_reload || peer->is_closing)
			continue;
		peer->awaits_reload = false;
		control_answer(control, peer, reload->status, text, true);
	}
}

/* SPDX-License-Identifier: MIT */
/* daemon/serve/models/registry_jobs.c - jobs: load, install, make current, unload */
#include "serve/models/registry_parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void job_pump(struct registry *registry);

static void job_end_with(struct registry *registry, int status, const char *text,
			 const struct placement *placement)
{
	struct registry_job *job = registry->jobs;
	struct registry_report report = {
		.ticket = job->ticket,
		.verb = job->verb,
		.name = job->name,
		.number = job->number,
		.status = status,
		.weight = REGISTRY_NEWS,
		.text = text,
		.placement = placement,
		.is_last = true,
	};

	registry_job_count(registry, job, status);
	registry->jobs = job->next;
	registry->job_count--;
	registry->is_running = false;
	registry->token = 0;
	registry->notify(registry->context, &report);
	free(job);
	job_pump(registry);
}

__attribute__((format(printf, 3, 4))) static void job_end(struct registry *registry, int status,
							  const char *format, ...)
{
	char text[1280];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	job_end_with(registry, status, text, NULL);
}

static void job_tell(struct registry *registry, enum message_kind kind, struct version *version)
{
	struct message message = { .kind = kind, .version = version };

	if (++registry->token_last == 0)
		registry->token_last = 1;
	registry->token = registry->token_last;
	message.token = registry->token;
	data_send(registry->data, &message);
}

static bool makes_current(const struct registry_job *job)
{
	return job->verb == REGISTRY_SWAP || job->verb == REGISTRY_ADVANCE;
}

void registry_job_end(struct registry *registry, int status, const char *text)
{
	job_end_with(registry, status, text, NULL);
}

/* What is kept of the version, and its files. Either is enough. */
static int load_open(struct registry *registry, struct registry_job *job, struct loader_job *load)
{
	int r;

	job->mark.id = 0;
	load->has_kept = registry->recall(registry->context, job->name, job->number, &load->kept,
					  &job->mark);
	r = repository_open_version(registry->repository, job->name, job->number,
				    &load->directory_fd);
	if (r < 0 && !load->has_kept)
		return err_trace(r);
	return 0;
}

void registry_job_submit(struct registry *registry, struct registry_job *job,
			 struct loader_job *load)
{
	snprintf(load->name, sizeof(load->name), "%s", job->name);
	job->news_ns = 0;
	load->number = job->number;
	load->model = job->model;
	registry->policies(registry->context, job->name, &load->options);
	loader_submit(&registry->loader, load);
}

static void job_drain(struct registry *registry, struct registry_job *job)
{
	registry_drain_begin(registry, job);
	registry_job_tell(registry, job, REGISTRY_NEWS, "%s@%u goes, and requests wait for %s@%u",
		     job->name, job->drain.number, job->name, job->number);
}

static void job_planned(struct registry *registry, struct loader_result *result)
{
	struct registry_job *job = registry->jobs;
	const struct placement *placement = result->placement;

	job->is_planning = false;
	if (job->how & REGISTRY_DRY || !placement)
		job_end_with(registry, result->status, result->text, placement);
	else if (placement->lack[0])
		job_end(registry, -ENOMEM, "%s@%u does not fit, even without %s@%u: %s", job->name,
			job->number, job->name, placement->held_number, placement->lack);
	else
		job_drain(registry, job);
	placement_free(result->placement);
}

/* Its memory may be wanted for what comes, and requests that reach it fail as long as it is there. Who
 * names no version is told that there is none, until it is back. */
static void stale_go(struct registry *registry, struct registry_job *job,
		     struct registry_version *slot)
{
	registry_job_tell(registry, job, REGISTRY_NEWS, "%s@%u is out of service: it goes, and is loaded again",
		     job->name, job->number);
	job->is_parked = true;
	registry_version_retire(registry, slot);
}

/* Is the version there, so that nothing is to be loaded, or not yet? */
static bool load_is_settled(struct registry *registry, struct registry_job *job)
{
	struct registry_model *model = registry_model_find(registry, job->name);
	struct registry_version *slot = registry_version_find(model, job->number);

	if (!slot)
		return false;
	if (registry_version_is_stale(slot) && job->how & REGISTRY_DRY)
		return false;
	if (registry_version_is_stale(slot))
		stale_go(registry, job, slot);
	else if (slot->state == REGISTRY_DRAINING)
		job->is_parked = true;
	else if (slot->state != REGISTRY_SERVING)
		return false;
	else if (makes_current(job) && model->current != slot->version)
		job_tell(registry, MESSAGE_CURRENT, slot->version);
	else
		job_end(registry, 0, "%s@%u is served already", job->name, job->number);
	return true;
}

void registry_job_load(struct registry *registry, struct registry_job *job)
{
	struct loader_job load = { .directory_fd = -1, .options = registry->engine };
	struct registry_model *model;
	char text[512];
	int r;

	if (job->number == 0) {
		r = repository_newest(registry->repository, job->name, &job->number);
		if (r < 0) {
			job_end(registry, r, "%s", err_message());
			return;
		}
	}
	if (load_is_settled(registry, job))
		return;
	if (registry_drain_is_under_way(registry, job)) {
		job->is_parked = true;
		return;
	}
	if (job->how & REGISTRY_DRY || registry_drain_is_due(registry, job)) {
		registry_job_plan(registry, job);
		return;
	}
	r = load_open(registry, job, &load);
	if (r < 0) {
		registry_job_fail(registry, r, err_message());
		return;
	}
	model = registry_model_reserve(registry, job->name);
	if (!model || !registry_version_reserve(model, job->number)) {
		loader_job_close(&load);
		snprintf(text, sizeof(text), "%s@%u: at most %u models with %u versions each",
			 job->name, job->number, DATA_MODELS_MAX, DATA_VERSIONS_MAX);
		registry_job_fail(registry, -ENOSPC, text);
		return;
	}
	job->model = model->handle;
	registry_job_tell(registry, job, REGISTRY_DETAIL, "loading %s@%u", job->name, job->number);
	registry_job_submit(registry, job, &load);
}

/* Buffers for rows are there from the first model with cold tables on. */
static int rows_prepare(struct registry *registry, struct loader_result *result)
{
	const struct tier_owner owner = { registry->engine.tiers, "hearthd", TIER_ROWS };
	int r = row_reader_populate(&registry->data->rows, &owner, registry->engine.node);

	if (r < 0) {
		snprintf(result->text, sizeof(result->text), "%s", err_message());
		version_free(result->version);
		result->version = NULL;
	}
	return r;
}

static void load_failed(struct registry *registry, struct registry_job *job,
			struct registry_version *slot, const struct loader_result *result)
{
	const struct version *current = registry_model_of(registry, job->model)->current;
	char text[sizeof(result->text) + 256];

	slot->state = REGISTRY_FAILED;
	snprintf(slot->error, sizeof(slot->error), "%s", result->text);
	if (job->mark.id) {
		registry_job_tell(registry, job, REGISTRY_WARNING,
			     "what was kept of %s@%u is refused, and its files are read: %s",
			     job->name, job->number, result->text);
		registry_job_load(registry, job);
		return;
	}
	snprintf(text, sizeof(text), "%s", result->text);
	if (result->status == -ENOMEM && job->verb == REGISTRY_SWAP && current)
		snprintf(text, sizeof(text), "%s; or `hearthctl swap --drain %s@%u`, which lets "
			 "%s@%u go first", result->text, job->name, job->number, job->name,
			 current->number);
	registry_job_fail(registry, result->status, text);
}

void registry_loaded(struct registry *registry)
{
	struct registry_job *job = registry->jobs;
	struct loader_result result;
	struct registry_model *model;
	struct registry_version *slot;

	registry_looked(registry);
	if (job)
		registry_job_tell_progress(registry, job);
	if (!loader_take(&registry->loader, &result))
		return;
	if (job->is_planning) {
		job_planned(registry, &result);
		return;
	}
	model = registry_model_of(registry, job->model);
	slot = registry_version_find(model, job->number);
	if (result.status >= 0 && engine_cold(result.version->engine))
		result.status = rows_prepare(registry, &result);
	if (result.status < 0) {
		load_failed(registry, job, slot, &result);
		return;
	}
	slot->version = result.version;
	slot->mark = job->mark;
	slot->state = REGISTRY_SERVING;
	if (job->mark.id)
		registry->arrivals.kept++;
	else
		registry->arrivals.read++;
	job_tell(registry,
		 makes_current(job) || !model->current ? MESSAGE_CURRENT : MESSAGE_INSTALL,
		 slot->version);
}

/* What is worth knowing of it where versions outlive the process. */
static void job_describe(const struct registry *registry, const struct registry_job *job,
			 const struct version *version, char text[VERSION_TEXT_BYTES])
{
	text[0] = '\0';
	if (job->mark.id)
		snprintf(text, VERSION_TEXT_BYTES, ", as it was kept%s",
			 engine_is_outdated(version->engine)
				 ? ", though its files have changed since" : "");
	if (registry->engine.keeps && !engine_kept(version->engine))
		snprintf(text, VERSION_TEXT_BYTES, "; a restart reads it again: %s",
			 engine_unkept(version->engine));
}

/* The data loop has obeyed: the version answers from now on. */
static void job_installed(struct registry *registry)
{
	struct registry_job *job = registry->jobs;
	struct registry_model *model = registry_model_find(registry, job->name);
	struct registry_version *slot = registry_version_find(model, job->number);
	struct version *before = model->current;
	char text[VERSION_TEXT_BYTES];
	char kept[VERSION_TEXT_BYTES];

	if (makes_current(job) && before && before != slot->version)
		model->before = before->number;
	else if (job->drain.number && !job->drain.status)
		model->before = job->drain.number;
	if (makes_current(job) || !before)
		model->current = slot->version;
	if (job->verb == REGISTRY_SWAP && before && before != slot->version)
		registry_version_retire(registry, registry_version_of(registry, before));
	if (job->drain.status) {
		job->number = job->drain.wanted;
		job_end(registry, job->drain.status, "%s; %s@%u is served again", job->drain.text,
			job->name, slot->number);
		return;
	}
	version_describe(slot->version, text);
	job_describe(registry, job, slot->version, kept);
	job_end(registry, 0, "%s@%u is served%s, %s%s", job->name, job->number,
		model->current == slot->version ? " and current" : "", text, kept);
}

static bool job_means(const struct registry_job *job, const struct registry_version *slot)
{
	return slot->state != REGISTRY_ABSENT && (job->number == 0 || slot->number == job->number);
}

static void job_unload(struct registry *registry, struct registry_job *job)
{
	struct registry_model *model = registry_model_find(registry, job->name);
	bool is_found = false;
	uint32_t index;

	if (model && model->current &&
	    job_means(job, registry_version_of(registry, model->current)))
		registry_model_inherit(registry, model, job->number);
	for (index = 0; model && index < DATA_VERSIONS_MAX; index++) {
		struct registry_version *slot = model->versions + index;

		if (!job_means(job, slot))
			continue;
		is_found = true;
		if (slot->state == REGISTRY_FAILED) {
			memset(slot, 0, sizeof(*slot));
			continue;
		}
		if (slot->state == REGISTRY_SERVING)
			registry_version_retire(registry, slot);
		slot->is_awaited = true;
		job->waiting++;
	}
	if (!is_found && job->number)
		job_end(registry, -ENOENT, "%s@%u is not loaded; `hearthctl models` lists what is",
			job->name, job->number);
	else if (!is_found)
		job_end(registry, -ENOENT, "%s is not loaded; `hearthctl models` lists what is",
			job->name);
	else if (job->waiting == 0)
		job_end(registry, 0, "%s is unloaded", job->name);
}

/* A job may end while it begins, and what ends a job pumps: one of them loops. */
static void job_pump(struct registry *registry)
{
	if (registry->is_pumping)
		return;
	registry->is_pumping = true;
	while (registry->jobs && !registry->is_running) {
		registry->is_running = true;
		if (registry->jobs->verb == REGISTRY_UNLOAD)
			job_unload(registry, registry->jobs);
		else
			registry_job_load(registry, registry->jobs);
	}
	registry->is_pumping = false;
}

void registry_submit(struct registry *registry, enum registry_verb verb, const char *name,
		     uint32_t number, uint32_t how, uint64_t ticket)
{
	struct registry_report refusal = {
		.ticket = ticket,
		.verb = verb,
		.name = name,
		.number = number,
		.is_last = true,
	};
	struct registry_job **link = &registry->jobs;
	struct registry_job *job = NULL;

	if (ticket && registry->job_count >= REGISTRY_JOBS_MAX) {
		refusal.status = -EBUSY;
		refusal.text = "too many loads, swaps and unloads are waiting; try again later";
	} else if (!(job = calloc(1, sizeof(*job)))) {
		refusal.status = -ENOMEM;
		refusal.text = "no memory for the job";
	}
	if (!job) {
		registry->notify(registry->context, &refusal);
		return;
	}
	job->verb = verb;
	snprintf(job->name, sizeof(job->name), "%s", name);
	job->number = number;
	job->how = how;
	job->ticket = ticket;
	while (*link)
		link = &(*link)->next;
	*link = job;
	registry->job_count++;
	job_pump(registry);
}

void registry_message(struct registry *registry, const struct message *message)
{
	struct registry_job *job = registry->jobs;
	struct registry_version *slot;
	bool is_awaited;

	if (message->kind == MESSAGE_DONE) {
		if (message->token == registry->token && registry->token)
			job_installed(registry);
		return;
	}
	slot = registry_version_of(registry, message->version);
	if (message->kind == MESSAGE_STALE) {
		snprintf(slot->error, sizeof(slot->error),
			 "a file of its cold tables has changed: out of service until it is loaded "
			 "again");
		return;
	}
	is_awaited = slot->is_awaited;
	registry_version_release(slot);
	if (!job)
		return;
	if (is_awaited && --job->waiting == 0) {
		job_end(registry, 0, "%s is unloaded", job->name);
	} else if (job->is_parked) {
		job->is_parked = false;
		registry_job_load(registry, job);
	}
}

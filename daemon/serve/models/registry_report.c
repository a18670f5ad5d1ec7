/* SPDX-License-Identifier: MIT */
/* daemon/serve/models/registry_report.c - what is said and counted of jobs */
#include "serve/models/registry_parts.h"

#include <stdarg.h>
#include <stdio.h>

void registry_job_tell(struct registry *registry, const struct registry_job *job,
		       enum registry_weight weight, const char *format, ...)
{
	struct registry_report report = {
		.ticket = job->ticket,
		.verb = job->verb,
		.name = job->name,
		.number = job->number,
		.weight = weight,
	};
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	report.text = text;
	registry->notify(registry->context, &report);
}

const char *registry_change_name(enum registry_change change)
{
	static const char *const names[] = { "load", "swap", "drain", "rollback", "unload" };

	return names[change];
}

/* An advance is the load of a newer version, which becomes current. */
void registry_job_count(struct registry *registry, const struct registry_job *job, int status)
{
	struct registry_changes *changes = registry->changes;

	if (job->how & REGISTRY_DRY)
		return;
	switch (job->verb) {
	case REGISTRY_LOAD:
	case REGISTRY_ADVANCE:
		changes += REGISTRY_LOADS;
		break;
	case REGISTRY_SWAP:
		changes += job->how & REGISTRY_BACK    ? REGISTRY_ROLLBACKS
			   : job->how & REGISTRY_DRAIN ? REGISTRY_DRAINS
						       : REGISTRY_SWAPS;
		break;
	case REGISTRY_UNLOAD:
		changes += REGISTRY_UNLOADS;
		break;
	}
	if (status < 0)
		changes->failed++;
	else
		changes->done++;
}

void registry_job_tell_progress(struct registry *registry, struct registry_job *job)
{
	struct registry_report report = {
		.ticket = job->ticket,
		.verb = job->verb,
		.name = job->name,
		.number = job->number,
	};
	const struct loader_progress *progress = &report.progress;
	char text[256];

	if (!loader_progress(&registry->loader, &report.progress))
		return;
	if (progress->ns >= job->news_ns) {
		report.weight = REGISTRY_NEWS;
		job->news_ns = progress->ns + LOADER_PROGRESS_NS;
	}
	snprintf(text, sizeof(text), "loading %s@%u: %.2f of %.2f GiB, %.2f GB a second", job->name,
		 job->number, (double)progress->arrived_bytes / (1 << 30),
		 (double)progress->total_bytes / (1 << 30),
		 (double)progress->arrived_bytes / (double)progress->ns);
	report.text = text;
	registry->notify(registry->context, &report);
}

/* SPDX-License-Identifier: MIT */
/* daemon/serve/models/loader.c - a mailbox of one job and one result */
#include "serve/models/loader.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "memory/range_reader.h"

#define LOOK_PAUSES 3 /* times as long as the slice before */

/* On the loader's thread. */
static void weights_arrived(void *context, uint64_t arrived_bytes, uint64_t total_bytes)
{
	struct loader *loader = context;
	bool has_told = loader->told_ns > loader->begin_ns;
	uint64_t now_ns = clock_ns();
	uint64_t one = 1;

	if (now_ns - loader->told_ns <
	    loader->progress_ns / (has_told ? LOADER_PROGRESS_TIMES : 1))
		return;
	loader->told_ns = now_ns;
	pthread_mutex_lock(&loader->mutex);
	loader->progress = (struct loader_progress){
		.arrived_bytes = arrived_bytes,
		.total_bytes = total_bytes,
		.ns = now_ns - loader->begin_ns,
	};
	loader->has_progress = true;
	pthread_mutex_unlock(&loader->mutex);
	(void)!write(loader->eventfd, &one, sizeof(one));
}

void loader_job_close(const struct loader_job *job)
{
	if (job->directory_fd >= 0)
		close(job->directory_fd);
	if (job->has_kept) {
		close(job->kept.model_fd);
		close(job->kept.weights_fd);
	}
}

static void load(struct loader *loader, struct loader_result *ret_result)
{
	struct loader_job *job = &loader->job;

	memset(ret_result, 0, sizeof(*ret_result));
	loader->begin_ns = clock_ns();
	loader->told_ns = loader->begin_ns;
	job->options.reader = loader->reader;
	job->options.progress = weights_arrived;
	job->options.progress_context = loader;
	job->options.kept = job->has_kept ? &job->kept : NULL;
	if (job->is_dry)
		ret_result->status = placement_new(job->directory_fd, job->name, job->number,
						   &job->options, &job->held,
						   &ret_result->placement);
	else
		ret_result->status = version_new(job->directory_fd, job->name, job->number,
						 job->model, &job->options, &ret_result->version);
	if (ret_result->status < 0)
		snprintf(ret_result->text, sizeof(ret_result->text), "%s", err_message());
	loader_job_close(job);
}

/* With the mutex, which is free during the slice and the pause; a job ends the pause. */
static void look_on(struct loader *loader)
{
	const struct engine *engine = loader->looked;
	struct engine_hash hash = loader->hash;
	uint64_t begin_ns = clock_ns();
	struct timespec until;
	uint64_t one = 1;
	bool has_more;

	loader->is_looking = true;
	pthread_mutex_unlock(&loader->mutex);
	has_more = engine_hash(engine, &hash);
	pthread_mutex_lock(&loader->mutex);
	loader->is_looking = false;
	pthread_cond_signal(&loader->paused);
	if (loader->looked != engine)
		return;
	loader->hash = hash;
	if (!has_more) {
		loader->looked = NULL;
		loader->has_look = true;
		(void)!write(loader->eventfd, &one, sizeof(one));
		return;
	}
	until = clock_timespec(clock_ns() + LOOK_PAUSES * (clock_ns() - begin_ns));
	(void)pthread_cond_timedwait(&loader->wanted, &loader->mutex, &until);
}

static void *loader_main(void *argument)
{
	struct loader *loader = argument;
	struct loader_result result;
	uint64_t one = 1;

	pthread_setname_np(pthread_self(), "hearth-load");
	pthread_mutex_lock(&loader->mutex);
	for (;;) {
		while (!loader->has_job && !loader->is_stopping && !loader->looked)
			pthread_cond_wait(&loader->wanted, &loader->mutex);
		if (!loader->has_job && loader->is_stopping)
			break;
		if (!loader->has_job) {
			look_on(loader);
			continue;
		}
		pthread_mutex_unlock(&loader->mutex);
		load(loader, &result);
		pthread_mutex_lock(&loader->mutex);
		loader->result = result;
		loader->has_result = true;
		loader->has_progress = false;
		loader->has_job = false;
		(void)!write(loader->eventfd, &one, sizeof(one));
	}
	pthread_mutex_unlock(&loader->mutex);
	return NULL;
}

static void signals_init(struct loader *loader)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&loader->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&loader->wanted, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_cond_init(&loader->paused, NULL);
}

/* What loader_start has made so far, without its thread. */
static void loader_undo(struct loader *loader)
{
	if (loader->eventfd >= 0)
		close(loader->eventfd);
	range_reader_free(loader->reader);
	pthread_cond_destroy(&loader->paused);
	pthread_cond_destroy(&loader->wanted);
	pthread_mutex_destroy(&loader->mutex);
}

int loader_start(struct loader *loader, bool wants_ring)
{
	int r;

	memset(loader, 0, sizeof(*loader));
	loader->progress_ns = LOADER_PROGRESS_NS;
	loader->eventfd = -1;
	signals_init(loader);
	r = range_reader_new(wants_ring, &loader->reader);
	if (r < 0)
		goto fail;
	loader->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loader->eventfd < 0) {
		r = err_raise(-errno, "cannot make an eventfd: %s", strerror(errno));
		goto fail;
	}
	r = pthread_create(&loader->thread, NULL, loader_main, loader);
	if (r != 0) {
		r = err_raise(-r, "cannot start the loader thread: %s", strerror(r));
		goto fail;
	}
	loader->has_thread = true;
	return 0;

fail:
	loader_undo(loader);
	return err_trace(r);
}

void loader_stop(struct loader *loader)
{
	struct loader_result result;

	if (!loader->has_thread)
		return;
	pthread_mutex_lock(&loader->mutex);
	loader->is_stopping = true;
	pthread_cond_signal(&loader->wanted);
	pthread_mutex_unlock(&loader->mutex);
	pthread_join(loader->thread, NULL);
	if (loader_take(loader, &result)) {
		version_free(result.version);
		placement_free(result.placement);
	}
	loader_undo(loader);
	loader->has_thread = false;
}

void loader_submit(struct loader *loader, const struct loader_job *job)
{
	pthread_mutex_lock(&loader->mutex);
	loader->job = *job;
	loader->has_job = true;
	pthread_cond_signal(&loader->wanted);
	pthread_mutex_unlock(&loader->mutex);
}

bool loader_take(struct loader *loader, struct loader_result *ret_result)
{
	bool has_result;

	pthread_mutex_lock(&loader->mutex);
	has_result = loader->has_result;
	if (has_result)
		*ret_result = loader->result;
	loader->has_result = false;
	pthread_mutex_unlock(&loader->mutex);
	return has_result;
}

void loader_look(struct loader *loader, const struct engine *engine)
{
	pthread_mutex_lock(&loader->mutex);
	loader->looked = engine;
	loader->hash = (struct engine_hash){ 0 };
	loader->has_look = false;
	pthread_cond_signal(&loader->wanted);
	pthread_mutex_unlock(&loader->mutex);
}

bool loader_looked(struct loader *loader, uint64_t *ret_hash)
{
	bool has_look;

	pthread_mutex_lock(&loader->mutex);
	has_look = loader->has_look;
	*ret_hash = loader->hash.value;
	loader->has_look = false;
	pthread_mutex_unlock(&loader->mutex);
	return has_look;
}

void loader_look_end(struct loader *loader, const struct engine *engine)
{
	pthread_mutex_lock(&loader->mutex);
	if (loader->looked == engine)
		loader->looked = NULL;
	while (loader->is_looking)
		pthread_cond_wait(&loader->paused, &loader->mutex);
	pthread_mutex_unlock(&loader->mutex);
}

bool loader_progress(struct loader *loader, struct loader_progress *ret_progress)
{
	bool has_progress;

	pthread_mutex_lock(&loader->mutex);
	has_progress = loader->has_progress;
	if (has_progress)
		*ret_progress = loader->progress;
	loader->has_progress = false;
	pthread_mutex_unlock(&loader->mutex);
	return has_progress;
}

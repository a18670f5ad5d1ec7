/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/models/loader.h - one thread that loads model versions, so that no loop waits for a disk, and
 * between two loads looks at weights that are there
 *
 * Owns:     its thread, the reader through which weights come, and an eventfd that the control loop
 *           polls
 * Threads:  everything here on the control thread
 * Errors:   loader_start -errno; a load's own error comes with its result
 */
#ifndef HEARTH_SERVE_MODELS_LOADER_H
#define HEARTH_SERVE_MODELS_LOADER_H

#include <pthread.h>
#include <stdbool.h>

#include "serve/models/placement.h"

struct loader_job {
	int directory_fd; /* closed by the loader; -1: what is kept is all there is */
	char name[64];
	uint32_t number;
	uint32_t model;
	struct engine_options options;
	struct engine_kept kept; /* with has_kept; its descriptors are closed by the loader */
	bool has_kept;
	bool is_dry; /* nothing is loaded: where would it lie? */
	struct placement_held held; /* with is_dry */
};

struct loader_result {
	int status; /* 0 or -errno */
	struct version *version;
	struct placement *placement; /* of a dry job; whose taker frees it */
	char text[512];
};

struct loader_progress {
	uint64_t arrived_bytes;
	uint64_t total_bytes;
	uint64_t ns; /* since the first of them was asked for */
};

/* Who waits so long for a load is told how far it is, and from then on so many times as often. */
#define LOADER_PROGRESS_NS (2 * UINT64_C(1000000000))
#define LOADER_PROGRESS_TIMES 8

struct loader {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wanted;
	pthread_cond_t paused; /* is_looking has ended */
	int eventfd; /* readable when a result or progress is there */
	struct range_reader *reader;
	uint64_t progress_ns; /* LOADER_PROGRESS_NS */
	uint64_t begin_ns;    /* the loader thread's, as is the next one */
	uint64_t told_ns;
	struct loader_progress progress;
	bool has_progress;
	struct loader_job job;
	struct loader_result result;
	const struct engine *looked; /* whose weights are hashed while there is no job; NULL: none */
	struct engine_hash hash;     /* of them so far, or with has_look of them all */
	bool is_looking; /* the thread is in a slice of them */
	bool has_look;
	bool has_thread;
	bool has_job;
	bool has_result;
	bool is_stopping;
};

/* Before the sandbox, if it is to have a ring (memory/range_reader.h). */
must_check int loader_start(struct loader *loader, bool wants_ring);
/* Waits for a load under way; frees a result that nobody took. */
void loader_stop(struct loader *loader);

/* What the loader does with a job's descriptors at its end, for a job that is not submitted. */
void loader_job_close(const struct loader_job *job);
/* One job at a time: the caller knows. */
void loader_submit(struct loader *loader, const struct loader_job *job);
bool loader_take(struct loader *loader, struct loader_result *ret_result);

/* Hashes the engine's weights while there is no job: a slice, and a pause that is longer. One engine
 * at a time; the result comes as that of a job does. */
void loader_look(struct loader *loader, const struct engine *engine);
bool loader_looked(struct loader *loader, uint64_t *ret_hash);
/* Nobody reads its weights from now on, if somebody did. */
void loader_look_end(struct loader *loader, const struct engine *engine);

/* What came since the last call; false: nothing new. */
bool loader_progress(struct loader *loader, struct loader_progress *ret_progress);

#endif

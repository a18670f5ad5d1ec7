/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/models/registry.h - which versions of which models are served, and how that changes
 *
 * Owns:     the control side of every model, the loader, the queue of jobs
 * Threads:  the control thread; the data thread is told by messages
 * Errors:   a job's error reaches who asked for it through `notify`
 *
 *     load     a version that may be pinned; current when its model has none
 *     advance  the same, and current from the moment the job ends
 *     swap     current from the moment the job ends; the version that was is
 *              retired, and freed when the last request it admitted is answered
 *     unload   one version, or all of a model; ends when the memory is free
 *
 * Jobs run one after another. Requests never wait for them: the data loop
 * learns of a version when it is warm. Where there is no room for two, a swap that
 * drains lets the version that was go first, and requests wait for the next one
 * (serve/hold.h); if that cannot be loaded the one that was is loaded again, and where that fails
 * too another version answers.
 */
#ifndef HEARTH_SERVE_MODELS_REGISTRY_H
#define HEARTH_SERVE_MODELS_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "model/repository.h"
#include "serve/data.h"
#include "serve/models/loader.h"

enum registry_state {
	REGISTRY_ABSENT,
	REGISTRY_LOADING,
	REGISTRY_SERVING,
	REGISTRY_DRAINING,
	REGISTRY_FAILED,
};

/* Of a version where it outlives the process (ops/kept.h). */
struct registry_mark {
	uint64_t id; /* names it there; 0: it does not */
	uint64_t content_hash; /* of its weights; 0: nobody has looked */
};

struct registry_version {
	uint32_t number;
	enum registry_state state;
	struct version *version;
	struct registry_mark mark;
	bool is_looked_at; /* its weights have been hashed since it is served */
	bool is_awaited; /* the job that runs ends when this one is gone */
	char error[512];
};

struct registry_model {
	char name[HEARTH_NAME_BYTES];
	uint32_t handle; /* serve/data.h */
	struct registry_version versions[DATA_VERSIONS_MAX];
	struct version *current;
	uint32_t before; /* the number of the version that was current before it; 0: none */
};

#define REGISTRY_JOBS_MAX 64

enum registry_verb {
	REGISTRY_LOAD,
	REGISTRY_SWAP,
	REGISTRY_ADVANCE,
	REGISTRY_UNLOAD,
};

/* How a load or swap is done. */
enum registry_how {
	REGISTRY_DRY = 1 << 0, /* it is not: where would it lie, and does it fit? */
	REGISTRY_DRAIN = 1 << 1, /* (swap) what it replaces goes first, and requests wait meanwhile */
	REGISTRY_BACK = 1 << 2, /* (swap) to what was current before: only told apart */
};

/* What has ended since the start, by what came of it; dry jobs are not counted. */
enum registry_change {
	REGISTRY_LOADS, /* those of the start and of reloads as well */
	REGISTRY_SWAPS,
	REGISTRY_DRAINS,
	REGISTRY_ROLLBACKS,
	REGISTRY_UNLOADS,
	REGISTRY_CHANGE_COUNT,
};
const char *registry_change_name(enum registry_change change);

struct registry_changes {
	uint64_t done;
	uint64_t failed;
};

/* Versions that have come to be served since the start, by what they were made of. */
struct registry_arrivals {
	uint64_t kept; /* over a restart (ops/kept.h) */
	uint64_t read; /* from files */
};

/* Of a swap with REGISTRY_DRAIN, from the moment when what it replaces goes. */
struct registry_drain {
	uint32_t number; /* of that version; 0: it is not so far */
	uint32_t wanted; /* what the swap is to */
	int status;	 /* why that cannot be loaded, and the other one is again; 0: it may yet */
	char text[512];
};

struct registry_job {
	struct registry_job *next;
	enum registry_verb verb;
	char name[HEARTH_NAME_BYTES];
	uint32_t number; /* 0: the newest (load), all (unload) */
	uint32_t how;    /* enum registry_how, or'ed */
	uint64_t ticket; /* the asker's; 0: nobody is told */
	uint32_t model;    /* its handle, where something of it is loaded */
	uint32_t waiting;  /* versions that must be gone before it ends (unload) */
	bool is_parked;    /* its version is still draining (load, swap) */
	bool is_planning;  /* the loader works out where its version would lie */
	uint64_t news_ns; /* of its load: from when on it is news again how far that is */
	struct registry_mark mark; /* of what it makes its version of; 0: of files */
	struct registry_drain drain;
};

enum registry_weight {
	REGISTRY_DETAIL,
	REGISTRY_NEWS,    /* a load that takes its time says how far it is */
	REGISTRY_WARNING, /* it goes on, otherwise than was wanted */
};

/* Progress, then exactly one report with is_last for each job. */
struct registry_report {
	uint64_t ticket;
	enum registry_verb verb;
	const char *name;
	uint32_t number;
	int status;
	const char *text;
	const struct placement *placement; /* of a job that was dry; else NULL */
	struct loader_progress progress; /* of a load under way; total_bytes 0: it is of something else */
	bool is_last;
	enum registry_weight weight;
};

struct registry {
	struct data *data;
	const struct repository *repository;
	struct engine_options engine;
	/* Fills in the policies of a model's tables. */
	void (*policies)(void *context, const char *name, struct engine_options *options);
	/* What is kept of a version, once: the descriptors are the caller's. False: nothing. */
	bool (*recall)(void *context, const char *name, uint32_t number,
		       struct engine_kept *ret_kept, struct registry_mark *ret_mark);
	void (*notify)(void *context, const struct registry_report *report);
	void *context;
	bool looks; /* at the weights of what serves, once, while there is no job */

	struct registry_model models[DATA_MODELS_MAX];
	uint32_t model_count; /* places that have ever been taken */
	uint32_t place_last;  /* the last one that went from one name to another */
	struct loader loader;
	struct registry_job *jobs; /* the first one runs */
	uint32_t job_count;
	struct registry_version *looked; /* whose weights the loader hashes; NULL: none */
	bool is_running;
	bool is_pumping;
	uint32_t token; /* of the message whose DONE the job waits for */
	uint32_t token_last;
	struct registry_changes changes[REGISTRY_CHANGE_COUNT];
	struct registry_arrivals arrivals;
};

/* The caller has filled in data to context. */
must_check int registry_start(struct registry *registry, bool wants_ring);
/* After the data thread has ended: frees everything. */
void registry_stop(struct registry *registry);

/* At most REGISTRY_JOBS_MAX with a ticket may wait. */
void registry_submit(struct registry *registry, enum registry_verb verb, const char *name,
		     uint32_t number, uint32_t how, uint64_t ticket);
bool registry_is_idle(const struct registry *registry);
/* There is no job: looks at the next version that nobody has looked at, if it `looks`. One whose
 * weights are not what they were is loaded again; until then it answers nothing. */
void registry_look(struct registry *registry);

/* The loader's eventfd became readable. */
void registry_loaded(struct registry *registry);
/* MESSAGE_DONE and MESSAGE_RETIRED. */
void registry_message(struct registry *registry, const struct message *message);

/* number 0: the current one. REGISTRY_E_ABSENT: it is not served. */
#define REGISTRY_E_ABSENT 1
must_check int registry_find(const struct registry *registry, const char *name, uint32_t number,
			     const struct version **ret_version, uint32_t *ret_current);

/* A file of its cold tables has changed: it is there, answers nothing, and is loaded again by whoever
 * asks for a load of it. */
bool registry_version_is_stale(const struct registry_version *slot);
bool registry_is_stale(const struct registry *registry, const char *name, uint32_t number);

/* The version at or behind *cursor, which begins as 0 and moves past it; NULL: no more. Jobs change
 * what comes. */
const struct registry_version *registry_next(const struct registry *registry, uint32_t *cursor,
					     const struct registry_model **ret_model);

/* Has a swap let the model's version go before the next one is there? `name` ends after
 * HEARTH_NAME_BYTES at the latest. */
bool registry_is_draining(const struct registry *registry, const char *name);

/* Of the version that was current before the last swap; 0: there was none. */
uint32_t registry_before(const struct registry *registry, const char *name);

/* NULL: another model has its place by now. */
const char *registry_name_of(const struct registry *registry, uint32_t handle);

const char *registry_state_name(enum registry_state state);

#endif

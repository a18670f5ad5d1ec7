/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/data.h - the data loop: takes requests from the rings, computes, answers
 *
 * Owns:     its thread, its waiter, the tables of lanes and of versions, the trace
 * Threads:  data_start, data_join and data_send on the control thread; the rest
 *           on the data thread; counters are read by both
 * Errors:   -errno of waiter_open, pthread_create, eventfd at start; none
 *           afterwards
 *
 * One pass: every hot lane (serve/intake.c), then every batch that formed
 * (serve/batcher.c), then the clients that sleep, then messages. With nothing to do for
 * as long as looking pays the loop dozes: each lane becomes cold, which its client sees and
 * then rings, and the thread sleeps in one wait for all (base/waiter.h).
 */
#ifndef HEARTH_SERVE_DATA_H
#define HEARTH_SERVE_DATA_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/error.h"
#include "base/queue.h"
#include "base/stats_page.h"
#include "base/waiter.h"
#include "exec/workers.h"
#include "memory/row_reader.h"
#include "serve/lane.h"
#include "serve/message.h"
#include "serve/spin.h"
#include "serve/times.h"
#include "serve/version.h"
#include "shm/ticks.h"

#define DATA_MODELS_MAX 256 /* a power of two */
#define DATA_VERSIONS_MAX 16 /* of one model at once */

static_assert((DATA_MODELS_MAX & (DATA_MODELS_MAX - 1)) == 0, "a handle counts on when it wraps");

/* What the data thread can have told before the control thread takes any of it: of each lane LYING
 * and CLOSED, of each version STALE and RETIRED, DONE for the one job that runs, and STOPPED. What is
 * lost would never come again: a job without its DONE keeps all later ones waiting, a lane that is not
 * CLOSED keeps its user's quota, a version that is not RETIRED its memory. */
#define DATA_REPLIES_MAX(lanes_max) \
	(2 * (lanes_max) + 2 * DATA_MODELS_MAX * DATA_VERSIONS_MAX + 2)

enum data_bell {
	DATA_BELL_FUTEX,  /* waiter_uring waits on the lane's sq_bell */
	DATA_BELL_SOCKET, /* the control thread reads the connection's socket */
};

struct rehearsal; /* serve/rehearsal.h */

struct data_options {
	uint32_t lanes_max;
	struct spin_options spin;
	bool has_one_cpu; /* what is woken runs when this thread sleeps, or at its next call */
	const struct waiter_way *way;
	enum data_bell bell;
	int node; /* whose cores run the data thread; -1: any */
	struct workers *workers; /* that compute beside it; NULL: none */
	struct stats_counters *counters; /* where the loop counts; NULL: in memory of its own */
};

/* A model's handle is its place, and in higher bits how many models had that place before it: what a
 * client has of one of those is nobody's. */
struct data_model {
	uint32_t handle; /* of the one that was here last */
	struct version *current;
	struct version *versions[DATA_VERSIONS_MAX];
	bool is_held; /* requests that find no current version wait for one */
};

struct data {
	struct data_options options;
	struct stats_counters *counters;
	struct stats_counters own_counters;
	struct queue to_data;
	struct queue to_control;
	int data_eventfd;    /* the control thread wakes this one */
	int control_eventfd; /* and the other way round; polled by the control loop */
	pthread_t thread;
	int start_result; /* of the thread's own initialisation */

	/* data thread */
	struct waiter waiter;
	struct hearth_ticks ticks;
	uint64_t now_ns; /* of this pass, and later when a batch ran in it */
	struct data_model models[DATA_MODELS_MAX];
	struct rehearsal *rehearsal; /* of versions that come in */
	struct lane **lanes; /* all that are served */
	struct lane **hot; /* scanned every pass */
	struct lane **touched; /* have new completions */
	struct version *forming; /* batches that wait to be closed */
	struct request *streams;
	struct request *held; /* in order of their arrival */
	struct request **held_last;
	uint64_t held_look_ns; /* when they were last looked at */
	struct row_reader rows;  /* of cold tables */
	struct stage *waiting;   /* for rows, in order of their closing */
	struct version *ending;  /* retired, and a batch of theirs has just run */
	struct lane *leaving;    /* closed, but for batches that wait */
	bool are_rows_watched;
	uint32_t lane_count;
	uint32_t hot_count;
	uint32_t touched_count;
	uint32_t rude_count;
	uint32_t rotation; /* the hot lane that goes first */
	struct contest contest; /* between users */
	struct times times;     /* of requests, not counted yet */
	uint64_t recheck_ns; /* when all lanes were last looked at */
	struct spin spin;
	bool is_eventfd_watched;
	uint64_t stop_ns; /* when the loop was told to end; 0: it was not */
	bool is_closed;   /* requests taken from now on are refused */
};

must_check int data_start(struct data *data, const struct data_options *options);
void data_join(struct data *data);
void data_deinit(struct data *data);

/* Control thread. Wakes the data thread. */
void data_send(struct data *data, const struct message *message);
/* Control thread. False: there is none. */
bool data_receive(struct data *data, struct message *ret_message);

/* For the rooms' other files, on the data thread. */
void data_reply(struct data *data, const struct message *message);
uint64_t data_clock_ns(struct data *data);

static inline uint32_t data_model_place(uint32_t handle)
{
	return handle % DATA_MODELS_MAX;
}

/* NULL: it is nobody's, or of a model whose place another one has. */
static inline struct data_model *data_model_find(struct data *data, uint32_t handle)
{
	struct data_model *model = data->models + data_model_place(handle);

	return model->handle == handle ? model : NULL;
}

#endif

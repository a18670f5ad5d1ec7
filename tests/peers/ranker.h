/* SPDX-License-Identifier: MIT */
/*
 * tests/peers/ranker.h - a hearthd that serves one ranking model, and a client that asks it
 *
 * On one core the daemon's data thread has that core and the client polls on another one. On two the
 * daemon has a worker for each, and the client sleeps while they compute.
 *
 * Owns:     the daemon, the connection and its requests
 * Threads:  the one that opened it
 * Errors:   `must` (crowd.h), but for ranker_open, which says why the model is refused
 */
#ifndef HEARTH_TESTS_PEERS_RANKER_H
#define HEARTH_TESTS_PEERS_RANKER_H

#include "client/hearth.h"
#include "tests/models/network.h"
#include "tests/system/appliance.h"

#define RANKER_BATCHES_MAX 64

struct ranker_plan {
	uint32_t cores; /* 1 or 2 */
	int cpu;        /* of the client, for one core */
	int cpu_other;  /* of the data thread, for one core */
};

struct ranker {
	const struct network *network;
	struct ranker_plan plan;
	struct appliance appliance;
	struct hearth *hearth;
	const struct hearth_model_info *model;
	pid_t data_thread;
	int data_cpu; /* the first one that the data thread may use */
	uint32_t request_count;
	struct hearth_request *requests[RANKER_BATCHES_MAX];
};

/* False: `text` says why hearthd does not load the model. */
bool ranker_open(struct ranker *ranker, const struct network *network, const char *directory,
		 const struct ranker_plan *plan, char text[APPLIANCE_TEXT_BYTES]);
void ranker_close(struct ranker *ranker);

/* Acquires a request for each batch and writes its inputs; what was bound before is released. */
void ranker_bind(struct ranker *ranker, const struct network_batch batches[], uint32_t count);
/* Submits one of them and waits for it, once; the scores are valid until ranker_bind. */
const float *ranker_run(struct ranker *ranker, uint32_t batch);
/* Waits until nothing of it runs. */
void ranker_rest(struct ranker *ranker);

#endif

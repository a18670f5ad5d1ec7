/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/ranking_run.h - a ranking model of tests/models in this process, and what its runs take
 *
 * Owns:     the engine and batches of its inputs
 * Threads:  one
 * Units:    ns
 * Errors:   `must` (crowd.h), but for ranking_run_open
 */
#ifndef HEARTH_TESTS_RANKING_RUN_H
#define HEARTH_TESTS_RANKING_RUN_H

#include "exec/engine.h"
#include "tests/models/network.h"
#include "tests/system/measure.h"

#define RANKING_BATCHES_MAX 64

struct ranking_run {
	struct network network;
	struct engine *engine;
	uint32_t order[NETWORK_INPUTS_MAX]; /* the network's input of each of the engine's */
	struct network_batch batches[RANKING_BATCHES_MAX];
	uint32_t batch_count; /* of a slice */
	uint32_t rows;        /* of each of them; 0: there are none */
	struct samples samples;
	struct row_status *status;
	float *scores;
	uint64_t faults; /* of pages, since ranking_run_size */
};

/* False: it is not there, or refused, which is printed. */
bool ranking_run_open(struct ranking_run *run, const char *model, struct workers *workers);
void ranking_run_close(struct ranking_run *run);

/* Slices have batches of so many rows from here on. */
void ranking_run_size(struct ranking_run *run, uint32_t rows);

/* One run of a batch. */
double ranking_run_ns(struct ranking_run *run, const struct network_batch *batch);
/* The middle of those of batches that are drawn before. */
double ranking_run_slice_ns(struct ranking_run *run);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/engine_parts.h - what the parts of the engine share; nobody else includes it
 *
 *     engine.c       life, runs, and what is told of them
 *     engine_load.c  graph, plans, weights and ways: from the model's files to what runs
 */
#ifndef HEARTH_EXEC_ENGINE_PARTS_H
#define HEARTH_EXEC_ENGINE_PARTS_H

#include "exec/cold.h"
#include "exec/engine.h"
#include "exec/spread.h"
#include "exec/weights.h"

struct engine {
	struct signature signature;
	enum numerics numerics;
	int32_t bucket_symbol; /* the free size that buckets count, -1: none */
	uint32_t rows_max;
	struct span weights;
	struct cold *cold; /* NULL: all tables are in memory */
	struct weights_arrival arrival;
	struct spread spread;
	struct dim constraints[GRAPH_CONSTRAINTS_MAX];
	uint32_t constraint_count;
	int32_t *site_inputs;
	uint32_t site_count;
};

/* Fills in a new engine, which is the caller's also on failure; every option has its value.
 * ENGINE_E_CHANGED: the files changed while they were read. */
#define ENGINE_E_CHANGED 1
must_check int engine_load(struct engine *engine, int directory_fd, const char *name,
			   const struct engine_options *options);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/engine_parts.h - what the parts of the engine share; nobody else includes it
 *
 *     engine.c           life, runs, and what is told of them
 *     engine_load.c      graph, plans, weights and ways: from the model's files to what runs
 *     engine_kept.c      what outlives the process, and what it is to be trusted for
 *     engine_replicas.c  weights that each node of the workers has
 */
#ifndef HEARTH_EXEC_ENGINE_PARTS_H
#define HEARTH_EXEC_ENGINE_PARTS_H

#include "exec/cold.h"
#include "exec/engine.h"
#include "exec/spread.h"
#include "exec/weights.h"
#include "memory/span_kept.h"

struct engine {
	struct signature signature;
	enum numerics numerics;
	int32_t bucket_symbol; /* the free size that buckets count, -1: none */
	uint32_t rows_max;
	struct span weights;
	struct span *replicas; /* by the workers' node; NULL: none are wanted */
	uint32_t replica_count;
	uint64_t tables_offset, cold_bytes; /* of struct engine_memory */
	struct cold *cold; /* NULL: all tables are in memory */
	struct weights_arrival arrival;
	struct engine_plans plans;
	struct spread spread;
	struct dim constraints[GRAPH_CONSTRAINTS_MAX];
	uint32_t constraint_count;
	int32_t *site_inputs;
	uint32_t site_count;
	struct engine_kept kept; /* descriptors are -1 where nothing is */
	struct shelf *shelf;
	struct sheet *sheets[ENGINE_SHEETS_MAX]; /* NULL: not there */
	const char *unkept;	 /* why so; NULL: it is kept */
	bool is_sealed; /* its weights: kept, or shared with other versions at least */
	bool is_outdated;
};

/* What exists while a model is loaded and is gone when it runs. */
struct loading {
	int directory_fd; /* -1: only with options.kept */
	const char *name;
	struct engine_options options;
	struct onnx_model *model;
	struct graph graph;
	struct lowering lowering;
	struct lower_policy *policies;
	struct plan plans[SPREAD_BUCKETS_MAX];
	uint32_t plan_count;
	struct weights_extent extent;
	struct span_part parts[SPAN_PARTS_MAX]; /* of the weights */
	uint32_t part_count;
	struct span_sheet sheets[WEIGHTS_SHEETS_MAX];
	struct cold_plan *cold; /* NULL: all tables are in memory */
};

/* Shall its weights be in sealed memory? Rows of cold tables come and go. */
static inline bool loading_seals(const struct loading *loading, bool keeps)
{
	if (loading->cold && loading->cold->ids_count > 0)
		return false;
	return keeps || (loading->options.shelf && loading->extent.sheet_count > 1);
}

/* Fills in a new engine, which is the caller's also on failure; every option has its value.
 * ENGINE_E_CHANGED: the files changed while they were read. */
#define ENGINE_E_CHANGED 1
must_check int engine_load(struct engine *engine, int directory_fd, const char *name,
			   const struct engine_options *options);

/* Memory for the weights, in a descriptor if they can be kept; and when they are in it. */
must_check int engine_keep_begin(struct engine *engine, struct loading *loading);
must_check int engine_keep_end(struct engine *engine, struct loading *loading);
/* Weights out of loading->options.kept. */
must_check int engine_adopt(struct engine *engine, struct loading *loading);
void engine_kept_deinit(struct engine *engine);

/* Memory for copies of the weights, before these are read: a node that has no room is no reason to
 * read them. And when they are there. */
must_check int engine_replicas_take(struct engine *engine, const struct loading *loading);
void engine_replicas_fill(struct engine *engine);
void engine_replicas_deinit(struct engine *engine);

#endif

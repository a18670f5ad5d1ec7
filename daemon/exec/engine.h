/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/engine.h - one model version, ready to run
 *
 * Owns:     weights, plans and activation memory of one version
 * Threads:  engine_new, engine_free and reads of the signature on any thread;
 *           engine_run on one thread at a time
 * Errors:   engine_new returns -errno with a sentence that names file, node,
 *           operator and what is supported; engine_run cannot fail
 *
 * engine_new reads the files, builds and freezes one plan a bucket, and warms
 * each of them by running it once on zeros. Nothing after it allocates.
 */
#ifndef HEARTH_EXEC_ENGINE_H
#define HEARTH_EXEC_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "exec/roofline.h"
#include "exec/way.h"
#include "exec/workers.h"
#include "graph/signature.h"
#include "kernels/device.h"
#include "memory/span.h"

/* What one embedding table does with ids outside it. */
struct table_policy {
	const char *table; /* the initializer's name; "*" is every table */
	enum missing missing;
	int64_t missing_row;
};

struct range_reader; /* memory/range_reader.h */
struct shelf; /* memory/shelf.h */

/* What outlives the process that loaded a model: memory that nobody can write any more. */
#define ENGINE_SHEETS_MAX 16
struct engine_kept {
	int model_fd;   /* the graph without its weights (model/onnx_kept.c) */
	int weights_fd; /* the weights as the kernels read them (memory/span_kept.h) */
	uint64_t sheets[ENGINE_SHEETS_MAX]; /* large tables, which are on the shelf */
	uint32_t sheet_count;
	uint64_t weights_bytes;
	uint64_t layout_hash; /* of all that decides what the weights' bytes mean */
	uint64_t files_hash;  /* of names, sizes, inodes and times of the model's files */
	struct roofline roofline; /* what this core does with the weights: not measured again */
};

struct engine_options {
	const struct device *device;
	uint32_t rows_max;           /* largest bucket; 0 = 4096 */
	uint64_t activation_bytes_max; /* buckets that need more are not built; 0 = 256 MiB */
	/* NUMA node of the caller's activations; those of a worker, and its replica, are on the node of
	 * the worker. -1: nothing is bound. */
	int node;
	struct place weights, tables; /* on which nodes; none: on `node` */
	bool replicates; /* each other node of the workers has the weights, too, without the tables */
	/* Not NULL: nothing is mapped and no weight is read, what it would take comes out of the
	 * budget, and the engine never runs. Its activations are the most that they may be. */
	struct span_budget *budget;
	struct tier_table *tiers;    /* where all its bytes are written down; NULL: nowhere */
	const char *owner;           /* and under which name; outlives the engine */
	const struct table_policy *policies;
	uint32_t policy_count;
	/* Tables that stay in their files, by name; "*" is every one that can. */
	const char *const *cold;
	uint32_t cold_count;
	uint64_t cold_bytes;  /* of their rows in memory; 0: a tenth of them, or what batches need */
	uint32_t cold_stages; /* batches that may wait for rows at once; 0 = 1 */
	struct workers *workers; /* outlive the engine; NULL: it computes alone */
	uint32_t chunk_rows;     /* for tests: rows of a chunk at most; 0: measured */
	enum way way;     /* for tests: the way of every run */
	struct range_reader *reader; /* brings the weights; NULL: one of the load's own */
	/* Told while weights arrive, on the loading thread; NULL: nobody. */
	void (*progress)(void *context, uint64_t arrived_bytes, uint64_t total_bytes);
	void *progress_context;
	bool keeps; /* weights go into sealed memory where they can: engine_kept */
	/* Of an earlier load; no file is read then. The engine duplicates the descriptors. */
	const struct engine_kept *kept;
	/* Where a large table that several engines have is held once, in sealed memory; NULL: each has all
	 * that it has. */
	struct shelf *shelf;
};

struct engine_memory {
	const struct span *weights;
	uint64_t tables_offset; /* in the weights, where tables and rows of cold ones begin */
	uint64_t cold_bytes;    /* of tables in their files */
	const struct span *activations; /* by the workers' node, the caller's first */
	uint32_t activation_count;
	const struct span *replicas; /* likewise; one of no bytes where the weights themselves lie */
	uint32_t replica_count;
};

/* Of its weights, what is no other memory when it goes: tables that other engines have, too, and all
 * but one of those that are alike. */
struct engine_shared {
	uint64_t bytes;
	uint64_t giant_bytes; /* of them, in pages of 1 GiB */
};

/* What the graph has become. */
struct engine_plans {
	uint32_t node_count;  /* of the file; those in bodies count once, as their node */
	uint32_t step_count;  /* of a plan: they are alike */
	uint32_t plan_count;
	uint64_t arena_bytes; /* of the largest */
};

struct engine;
struct cold; /* exec/cold.h */
struct measure; /* exec/measure.h */
struct weights_arrival; /* exec/weights.h */

/* directory_fd holds model.onnx and its external data; `name` is for messages. With options->kept
 * the descriptor may be -1, and what was kept under another layout than this daemon's is -ESTALE. */
must_check int engine_new(int directory_fd, const char *name, const struct engine_options *options,
			  struct engine **ret_engine);
void engine_free(struct engine *engine);

const struct signature *engine_signature(const struct engine *engine);
struct engine_memory engine_memory(const struct engine *engine);
struct engine_shared engine_shared(const struct engine *engine);
struct engine_plans engine_plans(const struct engine *engine);
/* How its weights came. */
const struct weights_arrival *engine_arrival(const struct engine *engine);
enum numerics engine_numerics(const struct engine *engine);

/* What another process may go on with; the descriptors are the engine's. NULL: nothing, and
 * engine_unkept says why. */
const struct engine_kept *engine_kept(const struct engine *engine);
const char *engine_unkept(const struct engine *engine);
/* What the weights' bytes come to, begun with zeroes and a slice of at most ENGINE_SLICE_BYTES at a
 * time, on any thread: whoever adopts them may compare it with what it was. False: that was all. */
#define ENGINE_SLICE_BYTES (UINT64_C(4) << 20)
struct engine_hash {
	uint64_t offset;
	uint64_t value;
};
bool engine_hash(const struct engine *engine, struct engine_hash *hash);
/* It runs on what was kept, and the files that this was once read from are not as they were. */
bool engine_is_outdated(const struct engine *engine);

/* Largest number of rows one run takes. */
uint32_t engine_rows_max(const struct engine *engine);

/* Can one run take these symbol values? */
bool engine_fits(const struct engine *engine, const int64_t symbols[SIGNATURE_SYMBOLS_MAX]);

/*
 * Runs the smallest bucket that fits. inputs[i] and outputs[i] follow the
 * signature, are 64-byte aligned and contiguous with the dims that `symbols`
 * give them. status has one element a row (symbols[row_symbol]), or a single
 * one when the rows are not independent; the caller clears it.
 *
 * Several requests in one run have their rows, and the values of their bags, one behind the other;
 * offsets are places among the values of the run.
 *
 * Where signature.request_symbol is not -1, symbols[request_symbol] requests
 * are in the run, one behind the other and none without rows: an input that
 * signature_is_of_request has as many rows, inputs[input_count] is int32 [rows],
 * the number of each row's request, and status has one element a request behind
 * those of the rows.
 */
#define ENGINE_COLD_MAX 64 /* COLD_IDS_MAX */
#define ENGINE_INPUTS_MAX (SIGNATURE_TENSORS_MAX + 1 + ENGINE_COLD_MAX)
void engine_run(struct engine *engine, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
		const void *const inputs[], void *const outputs[], struct row_status status[]);

/* Where tables are cold, inputs[input_count + 1 + index] are the ids of a stage, whose cold_begin to
 * cold_end the run is in (exec/cold.h). NULL: none are. */
struct cold *engine_cold(const struct engine *engine);

/* What was chosen at load for runs that fit as these symbols do. */
struct engine_choice {
	uint32_t chunk_rows; /* 0: rows are never cut */
	enum way way;
	uint64_t ways_ns[WAY_COUNT]; /* the shortest of a few runs; 0: not measured */
};
struct engine_choice engine_choice(struct engine *engine,
				   const int64_t symbols[SIGNATURE_SYMBOLS_MAX]);

/* The steps of a run of one row, and of a chunk; or of the smallest and the largest bucket. */
struct engine_steps {
	const struct measure *few;
	const struct measure *many; /* without steps where there is one bucket */
};
struct engine_steps engine_steps(const struct engine *engine);

/* The input that a row_status.error blames, -1 when the id was computed. */
int engine_error_input(const struct engine *engine, uint32_t error);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/spread.h - a model's runs, and how a batch is spread over them
 *
 * Owns:     runs and the arenas they share out; nothing of the workers
 * Threads:  one at a time
 * Units:    rows; ns
 * Errors:   spread_init -errno; nothing after it can fail
 *
 * Where rows are independent a batch is cut into chunks of rows whose
 * activations stay in a core's second cache, so plans and arenas are there for a
 * chunk, however large a batch may be. Each worker has runs and an arena of its
 * own. What a request has once is computed by each chunk that has rows of it; so a
 * request's numbers in the chunk and what is said of it are kept beside the arena. Values of bags
 * are the whole batch's for every chunk, whose offsets are places among them.
 * Three ways lead through a batch:
 *
 *     alone     the caller, chunk after chunk
 *     rows      whoever is free takes the next chunk: batches of one core, side by side
 *     columns   few rows, large weights: one run, whose large matrices are split by
 *               columns over the workers
 *
 * Which one is chosen by the number of rows, from what exec/warm.c measured at load; a row's bits
 * do not depend on it. A batch that does not pay for waking workers goes alone
 * while they sleep.
 *
 * Workers of several nodes take part in either way. The arena of each is on its node, and it reads
 * the replica of the weights that is there: its runs are bound to it, and in the one run of columns,
 * which is the caller's, the matrix of each part is that of who computes it. The rest of that run is
 * small, and comes from the caller's node.
 */
#ifndef HEARTH_EXEC_SPREAD_H
#define HEARTH_EXEC_SPREAD_H

#include "exec/cold.h"
#include "exec/measure.h"
#include "exec/run.h"
#include "exec/way.h"
#include "exec/workers.h"
#include "memory/span.h"

#define SPREAD_BUCKETS_MAX 34 /* powers of two up to 2^32, and rows_max itself */

/* Of the runs that have up to so many rows, or of a bucket where rows are not cut. */
struct spread_choice {
	enum way way;
	uint64_t ways_ns[WAY_COUNT]; /* 0: not measured */
	uint64_t alone_ns;             /* a guess where it was not measured */
};

struct spread_bucket {
	int64_t capacity[SIGNATURE_SYMBOLS_MAX]; /* where rows are cut, of rows and requests alone */
	struct run *runs; /* one a worker, where rows are cut; else one */
};

/* What a worker works on. */
struct spread_desk {
	char *arena; /* where rows are cut; else the caller alone has one */
	char *weights; /* those before the tables, nearest to it */
};

struct spread_options {
	const struct device *device;
	const struct signature *signature;
	const struct dim *constraints; /* what every run must fulfil: none is negative */
	uint32_t constraint_count;
	struct workers *workers; /* NULL: alone */
	enum way way;     /* for tests: the only one */
	const struct cold *cold; /* NULL: all tables are in memory */
	void *weights;
	uint64_t weights_bytes;
	uint64_t tables_offset; /* where in them the tables begin */
	const struct span *replicas; /* of those before the tables, by the workers' node; NULL, or one
				      * without an address: there is none */
	int node; /* of the caller's arena; -1: no arena is bound */
	struct tier_owner owner; /* of the activations */
	uint32_t chunk_rows; /* 0: a run is never cut */
	struct span_budget *budget; /* not NULL: it only tells what it would take and fit */
};

struct spread {
	struct spread_options options;
	int64_t capacity[SIGNATURE_SYMBOLS_MAX]; /* of a whole run */
	struct spread_bucket *buckets; /* ascending in every symbol */
	uint32_t bucket_count;
	uint32_t run_count; /* of each bucket */
	uint64_t arena_bytes; /* of each worker, what is beside it included */
	uint64_t beside_bytes; /* of these: struct chunk_requests */
	struct span *activations; /* the arenas of a node each */
	uint32_t activation_count;
	struct spread_desk *desks; /* of each worker */
	uint64_t input_row_bytes[SIGNATURE_TENSORS_MAX];
	uint64_t output_row_bytes[SIGNATURE_TENSORS_MAX];
	struct spread_choice choices[SPREAD_BUCKETS_MAX];
	struct roofline roofline;
	struct measure measures[2]; /* of the first and of the last bucket */
	bool has_columns; /* a matrix is large enough to be split */
};

/* Can the rows of such a model be cut into chunks? */
bool spread_can_cut(const struct signature *signature);

/* The plans of up to chunk_rows rows are taken, where rows are cut; else all. `spread` is for
 * spread_deinit also on failure. */
must_check int spread_init(struct spread *spread, const struct spread_options *options,
			   const struct plan plans[], uint32_t plan_count);
void spread_deinit(struct spread *spread);

bool spread_fits(const struct spread *spread, const int64_t symbols[SIGNATURE_SYMBOLS_MAX]);

/* As engine_run. */
void spread_run(struct spread *spread, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
		const void *const inputs[], void *const outputs[], struct row_status status[]);

/* One way, whatever was chosen; the workers are the caller's. */
void spread_run_so(struct spread *spread, enum way way, bool wakes,
		   const int64_t symbols[SIGNATURE_SYMBOLS_MAX], const void *const inputs[],
		   void *const outputs[], struct row_status status[]);

/* What stands for runs with these symbols. */
struct spread_choice *spread_choice_of(struct spread *spread,
				       const int64_t symbols[SIGNATURE_SYMBOLS_MAX]);

/* The smallest bucket that takes the symbols, NULL when none does. */
struct spread_bucket *spread_bucket_of(const struct spread *spread,
				       const int64_t symbols[SIGNATURE_SYMBOLS_MAX]);

#endif

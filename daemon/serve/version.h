/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/version.h - one loaded version of a model, and the batch that forms for it
 *
 * Owns:     the engine and the staging memory
 * Threads:  made and freed by the control side; between install and retire the
 *           data thread alone runs it and counts its references
 * Errors:   those of engine_new and span_map
 *
 * Inputs are copied from the clients' memory into the staging area at
 * admission, row behind row, so a plan never reads memory that a client can
 * change. Offsets of bags become places among the values of the batch
 * (serve/offsets.h). A model whose rows are not independent takes one request a batch.
 * Staging takes at most as much as activations may: a model of wide rows takes
 * fewer of them, and one of several free sizes refuses what does not fit.
 */
#ifndef HEARTH_SERVE_VERSION_H
#define HEARTH_SERVE_VERSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/histogram.h"
#include "exec/engine.h"
#include "serve/lane.h"

/* The parts of a request's time, in their order, and their sum. */
enum request_time {
	TIME_RING,    /* submitted, until it was taken from the ring; unknown to old clients */
	TIME_QUEUE,   /* until its batch closed; in it, its inputs were copied */
	TIME_BATCH,   /* until the first kernel; in it, cold rows were brought */
	TIME_EXECUTE, /* until the last */
	TIME_ANSWER,  /* until its outputs were copied and it was published */
	TIME_TOTAL,
	TIME_COUNT,
};

const char *request_time_name(enum request_time time); /* "ring", "queue", ... */

/* Why a batch ran when it did. */
enum batch_close {
	CLOSE_IDLE,  /* nothing more waited */
	CLOSE_FULL,  /* the next request did not fit */
	CLOSE_ALONE, /* it can share with none */
	CLOSE_COUNT,
};

const char *batch_close_name(enum batch_close close); /* "idle", ... */

struct version_counters {
	struct counter requests;
	struct counter rows;
	struct counter batches;
	struct counter closed[CLOSE_COUNT]; /* batches */
	struct counter answered; /* requests, with their outputs */
	struct counter refused[REASON_REQUESTS]; /* or failed, after their admission */
	struct histogram times[TIME_COUNT]; /* ns, of those that were answered */
	struct histogram batch_rows;
};

struct cold_stage; /* exec/cold.h */

/* Batches of a version with cold tables that wait for rows at once, and one that forms. */
#define VERSION_STAGES_MAX 4

struct batch {
	struct request *first; /* in order of arrival */
	struct request **last;
	uint32_t rows;
	uint32_t requests;
	int64_t symbols[SIGNATURE_SYMBOLS_MAX]; /* of all its requests together */
	bool is_full; /* its one request can share it with nobody */
	uint64_t closed_ns;
};

/* Memory of one batch: staged requests, results, and what the kernels report. */
struct stage {
	struct version *version;
	uint8_t *inputs[ENGINE_INPUTS_MAX];
	uint8_t *outputs[SIGNATURE_TENSORS_MAX];
	int32_t *row_requests;     /* [rows_max]: the number of each row's request */
	struct row_status *status; /* [2 * rows_max]: of rows, and behind them of requests */
	struct cold_stage *cold;   /* NULL: all tables are in memory */
	struct batch batch;
	struct stage *next; /* of those that wait for rows */
	bool is_waiting;
};

struct version {
	/* constant after version_new */
	char name[64];
	char owner[80]; /* name@number */
	uint32_t number;
	uint32_t model; /* handle */
	uint32_t rows_max; /* of one batch; 1 where nothing counts rows */
	uint16_t numerics;
	bool is_row_wise; /* requests share batches */
	const struct signature *signature;
	struct engine *engine;
	struct span staging;
	struct stage stages[VERSION_STAGES_MAX];
	uint32_t stage_count;
	/* Row-wise: what counts the parts of an input, rows, requests or values; else -1. */
	int32_t input_symbols[SIGNATURE_TENSORS_MAX];
	bool has_offsets; /* row-wise: an input is_offsets */
	uint64_t input_bytes_max[SIGNATURE_TENSORS_MAX]; /* staged */
	uint64_t output_bytes_max[SIGNATURE_TENSORS_MAX];
	uint64_t *output_bytes_per_row;  /* row-wise: by output */
	uint64_t *input_part_bytes;      /* row-wise: of one of what its symbol counts */

	/* data thread */
	struct stage *stage;          /* of the batch that forms, or runs */
	struct version *next_forming; /* in the list of versions whose batch is forming */
	bool is_forming;
	uint64_t row_ns;     /* of the thread, lately */
	uint32_t references; /* requests it has admitted and not finished */
	bool is_stale;       /* a cold table's file has changed: nothing is served */
	struct version *next_ending; /* in the list of those that rows_look retires */
	bool is_ending;
	bool is_retired;     /* takes no more requests; freed when references are 0 */

	struct version_counters counters;
};

/* With options.budget the version only tells what it would take. */
must_check int version_new(int directory_fd, const char *name, uint32_t number, uint32_t model,
			   const struct engine_options *options, struct version **ret_version);
void version_free(struct version *version);

/* On the data thread: the requests so far, all of them answered, were a rehearsal. */
void version_forget(struct version *version);

/* How many bytes of weights in which pages, and how they came, for a person. */
#define VERSION_TEXT_BYTES 256
void version_describe(const struct version *version, char text[VERSION_TEXT_BYTES]);

/* Can a batch have these symbols? */
bool version_fits(const struct version *version, const int64_t symbols[SIGNATURE_SYMBOLS_MAX]);

/* Bytes of output `index` under these symbols. */
uint64_t version_output_bytes(const struct version *version, uint32_t index,
			      const int64_t symbols[SIGNATURE_SYMBOLS_MAX]);
uint64_t version_input_bytes(const struct version *version, uint32_t index,
			     const int64_t symbols[SIGNATURE_SYMBOLS_MAX]);

/* The response range that a request with these symbols needs. */
uint64_t version_response_bytes(const struct version *version,
				const int64_t symbols[SIGNATURE_SYMBOLS_MAX]);

void batch_init(struct batch *batch);

/* Where a tensor may begin, in a range of a client's as in the daemon's own memory. */
static inline uint64_t version_align(uint64_t bytes)
{
	return (bytes + HEARTH_ALIGN_BYTES - 1) & ~(uint64_t)(HEARTH_ALIGN_BYTES - 1);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/cold.h - rows of cold tables are brought before a batch runs
 *
 *     cold_begin    the batch's ids become slots; rows that are not here are wanted
 *     cold_go_on    reads are started; true when every row is here, or could not be read
 *     cold_end      the batch has run
 *
 * A batch has a stage of its own from cold_begin to cold_end, so that several wait at once and
 * whoever has its rows runs. A row that two of them want is read once.
 *
 * Owns:     descriptors of the tables' files, the counts of what is in memory; the slots
 *           themselves are in the model's weights
 * Threads:  cold_new and cold_free on any, the rest on the one that runs the model; counters are
 *           read by any
 * Units:    rows; ns
 * Errors:   cold_new -errno with a sentence; a row that cannot be read is the error ROW_UNREAD of
 *           the batch's rows that want it, and nobody else's
 */
#ifndef HEARTH_EXEC_COLD_H
#define HEARTH_EXEC_COLD_H

#include "base/counter.h"
#include "base/histogram.h"
#include "exec/hot_rows.h"
#include "graph/cold.h"
#include "memory/row_reader.h"

struct cold_counters {
	struct counter hits; /* ids whose row was here, or on its way */
	struct counter misses;
	struct counter evictions;
	struct counter failures; /* rows that could not be read */
	struct counter read_bytes; /* blocks around the rows among them, where blocks are read */
	struct histogram waits;  /* ns from cold_begin to the last row, of batches that missed */
};

struct cold_options {
	const struct cold_plan *plan;
	const struct lowering *lowering;
	char *weights; /* of the model, where the lowering's weights say */
	int64_t capacity[SIGNATURE_SYMBOLS_MAX]; /* of a batch */
	uint32_t stage_count;
	struct tier_owner owner; /* of what rows are read to while it is made */
	int node;
};

struct cold;
struct cold_stage;

/* How many slots each pool gets: `bytes` are shared out as the pools' tables share theirs, and each
 * stage must be able to have a batch of `capacity`. 0 bytes: a tenth of the tables, or that. `name`
 * is for the sentence. */
must_check int cold_share(const struct cold_plan *plan, const char *name,
			  const int64_t capacity[SIGNATURE_SYMBOLS_MAX], uint32_t stage_count,
			  uint64_t bytes, uint32_t ret_slots[]);

must_check int cold_new(const struct cold_options *options, struct cold **ret_cold);
void cold_free(struct cold *cold);

struct cold_stage *cold_stage(struct cold *cold, uint32_t number);

/* What is bound as input `input_count + 1 + index` of the model, while index < cold_ids_count. */
uint32_t cold_ids_count(const struct cold *cold);
void *cold_stage_ids(const struct cold_stage *stage, uint32_t index);
/* The same, naming slots all over their pools: for a run that only measures. */
void *cold_stage_scatter(struct cold_stage *stage, uint32_t index);
/* Its bytes for each row of the batch, or for each request, where it is cut with those. */
struct cold_cut {
	uint64_t row_bytes;
	uint64_t request_bytes;
};
struct cold_cut cold_ids_cut(const struct cold *cold, uint32_t index);

void cold_begin(struct cold_stage *stage, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
		const void *const inputs[]);
/* Were any of its rows read for this batch? */
bool cold_has_read(const struct cold_stage *stage);
bool cold_go_on(struct cold_stage *stage, struct row_reader *reader);
void cold_end(struct cold_stage *stage);

/* Of every cold table of every model, as the reader gives them. */
void cold_arrive(const struct row_end *end);

/* Of the tables in their files, and of the slots for their rows. */
uint64_t cold_plan_bytes(const struct cold_plan *plan);
uint64_t cold_table_bytes(const struct cold *cold);
uint64_t cold_row_bytes(const struct cold *cold);
/* Are all of them read around the page cache? */
bool cold_is_direct(const struct cold *cold);

/* Has any of the tables' files changed since cold_new? */
bool cold_has_changed(struct cold *cold);

const struct cold_counters *cold_counters(const struct cold *cold);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/cold.h - tables of which a few rows are in memory at a time
 *
 *     cold_find    which bags read cold tables, and what their ids are
 *     cold_place   they read slots instead
 *
 * Owns:     nothing; lists are in the graph's memory
 * Threads:  one
 * Units:    rows, slots; elements of an input
 * Errors:   -EOPNOTSUPP with a sentence for a table that cannot be cold; -EINVAL for one that is
 *           not there; -ENOMEM
 *
 * Cold tables whose rows have the same length share a pool of slots. After cold_place a bag of a
 * cold table reads its pool as if that were the table, by slot numbers instead of ids: an input
 * of its own, int32, bound behind those of the file and of graph/join.h, which exec/cold.c fills
 * for each batch from the ids that the client gave.
 *
 * Slots [0, pool.cached) come and go; behind them are those of rows that stay: one for each
 * table's missing row, and one that stands for padding, whose content nobody reads.
 */
#ifndef HEARTH_GRAPH_COLD_H
#define HEARTH_GRAPH_COLD_H

#include "graph/lower.h"

#define COLD_IDS_MAX 64
#define COLD_TABLES_MAX 64
#define COLD_SLOT_INVALID INT32_MIN /* an id outside of its table */
#define COLD_SLOT_UNREAD EMBED_UNREAD

struct cold_table {
	uint32_t value; /* the constant; external to the file */
	uint32_t pool;
	int64_t rows;
};

struct cold_pool {
	int64_t dim;    /* floats of a row */
	uint32_t weight; /* the slots' memory, among the lowering's weights */
	uint32_t cached;
	uint32_t slots;
	uint32_t resident_count; /* of slots behind the cached ones, without the padding's */
};

/* Ids of one table in one step. */
struct cold_ids {
	uint32_t table;
	uint32_t input; /* of the file; ids are read there at offset + r * row_stride + i * stride */
	enum dtype dtype;
	struct poly offset;
	struct poly row_stride, stride;
	struct poly rows;  /* with `hot` ids each; with hot 0 as many ids as `count` says */
	struct poly count; /* of all ids */
	int64_t hot;
	bool is_of_rows;     /* `rows` are the batch's */
	bool is_of_requests; /* or there is one a request (graph/join.h) */
	int64_t padding_idx; /* -1: none */
	enum missing missing;
	int64_t missing_row; /* MISSING_ROW */
	uint32_t resident;   /* MISSING_ROW: the slot of that row */

	struct step *step; /* and its table's place there, until cold_place */
	uint32_t place;
};

struct cold_plan {
	struct cold_table tables[COLD_TABLES_MAX];
	struct cold_pool pools[COLD_TABLES_MAX];
	struct cold_ids ids[COLD_IDS_MAX];
	uint32_t table_count;
	uint32_t pool_count;
	uint32_t ids_count;
};

/* names: of constants; "*" is every table that can be cold. After lower(). */
must_check int cold_find(struct lowering *lowering, const char *const names[], uint32_t name_count,
			 struct cold_plan *ret_plan);

/* cached_slots: of each pool. Before weights_place. */
must_check int cold_place(struct lowering *lowering, struct cold_plan *plan,
			  const uint32_t cached_slots[]);

#endif

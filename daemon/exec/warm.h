/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/warm.h - first runs of a model: everything is touched, and what is chosen is measured
 *
 * Threads:  the one that loads; it takes the workers while nobody else has them
 * Units:    ns; a tenth of a second a model, beside some runs of each size
 * Errors:   none: what cannot be run or measured is left to the rules below
 *
 * Ids are drawn from whole tables, so that rows come from memory. Measured is
 * the shortest of a few runs; without a clock to trust (a sanitizer's build, busy
 * workers, runs that take too long) choices follow from the number of rows.
 */
#ifndef HEARTH_EXEC_WARM_H
#define HEARTH_EXEC_WARM_H

#include "exec/cold.h"
#include "exec/spread.h"

#define WARM_CHUNK_ROWS_MAX 512

struct warm_options {
	const struct lowering *lowering;
	uint64_t bytes_max;     /* of inputs and outputs of a run that only warms */
	bool measures;          /* may choose by the clock */
	struct cold *cold;      /* NULL: all tables are in memory */
	const struct roofline *roofline; /* as it was measured before; NULL: it was not */
};

/* Rows of a chunk that the second cache has room for. */
uint32_t warm_chunk_guess(const struct plan plans[], uint32_t plan_count, int32_t row_symbol);

/* The best of the spread's buckets for a chunk: the guess, unless the clock says better. The spread
 * must take WARM_CHUNK_ROWS_MAX rows, or as many as there are, in one run. */
uint32_t warm_chunk_choose(struct spread *spread, const struct warm_options *options,
			   uint32_t guess_rows);

/* More rows for a chunk where what a request has once would be a larger part of its work. */
uint32_t warm_chunk_widen(const struct lowering *lowering, const struct signature *signature,
			  uint32_t rows, uint32_t rows_max);

/* Runs each of the runs once, and chooses the ways. */
void warm_spread(struct spread *spread, const struct warm_options *options);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/measure.h - what each step of a plan moves, multiplies, should take and takes
 *
 * Owns:     the list of steps
 * Threads:  one
 * Units:    bytes and multiply-adds as graph/cost.h counts them, ns; of one run of `rows` rows
 * Errors:   none: without memory the list is empty
 */
#ifndef HEARTH_EXEC_MEASURE_H
#define HEARTH_EXEC_MEASURE_H

#include "exec/roofline.h"
#include "exec/run.h"
#include "graph/cost.h"

struct measure_step {
	const char *kernel;
	struct cost cost;
	uint64_t predicted_ns; /* at the limits of one core; 0: unknown */
	uint64_t ns; /* the shortest of a few runs, one thread; 0: not measured, or left out */
};

struct measure {
	uint32_t rows;
	uint32_t step_count;
	struct measure_step *steps; /* in running order */
};

void measure_init(struct measure *measure, const struct lowering *lowering,
		  const struct roofline *roofline, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
		  uint32_t rows);
void measure_deinit(struct measure *measure);

/* Makes the calls of a run, and remembers what each took if it never took less. */
void measure_run(struct measure *measure, const struct run_set *set);

#endif

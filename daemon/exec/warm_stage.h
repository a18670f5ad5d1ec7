/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/warm_stage.h - what a run that only warms reads and writes
 *
 * Owns:     its tensors, but for the ids of cold tables
 * Threads:  the one that loads
 * Errors:   none: where there is no memory nothing is warmed
 */
#ifndef HEARTH_EXEC_WARM_STAGE_H
#define HEARTH_EXEC_WARM_STAGE_H

#include "exec/engine.h"
#include "exec/warm.h"

struct warm_stage {
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];
	void *inputs[ENGINE_INPUTS_MAX]; /* one behind the last: all rows are of request 0 */
	void *outputs[SIGNATURE_TENSORS_MAX];
	struct row_status *status;
	uint32_t input_count;
	uint64_t seed;
};

/* As far as it goes: warm_stage_deinit is due also when it is false. */
bool warm_stage_init(struct warm_stage *stage, const struct warm_options *options,
		     const struct signature *signature, const int64_t capacity[]);

/* Ids all over the tables, other ones each time; offsets that divide the values; numbers in [-1, 1);
 * other integers stay 0. */
void warm_stage_fill(struct warm_stage *stage, const struct signature *signature,
		     const struct lowering *lowering);

void warm_stage_deinit(struct warm_stage *stage);

#endif

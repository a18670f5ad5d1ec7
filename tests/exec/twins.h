/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/twins.h - one model as its file says, and as the passes rewrote it, on the same inputs
 *
 * Owns:     both, from twins_init until twins_deinit
 */
#ifndef HEARTH_TESTS_EXEC_TWINS_H
#define HEARTH_TESTS_EXEC_TWINS_H

#include "exec/run.h"
#include "tests/model/onnx_writer.h"

struct twin {
	struct graph graph;
	struct lowering lowering;
	struct plan plan;
	struct run run;
	void *weights;
	void *arena;
};

struct twins {
	struct onnx_model *model;
	struct twin plain; /* without graph_fuse */
	struct twin fused;
	int64_t rows_max;
};

/* Frees the writer; ends the test when the model is refused. */
void twins_init(struct twins *twins, struct onnx_writer *writer, int64_t rows_max);
void twins_deinit(struct twins *twins);

uint32_t twin_count(const struct twin *twin, enum kernel kernel);

/*
 * Runs both with every free size `rows`: f32 inputs are in [-scale, scale), integers in [0, 4).
 * Every output is within `error` * (1 + |plain|) of the plain one; 0: it has the same bits,
 * but that any NaN equals any other.
 */
void twins_compare(struct twins *twins, int64_t rows, float scale, double error, uint32_t seed);

#endif

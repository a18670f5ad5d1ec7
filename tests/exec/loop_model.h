/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/loop_model.h - nn.EmbeddingBag as PyTorch's TorchScript exporter writes it: a Loop
 *
 * Inputs:   ids i64 [values], or [batch, hot] when `hot` is not 0; offsets i64 [batch], or
 *           [bounds], one more than rows, with `include_last`; weights f32 of the ids' shape when
 *           `weighted`
 * Outputs:  y f32 [rows, LOOP_DIM]
 *
 * loop_model_gather is the same net with ids [batch, hot], written with Gather.
 */
#ifndef HEARTH_TESTS_LOOP_MODEL_H
#define HEARTH_TESTS_LOOP_MODEL_H

#include <stdbool.h>

#include "tests/model/onnx_writer.h"

#define LOOP_ROWS 11
#define LOOP_DIM 5

struct loop_variant {
	int64_t opset;       /* 11 to 17 */
	const char *reduce;  /* "ReduceSum", "ReduceMean", "ReduceMax" */
	bool weighted;
	bool include_last;
	int64_t hot;         /* 0: values and offsets */
	int64_t fixed_batch; /* with `hot`: the exporter knew the batch, and folded the offsets */
};

struct onnx_writer *loop_model(const struct loop_variant *variant,
			       const float table[LOOP_ROWS * LOOP_DIM]);
struct onnx_writer *loop_model_gather(const struct loop_variant *variant,
				      const float table[LOOP_ROWS * LOOP_DIM]);

/* Inputs, the table and the output `y`, and no node yet. */
struct onnx_writer *loop_model_new(const struct loop_variant *variant,
				   const float table[LOOP_ROWS * LOOP_DIM]);

/* The Loop alone, whose ids, offsets and weights are values of those names of the writer; its
 * output is `y`. Names are made unlike by `prefix`. */
void loop_model_bag(struct onnx_writer *writer, const struct loop_variant *variant,
		    const char *prefix, const char *table, const char *ids, const char *offsets,
		    const char *weights, const char *y);

/* A column of what the ids [begin, end) give, in double precision; ids that are `padding` (-1: none) do
 * not count, weights that are NULL are 1. An empty bag is 0. */
double loop_answer(const float table[LOOP_ROWS * LOOP_DIM], const char *reduce, const int64_t ids[],
		   const float weights[], int64_t begin, int64_t end, int64_t padding, int column);

#endif

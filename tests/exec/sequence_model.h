/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/sequence_model.h - nn.EmbeddingBag as PyTorch's dynamo exporter writes it: a sequence
 *
 * Inputs:   ids i64 [values], or [batch, hot] when `hot` is not 0; offsets i64 [batch], or
 *           [bounds], one more than rows, with `include_last`; weights f32 of the ids' shape when
 *           `weighted`
 * Outputs:  y f32 [rows, LOOP_DIM], of a table of LOOP_ROWS (tests/exec/loop_model.h)
 */
#ifndef HEARTH_TESTS_SEQUENCE_MODEL_H
#define HEARTH_TESTS_SEQUENCE_MODEL_H

#include "tests/exec/loop_model.h"

/* What is wrong with a model that is nearly a bag. */
enum sequence_slip {
	SEQUENCE_RIGHT,
	SEQUENCE_AXIS,      /* the reduction is over the other axis */
	SEQUENCE_KEEP,      /* the reduction drops its axis */
	SEQUENCE_BEGIN,     /* a bag begins where the next one does */
	SEQUENCE_END,       /* a bag ends where the next but one begins */
	SEQUENCE_TRIPS,     /* one iteration less than there are bags */
	SEQUENCE_STEP,      /* every other bag */
	SEQUENCE_START,     /* the counter begins at 1 */
	SEQUENCE_FIRST,     /* it begins if there are two bags */
	SEQUENCE_ZEROS,     /* an empty bag is 1 */
	SEQUENCE_TALL,      /* an empty bag has two rows */
	SEQUENCE_EMPTY,     /* another bag decides whether this one is empty */
	SEQUENCE_POSITION,  /* the last bag comes first */
	SEQUENCE_JOIN,      /* rows side by side */
	SEQUENCE_STACK,     /* rows in a new axis */
	SEQUENCE_LENGTH,    /* the sequence's length is an output */
	SEQUENCE_COUNTER,   /* the counter's last value is an output */
	SEQUENCE_TABLE,     /* the rows are of a table that the run brings */
	SEQUENCE_LAST,      /* the last bag but one is the last */
	SEQUENCE_DIVISOR,   /* mean: the divisor is of how many offsets there are */
	SEQUENCE_GUARD,     /* mean: the last bag is divided if it has more than 5 ids */
	SEQUENCE_MEAN,      /* mean: the last bag is the largest of its rows */
	SEQUENCE_MAX,       /* max: the last bag ends with the offsets */
	SEQUENCE_NOT,       /* padding_idx: padding alone is kept */
	SEQUENCE_NEXT,      /* the id after one that is kept is taken */
	SEQUENCE_FAR,       /* every other id is looked at */
	SEQUENCE_UNTIL,     /* up to where the bag begins */
	SEQUENCE_FULL,      /* id 0 is kept before any is looked at */
	SEQUENCE_OTHER,     /* padding is looked for in another input */
	SEQUENCE_WRAP,      /* ids count from one before the end */
	SEQUENCE_WRAPS,     /* id 0 counts from the end too */
	SEQUENCE_SIZE,      /* a bag of one id is empty */
	SEQUENCE_COUNT,
};

struct sequence_variant {
	int64_t opset;      /* 18 to 21; from 20 on the loop carries its values in another order */
	const char *reduce; /* "ReduceSum", "ReduceMean", "ReduceMax" */
	bool weighted;
	bool include_last;
	int64_t hot;         /* 0: values and offsets */
	int64_t fixed_batch; /* with `hot`: the exporter knew the batch */
	bool padded;         /* the form with padding_idx */
	bool wraps;          /* in which negative ids count from the end before they are compared */
	int64_t padding_idx;
	enum sequence_slip slip;
};

struct onnx_writer *sequence_model(const struct sequence_variant *variant,
				   const float table[LOOP_ROWS * LOOP_DIM]);

#endif

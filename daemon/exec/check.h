/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/check.h - would a file load, and as what: without reading a table
 *
 * Owns:     the report's lists
 * Threads:  one
 * Units:    bytes, multiply-adds of one run of `rows` rows
 * Errors:   -ENOMEM; everything else is a sentence of the report
 */
#ifndef HEARTH_EXEC_CHECK_H
#define HEARTH_EXEC_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "graph/survey.h"
#include "kernels/device.h"

struct check_step {
	const char *kernel;
	uint64_t bytes;
	uint64_t weight_bytes;
	uint64_t multiply_adds;
};

struct check {
	struct survey survey; /* what keeps it from loading; count 0: it loads */
	char shares_not[512]; /* why requests do not share batches; "": they do */
	uint32_t operators;   /* in the file */
	uint32_t step_count;  /* in the plan */
	uint32_t entries;     /* the same, where one that dispatches on operators counts as these */
	struct check_step *steps;
	uint32_t rows;        /* that the steps' figures are for */
	uint64_t weights_bytes; /* tables and all other constants, as they lie in memory */
	uint64_t tables_bytes;  /* of these */
	uint64_t moved_bytes;
	uint64_t perfect_bytes; /* that a perfect plan moves */
};

/* `file` beneath directory_fd; `name` is for sentences. `check` is for check_deinit also when this
 * fails. */
must_check int check_model(struct check *check, int directory_fd, const char *file,
			   const char *name, uint32_t rows);
void check_deinit(struct check *check);

#endif

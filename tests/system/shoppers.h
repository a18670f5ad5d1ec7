/* SPDX-License-Identifier: MIT */
/*
 * tests/system/shoppers.h - the real rows of tests/data, and what each version scores them
 *
 * Owns:     2,500 rows, read once a process
 * Errors:   `must` (crowd.h)
 */
#ifndef HEARTH_TESTS_SYSTEM_SHOPPERS_H
#define HEARTH_TESTS_SYSTEM_SHOPPERS_H

#include <stdint.h>

#include "client/hearth.h"

#define SHOPPERS_ROWS 2500
#define SHOPPERS_INPUTS 3
#define SHOPPERS_ERROR_MAX 1e-5

/* Writes rows row_first .. row_first + rows - 1 (modulo SHOPPERS_ROWS) into the request's inputs. */
void shoppers_fill(struct hearth_request *request, const struct hearth_model_info *model,
		   uint32_t row_first, uint32_t rows);

/* The score of a row, by version 1 or 2. */
float shoppers_score(uint32_t version, uint32_t row);

/* A successful completion holds the scores of the version that it names. */
void shoppers_check(const struct hearth_completion *completion, uint32_t row_first, uint32_t rows);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tests/system/rows.h - figures in the rows that a verb answers
 *
 * Owns:     nothing
 * Threads:  any
 * Errors:   what is not there is 0
 */
#ifndef HEARTH_TESTS_SYSTEM_ROWS_H
#define HEARTH_TESTS_SYSTEM_ROWS_H

#include <jansson.h>
#include <stdint.h>

uint64_t rows_number(const json_t *rows, size_t index, const char *key);

/* How many have a string `key` that holds `part`. */
uint32_t rows_saying(const json_t *rows, const char *key, const char *part);

/* Of the rows in which each key has its value: key, value, ..., NULL. Without any: of all. */
__attribute__((sentinel)) uint64_t rows_sum(const json_t *rows, const char *number, ...);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * tests/system/zeros.h - models of any size whose weights are a file of zeros
 *
 * Owns:     nothing: the repository is the appliance's
 * Threads:  one thread at a time
 * Errors:   `must`
 */
#ifndef HEARTH_TESTS_SYSTEM_ZEROS_H
#define HEARTH_TESTS_SYSTEM_ZEROS_H

#include "appliance.h"

/* A file of the repository, of which no block is written. */
void zeros_write(const struct appliance *appliance, const char *path, uint64_t bytes);

/* Version 1 of y = table[ids] @ matrix; the table is whole rows of 32 bytes. */
void zeros_save(const struct appliance *appliance, const char *model, uint64_t table_bytes);

#endif

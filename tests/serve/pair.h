/* SPDX-License-Identifier: MIT */
/*
 * tests/serve/pair.h - versions of a model that have a large table in common
 *
 * Version 1 has the rows of table `a`; every later one adds to them those of table `b`. Each table is
 * a sheet on the shelf.
 *
 * Owns:     what pair_version returns is the caller's: version_free
 * Threads:  one; between scratch_begin and scratch_end (tests/model/scratch.h)
 */
#ifndef HEARTH_TESTS_SERVE_PAIR_H
#define HEARTH_TESTS_SERVE_PAIR_H

#include "memory/shelf.h"
#include "serve/version.h"

#define PAIR_NAME "pair"
#define PAIR_TABLE_BYTES (UINT64_C(18) << 20)

/* The test ends when it cannot be loaded, or when nothing of it is kept. */
struct version *pair_version(uint32_t number, struct shelf *shelf);

#endif

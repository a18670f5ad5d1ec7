/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/engine_fixture.h - engines of small models that a test writes
 *
 * Owns:     what fixture_engine returns is the caller's: engine_free
 */
#ifndef HEARTH_TESTS_ENGINE_FIXTURE_H
#define HEARTH_TESTS_ENGINE_FIXTURE_H

#include <stdint.h>

#include "exec/engine.h"
#include "tests/model/onnx_writer.h"

/* Saves the model in a directory of its own, loads it, removes the directory and
 * frees the writer. NULL when the model is refused: err_message() says why. */
struct engine *fixture_engine(struct onnx_writer *writer, const struct engine_options *options);

/* Runs on copies that have exactly the bytes the signature gives them (so that a
 * sanitizer sees a kernel that reads beyond), and copies the outputs back. */
void fixture_run(struct engine *engine, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
		 const void *const inputs[], void *const outputs[], struct row_status status[]);

/* Workers that wake fast and do not spin for long; the test ends when there are none. */
struct workers *fixture_workers(uint32_t count);
/* Some of them on these nodes, one a bit, which need not be there: then they have all CPUs. */
struct workers *fixture_workers_of(uint32_t count, uint64_t further);

/* Values in [-1, 1) and ids below `bound`, from a seed. */
void fixture_floats(float *values, int64_t count, uint32_t *seed);
void fixture_ids(int64_t *ids, int64_t count, int64_t bound, uint32_t *seed);

#endif

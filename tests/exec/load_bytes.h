/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/load_bytes.h - bytes are loaded as hearthd loads model.onnx, and what came of it is run
 *
 * engine_new does everything it does in a daemon: parse, import, infer, fold, fuse, prove the
 * rows, lower, plan, load weights, warm; only model.onnx itself comes from memory, and weights
 * and activations lie in blocks that a sanitizer guards. The program is linked with --wrap of
 * onnx_open, span_map and span_unmap for that. Buckets are small, so that a load is.
 *
 * Owns:     nothing; the engine is the caller's
 * Threads:  one thread at a time
 */
#ifndef HEARTH_TESTS_EXEC_LOAD_BYTES_H
#define HEARTH_TESTS_EXEC_LOAD_BYTES_H

#include <stddef.h>

#include "exec/engine.h"

#define LOAD_NAME "fuzz/1" /* begins every sentence */
#define LOAD_ROWS_MAX 4
#define LOAD_ACTIVATION_BYTES_MAX (UINT64_C(1) << 20)

/* External data is found beneath directory_fd. */
must_check int load_bytes(int directory_fd, const void *bytes, size_t byte_count,
			  struct engine **ret_engine);

/* Runs requests through the engine, with ids inside and outside their tables, and checks what
 * exec/engine.h promises: rows that count as independent score alone as they do together. Ends
 * the program with a sentence where that is broken. */
void load_exercise(struct engine *engine);

#endif

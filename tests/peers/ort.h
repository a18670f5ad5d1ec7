/* SPDX-License-Identifier: MIT */
/*
 * tests/peers/ort.h - ONNX Runtime through its C API, as somebody uses it who wants it fast
 *
 * All optimisations are on, a thread pool spins as it does by default, and every page of the tables
 * has been touched when ort_session_open returns. The library is loaded when it is asked for: the
 * file that ORT_LIBRARY names, else libonnxruntime.so.1 where the loader looks. What the program
 * needs to be built with it is the header onnxruntime_c_api.h (ORT_INCLUDE, see tools/dev/probe.sh);
 * ort_open is NULL without it, and so are the others.
 *
 * Owns:     a session its values; a batch given to ort_run is the caller's
 * Threads:  a session on one thread at a time; several sessions at once
 * Errors:   `must` (crowd.h), but for ort_open, which says why it cannot
 */
#ifndef HEARTH_TESTS_PEERS_ORT_H
#define HEARTH_TESTS_PEERS_ORT_H

#include "tests/models/network.h"

#pragma weak ort_open
#pragma weak ort_version
#pragma weak ort_session_open
#pragma weak ort_session_close
#pragma weak ort_bind
#pragma weak ort_run
#pragma weak ort_compute

struct ort_session;

/* NULL, or why there is none. */
const char *ort_open(void);
const char *ort_version(void);

/* A model's file, run by so many threads, the caller among them. */
struct ort_session *ort_session_open(const struct network *network, const char *path,
				     uint32_t threads);
void ort_session_close(struct ort_session *session);

/* Binds batches, so that a run makes no values of its own but the output. */
void ort_bind(struct ort_session *session, const struct network_batch batches[], uint32_t count);
/* Runs one of them; the scores are valid until the session's next run. */
const float *ort_run(struct ort_session *session, uint32_t batch);

/* A tensor of any type; `dtype` is a number of ONNX's TensorProto.DataType. */
#define ORT_RANK_MAX 8
struct ort_tensor {
	const char *name;
	uint32_t dtype;
	uint32_t rank;
	int64_t dims[ORT_RANK_MAX];
	void *data;
	uint64_t bytes;
};

/* Opens a model's file, runs it once, and fills in the outputs' dims, bytes and data, which are the
 * caller's to free; their names and types are given. NULL, or what ONNX Runtime refused, until the
 * next call. */
const char *ort_compute(const char *path, const struct ort_tensor inputs[], uint32_t input_count,
			struct ort_tensor outputs[], uint32_t output_count);

#endif

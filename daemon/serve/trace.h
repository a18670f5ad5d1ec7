/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/trace.h - the last requests that ended, each with where its time went
 *
 * Owns:     nothing; it lies in its caller's memory, zeroed
 * Threads:  trace_write on one; the rest on any
 * Units:    positions count requests since the start, and never wrap
 *
 * Nobody waits: the writer overwrites the oldest, and who reads one that is being overwritten is
 * told that it is gone.
 */
#ifndef HEARTH_SERVE_TRACE_H
#define HEARTH_SERVE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"
#include "serve/version.h"

#define TRACE_REQUESTS 4096 /* a power of two */
#define TRACE_WORDS 8

struct trace_request {
	uint64_t id; /* its client's: generation << 32 | slot */
	uint64_t submitted_ns; /* by its client's account, but not after it was taken */
	uint32_t ns[TIME_COUNT]; /* each at most 4.29 s */
	int32_t pid; /* of its client */
	uint32_t model; /* handle */
	uint32_t version;
	uint32_t rows;
	uint32_t batch_rows;
	int32_t status; /* 0, or -errno */
};

struct trace_slot {
	uint64_t seq; /* position + 1 of what it holds; 0: it is being written */
	uint64_t words[TRACE_WORDS]; /* a struct trace_request */
};

struct trace {
	struct counter count; /* of all that were ever written */
	struct trace_slot slots[TRACE_REQUESTS];
};

void trace_write(struct trace *trace, const struct trace_request *request);

/* False: nothing was written at this position, or it is gone. */
bool trace_read(const struct trace *trace, uint64_t position, struct trace_request *ret_request);

#endif

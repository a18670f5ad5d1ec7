/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/times.h - where the time of requests went, counted when there is time for it
 *
 * Owns:     nothing; a version that is noted must live until times_count
 * Threads:  the data thread
 * Units:    ns
 *
 * A request's times are noted behind its answer, and go into its version's histograms and into the
 * trace when the loop has nothing to do, or when there is no room for more: these are two dozen
 * cache lines, which nobody shall wait for.
 */
#ifndef HEARTH_SERVE_TIMES_H
#define HEARTH_SERVE_TIMES_H

#include "serve/trace.h"
#include "serve/version.h"

#define TIMES_NOTED_MAX 64

struct times_note {
	struct version *version;
	struct trace_request request;
};

struct times {
	struct trace *trace; /* NULL: nobody traces */
	uint32_t count;
	struct times_note notes[TIMES_NOTED_MAX];
};

/* Room for one more, which is to be filled. */
struct times_note *times_note(struct times *times);
/* Only requests that were answered go into histograms. */
void times_count(struct times *times);

#endif

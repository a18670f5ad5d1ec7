/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/times.h - where the time of answered requests went, counted when there is time for it
 *
 * Owns:     nothing; a version that is noted must live until times_count
 * Threads:  the data thread
 * Units:    ns
 *
 * A request's times are noted behind its answer and go into its version's histograms when the loop
 * has nothing to do, or when there is no room for more: five histograms are a dozen cache lines,
 * which nobody shall wait for.
 */
#ifndef HEARTH_SERVE_TIMES_H
#define HEARTH_SERVE_TIMES_H

#include "serve/version.h"

#define TIMES_NOTED_MAX 64

struct times_note {
	struct version *version;
	uint32_t ns[TIME_COUNT];
};

struct times {
	uint32_t count;
	struct times_note notes[TIMES_NOTED_MAX];
};

/* Room for one more, which is to be filled. */
struct times_note *times_note(struct times *times);
void times_count(struct times *times);

#endif

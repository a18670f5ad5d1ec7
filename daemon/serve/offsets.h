/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/offsets.h - a request's offsets among those of the requests before it in a batch
 *
 * The values of a batch's requests lie one behind the other, so each offset grows by the number of
 * values before its request. A bag ends where the next one begins, that of the next request, too:
 * only offsets that divide all values of their request, from 0 on and in order, are joined. Any
 * others are left as they are, for a run in which there is nobody else; the kernels tell there what
 * is wrong with them.
 *
 * Owns:     nothing
 * Threads:  any
 */
#ifndef HEARTH_SERVE_OFFSETS_H
#define HEARTH_SERVE_OFFSETS_H

#include <stdbool.h>
#include <stdint.h>

#include "graph/signature.h"

struct offsets {
	void *data; /* the daemon's own copy */
	enum dtype dtype; /* DTYPE_I32 or DTYPE_I64 */
	uint32_t count;
	bool has_end;   /* the last one is where the last bag ends */
	int64_t values; /* of the request */
};

/* Do they divide the values into bags? Then each grows by `first`. */
bool offsets_join(const struct offsets *offsets, int64_t first);

#endif

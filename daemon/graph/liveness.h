/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/liveness.h - places for values of which few are alive at once
 *
 * Two values share bytes only when no step lies in both lifetimes. The largest
 * is placed first, each at the lowest offset that is free while it lives.
 */
#ifndef HEARTH_GRAPH_LIVENESS_H
#define HEARTH_GRAPH_LIVENESS_H

#include <stdint.h>

#include "base/error.h"

#define LIVENESS_ALIGNMENT 64
#define LIVENESS_BYTES_MAX (1ULL << 46) /* of one value; more counts as this much */

struct lifetime {
	uint64_t bytes;
	uint32_t first; /* step that writes it first */
	uint32_t last;  /* step that reads or writes it last */
	uint64_t offset; /* the answer, a multiple of LIVENESS_ALIGNMENT */
};

must_check int liveness_assign(struct lifetime lifetimes[], uint32_t count, uint64_t *ret_bytes);

#endif

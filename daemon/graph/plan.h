/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/plan.h - the frozen plan of one bucket
 *
 * Owns:     its arrays; the entries' args stay the graph's
 * Threads:  one while it is frozen; constant afterwards
 *
 * Kernels in order, with every address an offset (into the weights or the
 * arena) or a binding of the run, and every size that depends on the run a
 * polynomial of its symbols. Arena offsets hold for symbols up to `capacity`.
 */
#ifndef HEARTH_GRAPH_PLAN_H
#define HEARTH_GRAPH_PLAN_H

#include "graph/lower.h"

enum plan_base {
	PLAN_WEIGHTS,
	PLAN_ARENA,
	PLAN_INPUT,
	PLAN_OUTPUT,
	PLAN_STATUS,
};

struct plan_entry {
	enum kernel kernel;
	const void *args;      /* what neither a pointer nor a size of the run is; the graph's */
	size_t args_bytes;
	struct poly elements; /* of all it writes; a run in which that is 0 leaves it out */
};

struct plan_pointer {
	uint32_t entry;
	uint32_t field;
	enum plan_base base;
	uint32_t index;        /* PLAN_INPUT, PLAN_OUTPUT */
	uint64_t offset_bytes; /* PLAN_WEIGHTS, PLAN_ARENA */
	struct poly shift_bytes;
};

struct plan_size {
	uint32_t entry;
	uint32_t field;
	struct poly value;
};

struct plan {
	int64_t capacity[SIGNATURE_SYMBOLS_MAX];
	uint32_t symbol_count; /* of the symbols, those behind the signature's included */
	uint64_t arena_bytes;
	struct plan_entry *entries;
	struct plan_pointer *pointers;
	struct plan_size *sizes;
	uint32_t entry_count;
	uint32_t pointer_count;
	uint32_t size_count;
};

/* Weights must have their offsets. `plan` is for plan_deinit also on failure. */
must_check int plan_init(struct plan *plan, const struct lowering *lowering,
			 const int64_t capacity[SIGNATURE_SYMBOLS_MAX]);
void plan_deinit(struct plan *plan);

#endif

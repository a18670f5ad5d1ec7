/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/run.h - a plan on real addresses
 *
 * Owns:     the args of its kernels and the lists of what a run patches in them
 * Threads:  one at a time
 *
 * The args are there twice, for the symbols of the last run and for those of the
 * last one that had others: a batch is cut into chunks of two sizes,
 * and sizes are patched only where neither set has them. Bindings are written
 * at each run. A call list has the kernels in order, without those that would
 * write nothing: a free size of 0 must not cost the product of the others.
 * Nothing here allocates after run_init or can fail.
 */
#ifndef HEARTH_EXEC_RUN_H
#define HEARTH_EXEC_RUN_H

#include "graph/plan.h"

#define RUN_SETS 2

struct run_call {
	kernel_function function;
	const void *args;
	uint32_t entry; /* of the plan */
};

struct run_entry {
	kernel_function function;
	enum kernel kernel;
	uint32_t args; /* where they lie in a set's args */
	struct poly elements;
};

struct run_size {
	uint32_t field; /* offset in a set's args */
	struct poly value;
};

/* A pointer with a fixed base whose offset follows from the symbols. */
struct run_address {
	uint32_t field;
	char *base;
	struct poly shift_bytes;
};

struct run_binding {
	uint32_t field;
	enum plan_base base; /* PLAN_INPUT, PLAN_OUTPUT, PLAN_STATUS */
	uint32_t index;
	struct poly shift_bytes;
};

/* Everything that follows from one choice of the symbols. */
struct run_set {
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];
	bool is_bound;           /* a run had them */
	char *args;              /* of all entries, each aligned */
	struct run_call *calls;
	int64_t *shifts_bytes;   /* of each binding */
	uint32_t call_count;
};

struct run {
	struct run_set sets[RUN_SETS];
	struct run_entry *entries;
	struct run_size *sizes;
	struct run_address *addresses;
	struct run_binding *bindings;
	uint32_t entry_count;
	uint32_t size_count;
	uint32_t address_count;
	uint32_t binding_count;
	uint32_t symbol_count;
	uint32_t latest; /* the set of the last run */
};

/* Where a plan's bytes are. Weights before the tables may be read from a replica. */
struct run_memory {
	void *weights;          /* those before tables_offset */
	void *whole;            /* all weights; those from tables_offset on are read here */
	uint64_t tables_offset;
	void *arena;
};

must_check int run_init(struct run *run, const struct plan *plan, const struct device *device,
			const struct run_memory *memory);

/* The calls of a run, ready to be made in order; valid until the next one of these. */
const struct run_set *run_bind(struct run *run, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
			       const void *const inputs[], void *const outputs[],
			       struct row_status status[]);

/* Binds and makes them. */
void run_execute(struct run *run, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
		 const void *const inputs[], void *const outputs[], struct row_status status[]);
void run_deinit(struct run *run);

#endif

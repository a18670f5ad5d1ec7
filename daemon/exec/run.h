/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/run.h - a plan on real addresses
 *
 * Owns:     the args of its kernels and the lists of what a run patches in them
 * Threads:  one at a time
 *
 * run_execute writes the run's bindings into the args, the sizes only when the
 * symbols differ from the last run's, and calls the kernels in order, without
 * those that would write nothing: a free size of 0 must not cost the product of
 * the others. It allocates nothing and has nothing that can fail.
 */
#ifndef HEARTH_EXEC_RUN_H
#define HEARTH_EXEC_RUN_H

#include "graph/plan.h"

struct run_entry {
	kernel_function function;
	char *args;
	struct poly elements;
	bool is_empty; /* elements is 0 under the last run's symbols */
};

struct run_size {
	int64_t *field;
	struct poly value;
};

/* A pointer with a fixed base whose offset follows from the symbols. */
struct run_address {
	char **field;
	char *base;
	struct poly shift_bytes;
};

struct run_binding {
	char **field;
	enum plan_base base; /* PLAN_INPUT, PLAN_OUTPUT, PLAN_STATUS */
	uint32_t index;
	int64_t shift_now_bytes; /* shift_bytes under the last run's symbols */
	struct poly shift_bytes;
};

struct run {
	char *args; /* of all entries, each aligned */
	struct run_entry *entries;
	struct run_size *sizes;
	struct run_address *addresses;
	struct run_binding *bindings;
	uint32_t entry_count;
	uint32_t size_count;
	uint32_t address_count;
	uint32_t binding_count;
	int64_t symbols[SIGNATURE_SYMBOLS_MAX]; /* of the last run; INT64_MIN before the first */
};

must_check int run_init(struct run *run, const struct plan *plan, const struct device *device,
			void *weights, void *arena);
void run_execute(struct run *run, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
		 const void *const inputs[], void *const outputs[], struct row_status status[]);
void run_deinit(struct run *run);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/models/placement.h - where a version's memory would lie, and what would not fit
 *
 * Owns:     what placement_new returns
 * Threads:  placement_new on the loader's, since it reads the model's graph; the rest on any
 * Units:    bytes
 * Errors:   those of version_new; that something does not fit is no error
 *
 * Worked out as version_new would do it, beside the version that it replaces or, when that is
 * drained, in its place. Nothing is mapped, and no weight is read. Activations are the most that
 * they may be: the rows of a chunk are chosen by the clock.
 */
#ifndef HEARTH_SERVE_MODELS_PLACEMENT_H
#define HEARTH_SERVE_MODELS_PLACEMENT_H

#include "serve/version.h"

/* So much of one kind on one node. */
struct placement_use {
	const char *kind; /* "weights", "tables", "replicas", "activations", "batches", "cold tables" */
	int node;         /* -1: any */
	enum span_backing pages; /* SPAN_NONE: it does not fit */
	bool is_in_file;         /* and takes no memory */
	uint64_t bytes;
};

/* One kind of memory of one node. */
struct placement_node {
	int node; /* -1: any */
	enum span_backing pages; /* SPAN_HUGE_1G, SPAN_HUGE_2M; SPAN_4K: ordinary memory */
	uint64_t free_bytes;
	uint64_t wanted_bytes;
	uint64_t held_bytes; /* by the version that it replaces */
};

struct placement {
	char name[64];
	uint32_t number;
	uint32_t held_number; /* of the version that it replaces; 0: none */
	bool is_drained;      /* that one goes first */
	struct placement_use *uses;
	uint32_t use_count;
	struct placement_node *nodes; /* those of which something is wanted or held */
	uint32_t node_count;
	char lack[512]; /* what its node lacks for the first that does not fit; "": all fits */
};

/* What the version that it replaces holds, or (drained) what is there when it has gone: copies, since
 * that one lives on another thread. */
#define PLACEMENT_SPANS_MAX (2 + 2 * WORKERS_NODES_MAX)
struct placement_held {
	uint32_t number; /* 0: there is none */
	bool is_drained;
	uint32_t span_count;
	struct span spans[PLACEMENT_SPANS_MAX];
};
struct placement_held placement_held(const struct version *version, bool is_drained);

must_check int placement_new(int directory_fd, const char *name, uint32_t number,
			     const struct engine_options *options,
			     const struct placement_held *held, struct placement **ret_placement);
void placement_free(struct placement *placement);

/* Most of a node's memory that is taken at one time. */
uint64_t placement_peak_bytes(const struct placement *placement,
			      const struct placement_node *node);

#endif

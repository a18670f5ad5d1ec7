/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/bodies/sequence_bag.h - one bag of a Loop that fills a sequence, as its body
 * computes it
 *
 * Owns:     nothing
 * Threads:  one
 *
 * The two forms are in find_sequence_bag.c, which asks whether the values around the body fit.
 */
#ifndef HEARTH_GRAPH_BODIES_SEQUENCE_BAG_H
#define HEARTH_GRAPH_BODIES_SEQUENCE_BAG_H

#include "graph/bodies/loop_bag.h"

struct sequence_bag {
	struct loop_bag bag;
	struct loop_slice slice; /* of `rows` */
	uint32_t input;  /* of the body: the sequence */
	struct dim bags; /* how many the loop counts */
	struct dim zeros[2];
	struct dim ids_count; /* where the last bag ends */
	bool has_ids_count;
	bool is_padded;
	bool ids_wrap; /* negative ones count from the end, before they are compared */
	uint32_t kept_ids; /* in which padding is looked for */
	int64_t padding_idx;
	int64_t ids_wrap_rows;
};

/* Is the name the bag of the iteration's number? `bags` is set, the values are GRAPH_NONE. */
bool sequence_bag_match(const struct loop_match *match, const char *name,
			struct sequence_bag *found);

#endif

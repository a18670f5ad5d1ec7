/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/place.h - on which nodes a range's pages lie
 *
 * Owns:     nothing
 * Threads:  any
 * Units:    bytes
 * Errors:   -EINVAL a node without memory; what mbind returns; each with a sentence
 *
 * A range of several nodes is dealt out to them in turn, in pieces of 2 MiB or more, and each piece
 * is bound to its node alone. So it is known before a page is touched what each node gives, and a
 * node that has not got it is an error: under the kernel's own interleaving the next node gives the
 * page, and nobody is told.
 *
 * Of the first pieces, however many, each node has its proportion to less than a piece, and the one
 * whose next is due first has the next. Where all are the same that is one after the other.
 *
 * Source:   Balinski & Young 1975, The Quota Method of Apportionment
 */
#ifndef HEARTH_MEMORY_PLACE_H
#define HEARTH_MEMORY_PLACE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/topology.h"

struct place {
	uint64_t nodes; /* bit n: node n; none: the kernel chooses */
	uint16_t weights[TOPOLOGY_NODES_MAX]; /* pieces of each, in proportion; 0: as 1 */
};

static_assert(TOPOLOGY_NODES_MAX <= 64, "a bit for each node");

/* -1: the kernel chooses. A machine may have more nodes than are told apart here, and a CPU be on one
 * of them: it is as -1. */
struct place place_node(int node);
/* Every node with memory. */
struct place place_all(const struct topology *topology);
/* The one node, or -1: there is none, or more than one. */
int place_only(struct place place);

/* Has each of its nodes memory? */
must_check int place_check(struct place place, const struct topology *topology);

/* What `node` gives of the first `bytes` of a range of `whole_bytes` in whole pages; of one that is
 * nobody's, 0. */
uint64_t place_share_before(struct place place, uint64_t whole_bytes, uint64_t bytes, int node);

/* Before the first page is touched. */
must_check int place_bind(struct place place, void *address, uint64_t bytes,
			  const struct topology *topology);
/* Of pages that are there: is each where it would come from? */
bool place_holds(struct place place, void *address, uint64_t bytes,
		 const struct topology *topology);

#endif

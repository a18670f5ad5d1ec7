/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/interleave.h - in which proportion what is interleaved is dealt out to nodes
 *
 * Owns:     nothing
 * Threads:  any
 * Units:    bandwidths in any unit that is the same for all nodes
 *
 * A scan of an interleaved range ends when the slowest node has given its share, and no node waits
 * for another where the shares are as the bandwidths. These are what the config says, else what the
 * kernel deals by itself where somebody has told it (weighted interleaving), else what the firmware
 * tells of each node (HMAT); where there is none of these for each node with memory, all are the same.
 */
#ifndef HEARTH_MEMORY_INTERLEAVE_H
#define HEARTH_MEMORY_INTERLEAVE_H

#include "memory/place.h"

struct interleave {
	struct place place;
	const char *source; /* "config", "kernel", "HMAT", "equal" */
};

#define INTERLEAVE_TEXT_BYTES 512

/* Of the nodes that have memory now. `configured` by node: 0 is none for that node, and none at all
 * where all of those that it names have no memory; NULL: the config says nothing. /sys is looked for
 * beneath `root`. */
struct interleave interleave_read(const char *root, const struct topology *topology,
				  const uint32_t configured[TOPOLOGY_NODES_MAX]);

/* "0:5 1:5 2:1 (HMAT)" */
const char *interleave_text(const struct interleave *interleave, char text[INTERLEAVE_TEXT_BYTES]);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/reserve.h - huge pages that are held on their nodes until a span wants them
 *
 * Owns:     the pages, and the rows that tell of them
 * Threads:  any but the data thread: a mutex, which is held while pages are cleared, by reserve_tend
 *           RESERVE_SLICE_BYTES or one page at a time
 * Units:    bytes
 * Errors:   -EINVAL a node or a size of pages that is not there; -ENOMEM a pool that has too few, with
 *           a sentence that names node, size, wanted, got and the command that mends it
 *
 * Of each pool the daemon has what was asked for: the reserve holds what spans do not have. A span
 * that will have pages of it says so right before it maps them (reserve_lend), and so many go back to
 * the kernel's pool; somebody who is faster there leaves the span to what else it can have, and that is
 * counted. When it has given its pages up (reserve_return) they are claimed again at once, so
 * that nobody else can map them, and cleared little by little (reserve_tend).
 *
 * What a process before this one has left in descriptors (memory/span_kept.h) is awaited: it counts as
 * what a span has, which takes it over or not.
 */
#ifndef HEARTH_MEMORY_RESERVE_H
#define HEARTH_MEMORY_RESERVE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/topology.h"
#include "memory/tier.h"

#define RESERVE_POOLS_MAX 128
#define RESERVE_SLICE_BYTES ((uint64_t)128 << 20)

struct reserve_want {
	int node;
	uint64_t page_bytes;
	uint64_t bytes; /* whole pages */
};

struct reserve_pool {
	struct reserve_want want;
	char *address;	     /* of want.bytes */
	uint64_t laid_bytes; /* from there on: claimed of the kernel's pool */
	uint64_t held_bytes; /* of these: there, on the node */
	uint64_t lent_bytes;
	uint64_t awaited_bytes;
	uint32_t tier_row;
};

struct reserve {
	pthread_mutex_t mutex;
	struct tier_table *tiers;
	uint64_t lost_count; /* spans whose pages somebody else was faster to take */
	uint32_t pool_count;
	struct reserve_pool pools[RESERVE_POOLS_MAX];
};

/* Of no pool. `tiers` may be NULL. */
void reserve_init(struct reserve *reserve, struct tier_table *tiers);
void reserve_deinit(struct reserve *reserve);

/* At the start, in this order: a pool, which is nobody's twice; memory that was kept; all of the pages,
 * there when it returns. */
must_check int reserve_add(struct reserve *reserve, const struct reserve_want *want,
			   const struct topology *topology);
void reserve_await(struct reserve *reserve, int fd);
must_check int reserve_fill(struct reserve *reserve);
/* What is still awaited will not come. */
void reserve_settle(struct reserve *reserve);

/* Who maps bytes in such pages has them from here on; node -1: on any, which counts as the first that
 * has a pool. `reserve` may be NULL. */
void reserve_lend(struct reserve *reserve, int node, uint64_t page_bytes, uint64_t bytes);
/* The same of bytes that were awaited. */
void reserve_adopt(struct reserve *reserve, int node, uint64_t page_bytes, uint64_t bytes);
void reserve_return(struct reserve *reserve, int node, uint64_t page_bytes, uint64_t bytes);
/* A span that did not get what it was lent. */
void reserve_lose(struct reserve *reserve);

/* What is missing, as far as it is to be had: a slice of it. */
void reserve_tend(struct reserve *reserve);

/* As topology_read, and what spans can have of the reserve, which may be NULL, is free as well. */
must_check int reserve_topology(struct reserve *reserve, struct topology *ret_topology);

/* A copy of one pool, and what of it somebody else has; false: there is no such. */
bool reserve_look(struct reserve *reserve, uint32_t index, struct reserve_pool *ret_pool,
		  uint64_t *ret_missing_bytes);

#endif

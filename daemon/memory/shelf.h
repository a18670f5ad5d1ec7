/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/shelf.h - sealed memory that several spans map: each content is there once
 *
 * Owns:     the descriptor of each sheet, until the last of its users has returned it
 * Threads:  any: a mutex, which is not held while bytes are compared
 * Units:    bytes
 * Errors:   -ENOMEM and what mmap returns, with a sentence
 *
 * Sheets of the same size and pages are compared byte by byte: two that are not alike differ soon, and two
 * that are alike are worth reading once. A number names a sheet for as long as it is there, also
 * for the processes that come after.
 */
#ifndef HEARTH_MEMORY_SHELF_H
#define HEARTH_MEMORY_SHELF_H

#include <pthread.h>
#include <stdint.h>

#include "base/error.h"
#include "memory/place.h"
#include "memory/span.h"
#include "memory/tier.h"

struct sheet {
	struct sheet *next;
	uint64_t id;
	uint64_t bytes;
	uint64_t page_bytes; /* of reserved pages; 0: it has none */
	int fd;
	uint32_t users;
	uint32_t keepers; /* of these: shelf_bring */
	uint64_t lent_bytes[1 + TOPOLOGY_NODES_MAX]; /* as its reserve counts it: not bound, by node */
};

struct shelf {
	pthread_mutex_t mutex;
	struct sheet *sheets;
	uint64_t id_last;
	struct tier_table *tiers; /* where it is written down what is looked at; NULL: nowhere */
};

void shelf_init(struct shelf *shelf, struct tier_table *tiers);
void shelf_deinit(struct shelf *shelf);

/* The sheet with the bytes of sealed `fd`: one that was there and lies in that place, and then the
 * descriptor is closed, or a new one with that descriptor. On failure it stays the caller's. */
must_check int shelf_put(struct shelf *shelf, int fd, struct place place, struct sheet **ret_sheet);
/* What a new one has of the reserve is counted here and not in the span where it begins. */
void shelf_count(struct sheet *sheet, struct span *span, uint64_t offset);
/* One more user; NULL: there is no such sheet. */
struct sheet *shelf_take(struct shelf *shelf, uint64_t id);
void shelf_return(struct shelf *shelf, struct sheet *sheet);
/* How many have it, without who only keeps it for them. */
uint32_t shelf_users(struct shelf *shelf, const struct sheet *sheet);

/* A sheet of an earlier process, which stays until shelf_settle also without a user. The descriptor
 * is the shelf's, or closed; -1: it is lost, and the number is nobody's. */
void shelf_bring(struct shelf *shelf, uint64_t id, int fd);
void shelf_settle(struct shelf *shelf);

#endif

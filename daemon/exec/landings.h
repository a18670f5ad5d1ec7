/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/landings.h - memory for what is read, and packed before it is in place
 *
 * Owns:     memory of its own, where it was given none
 * Threads:  one
 * Units:    bytes
 * Errors:   -ENOMEM with a sentence
 *
 * All are equally large and begin a page. Memory of a load that is to be read last serves well: it
 * is mapped and registered already. They lie at its end, so that its begin can be read meanwhile.
 */
#ifndef HEARTH_EXEC_LANDINGS_H
#define HEARTH_EXEC_LANDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define LANDINGS_MAX 16

struct landings {
	uint8_t *memory;
	uint8_t *own; /* to be freed */
	uint64_t bytes; /* of each */
	uint32_t count;
	bool is_taken[LANDINGS_MAX];
};

/* For `count` tensors of at most `bytes`, whose pages may begin and end with others' bytes. Of the
 * `host_bytes` at `host` the second half is used, or as much as two of them take. */
must_check int landings_init(struct landings *landings, uint64_t count, uint64_t bytes,
			     uint8_t *host, uint64_t host_bytes);
void landings_deinit(struct landings *landings);

/* The last one that is free; NULL: all are taken. */
uint8_t *landings_take(struct landings *landings);
void landings_give(struct landings *landings, const uint8_t *landing);
/* Of those in the host's memory that are taken the first one; NULL: there are none. */
const uint8_t *landings_begin(const struct landings *landings);

#endif

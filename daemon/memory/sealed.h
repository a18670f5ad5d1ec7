/* SPDX-License-Identifier: MIT */
/*
 * daemon/memory/sealed.h - bytes in a descriptor that nobody can change any more
 *
 * Owns:     the caller owns descriptors and maps
 * Threads:  any
 * Errors:   -ENOMEM and what memfd_create and write return; -EINVAL a descriptor that is no memory,
 *           or that could be changed; each with a sentence that begins with `name`
 */
#ifndef HEARTH_MEMORY_SEALED_H
#define HEARTH_MEMORY_SEALED_H

#include <stdint.h>

#include "base/error.h"
#include "base/topology.h"

/* The pages that a descriptor's memory is reserved in; 0: in none. */
uint64_t sealed_page_bytes(int fd);

/* A memfd with a copy of them, sealed against writing and another size. */
must_check int sealed_new(const char *name, const void *bytes, uint64_t byte_count, int *ret_fd);

/* From here on no byte of it can be written, and none comes or goes. -errno without a sentence;
 * -EBUSY: it is still mapped to be written, or its pages are in use. */
must_check int sealed_end(int fd);

/* Is it memory that is sealed so? */
must_check int sealed_check(int fd, const char *name, uint64_t *ret_bytes);

/* To read. sealed_unmap takes what it gave. */
must_check int sealed_map(int fd, const char *name, const void **ret_bytes,
			  uint64_t *ret_byte_count);
void sealed_unmap(const void *bytes, uint64_t byte_count);

/* How much of it lies on which node. */
must_check int sealed_nodes(int fd, const char *name, uint64_t ret_bytes[TOPOLOGY_NODES_MAX]);

#endif

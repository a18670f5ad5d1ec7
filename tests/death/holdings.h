/* SPDX-License-Identifier: MIT */
/*
 * tests/death/holdings.h - what a daemon holds for its clients, as it and the kernel count it
 *
 * Errors:   `must` (crowd.h)
 */
#ifndef HEARTH_TESTS_SYSTEM_HOLDINGS_H
#define HEARTH_TESTS_SYSTEM_HOLDINGS_H

#include <stdint.h>

#include "tests/system/appliance.h"

struct holdings {
	uint64_t clients;
	uint64_t lanes;         /* rows of `mem` that are a client's */
	uint64_t lanes_bytes;   /* in them */
	uint64_t descriptors;
	uint64_t segments;      /* mappings of clients' memory */
	uint64_t shared_bytes;  /* pages of shared memory in its maps */
	uint64_t private_bytes; /* pages of its own: its heap may keep some */
};

struct holdings holdings_read(const struct appliance *appliance);

/* Waits until it holds as much as then, with `private_bytes_more` at most of its own pages more;
 * what is still too much after CROWD_PATIENCE_NS is a leak. */
void holdings_await(const struct appliance *appliance, const struct holdings *then,
		    uint64_t private_bytes_more);

#endif

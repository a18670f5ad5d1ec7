/* SPDX-License-Identifier: MIT */
/*
 * tests/system/footprint.h - what a daemon has in memory, as the kernel counts it, and as it says itself
 *
 * Owns:     nothing
 * Threads:  one
 * Units:    bytes
 * Errors:   what cannot be read ends the test with a sentence
 */
#ifndef HEARTH_TESTS_SYSTEM_FOOTPRINT_H
#define HEARTH_TESTS_SYSTEM_FOOTPRINT_H

#include <stdint.h>

#include "appliance.h"

#define FOOTPRINT_NODES 64

enum footprint_pages {
	FOOTPRINT_ORDINARY,
	FOOTPRINT_2M,
	FOOTPRINT_1G,
	FOOTPRINT_PAGES,
};

struct footprint {
	uint64_t resident_bytes[FOOTPRINT_NODES][FOOTPRINT_PAGES];
	uint64_t lanes_bytes; /* of clients' segments */
	uint64_t heap_bytes;
	uint64_t rings_bytes;
	uint64_t all_bytes;
	uint64_t unaccounted_bytes; /* of the daemon's own words */
};

/* From /proc/PID/numa_maps. */
struct footprint footprint_read(const struct appliance *appliance);
/* From the verb mem: the sums of its rows, `all` being the sum that it tells. */
struct footprint footprint_told(const struct appliance *appliance);

/* From here on no daemon that is started has transparent huge pages: where they come unasked its heap
 * has whole ones, and more of them from look to look, whatever it has in use. */
void footprint_small(void);

/* Loads and unloads the models `names` (NULL at the end) so often: what the daemon has of ordinary
 * memory, of huge pages and of descriptors does not grow. Wants footprint_small before. */
void footprint_stays(const struct appliance *appliance, const char *const names[], uint64_t turns);

#endif

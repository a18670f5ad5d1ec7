/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/hash.c - words multiplied into lanes
 *
 * A multiplication waits for the one before it, so four lanes take turns. A product by an odd number
 * loses nothing of a word, and the shift brings its upper half down to where the next product
 * spreads it again.
 */
#include "base/hash.h"

#include <string.h>

#define LANES 4
#define ODD UINT64_C(0xd1342543de82ef95)

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * ODD;
	return hash ^ hash >> 32;
}

uint64_t hash_bytes(const void *bytes, uint64_t byte_count)
{
	const uint8_t *from = bytes;
	uint64_t lanes[LANES] = { 1, 2, 3, 4 };
	uint64_t hash = byte_count;
	uint64_t left;
	uint64_t word;

	for (left = byte_count; left >= sizeof(lanes); left -= sizeof(lanes)) {
		for (uint32_t lane = 0; lane < LANES; lane++) {
			memcpy(&word, from, sizeof(word));
			lanes[lane] = mix(lanes[lane], word);
			from += sizeof(word);
		}
	}
	for (uint32_t lane = 0; lane < LANES; lane++)
		hash = mix(hash, lanes[lane]);
	while (left > 0) {
		uint64_t part = left < sizeof(word) ? left : sizeof(word);

		word = 0;
		memcpy(&word, from, part);
		hash = mix(hash, word);
		from += part;
		left -= part;
	}
	return mix(hash, ODD);
}

/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/hash.h - a number that changes when bytes do
 *
 * 64 bits against damage, not against whoever wants two texts to have the same. The same bytes have
 * the same number in every build for a machine of the same byte order.
 */
#ifndef HEARTH_BASE_HASH_H
#define HEARTH_BASE_HASH_H

#include <stdint.h>

uint64_t hash_bytes(const void *bytes, uint64_t byte_count);

#endif

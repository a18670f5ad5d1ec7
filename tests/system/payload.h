/* SPDX-License-Identifier: MIT */
/*
 * tests/system/payload.h - bytes that a measured message carries: one value, another one each turn
 *
 * Writing and checking them costs the same wherever they lie, and touches every one of them, as a
 * program with something to say would.
 */
#ifndef HEARTH_TESTS_SYSTEM_PAYLOAD_H
#define HEARTH_TESTS_SYSTEM_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t payload_words __attribute__((vector_size(64), aligned(1), may_alias));

static inline uint8_t payload_byte(uint64_t turn)
{
	return (uint8_t)(turn * 0x9d + 1); /* odd: 256 turns, 256 values */
}

static inline void payload_write(void *memory, size_t bytes, uint64_t turn)
{
	memset(memory, payload_byte(turn), bytes);
}

/* Any part of it may be checked by itself. */
static inline bool payload_check(const void *memory, size_t bytes, uint64_t turn)
{
	const uint8_t *at = memory;
	const uint64_t word = payload_byte(turn) * UINT64_C(0x0101010101010101);
	payload_words sum = { 0 };
	uint64_t difference = 0;
	uint32_t index;

	for (; bytes >= sizeof(sum); bytes -= sizeof(sum), at += sizeof(sum))
		sum |= *(const payload_words *)at ^ word;
	for (index = 0; index < sizeof(sum) / sizeof(word); index++)
		difference |= sum[index];
	for (; bytes > 0; bytes--, at++)
		difference |= *at ^ (uint8_t)word;
	return difference == 0;
}

#endif

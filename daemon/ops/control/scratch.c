/* SPDX-License-Identifier: MIT */
/* daemon/ops/control/scratch.c - a pointer that moves forward, and back when nothing lives */
#include "ops/control/scratch.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#define BLOCK_BYTES (UINT32_C(1) << 20)
#define ALIGN_BYTES 16u

static struct scratch {
	uint8_t *block;
	size_t used_bytes;
	uint32_t live_count;
} scratch;

static void *scratch_malloc(size_t bytes)
{
	size_t rounded_bytes = (bytes + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
	void *memory;

	if (bytes > BLOCK_BYTES || rounded_bytes > BLOCK_BYTES - scratch.used_bytes)
		return malloc(bytes);
	memory = scratch.block + scratch.used_bytes;
	scratch.used_bytes += rounded_bytes;
	scratch.live_count++;
	return memory;
}

static void scratch_free(void *memory)
{
	uintptr_t address = (uintptr_t)memory;
	uintptr_t begin = (uintptr_t)scratch.block;

	if (address < begin || address >= begin + BLOCK_BYTES)
		free(memory);
	else if (--scratch.live_count == 0)
		scratch.used_bytes = 0;
}

void scratch_init(void)
{
	scratch.block = malloc(BLOCK_BYTES);
	if (scratch.block)
		json_set_alloc_funcs(scratch_malloc, scratch_free);
}

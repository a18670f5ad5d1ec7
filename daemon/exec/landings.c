/* SPDX-License-Identifier: MIT */
/* daemon/exec/landings.c - memory for what is read, and packed before it is in place */
#include "exec/landings.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "exec/weights_parts.h"
#include "model/onnx.h"

#define HUGE_BYTES (UINT64_C(2) << 20)
#define OWN_BYTES_MAX (UINT64_C(64) << 20) /* where two do not take more */

static uint32_t count_within(uint64_t bytes, uint64_t landing_bytes)
{
	uint64_t count = bytes / landing_bytes;

	return count < LANDINGS_MAX ? (uint32_t)count : LANDINGS_MAX;
}

/* In huge pages, if there are some: a read into small ones is cut into many. */
static uint8_t *memory_new(uint64_t bytes)
{
	uint8_t *memory = aligned_alloc(HUGE_BYTES, round_up(bytes, HUGE_BYTES));

	if (memory)
		(void)madvise(memory, round_up(bytes, HUGE_BYTES), MADV_HUGEPAGE);
	return memory;
}

int landings_init(struct landings *landings, uint64_t count, uint64_t bytes, uint8_t *host,
		  uint64_t host_bytes)
{
	uint32_t enough = count < 2 ? (uint32_t)count : 2; /* one is packed while the next one comes */

	*landings = (struct landings){ .bytes = round_up(bytes, ONNX_PAGE_BYTES) + ONNX_PAGE_BYTES };
	if (count == 0)
		return 0;
	landings->count = count_within(host_bytes / 2, landings->bytes);
	if (landings->count < enough && count_within(host_bytes, landings->bytes) >= enough)
		landings->count = enough;
	if (landings->count < enough) {
		host = NULL;
		landings->count = count_within(OWN_BYTES_MAX, landings->bytes);
	}
	if (landings->count < enough)
		landings->count = enough;
	if (landings->count > count)
		landings->count = (uint32_t)count;
	if (host)
		landings->memory = host + (host_bytes - landings->count * landings->bytes) /
						  ONNX_PAGE_BYTES * ONNX_PAGE_BYTES;
	else
		landings->memory = landings->own = memory_new(landings->count * landings->bytes);
	if (!landings->memory)
		return err_raise(-ENOMEM, "no memory to read %u tensors of %llu bytes to",
				 landings->count, (unsigned long long)bytes);
	return 0;
}

void landings_deinit(struct landings *landings)
{
	free(landings->own);
	*landings = (struct landings){ .count = 0 };
}

uint8_t *landings_take(struct landings *landings)
{
	for (uint32_t index = landings->count; index-- > 0;)
		if (!landings->is_taken[index]) {
			landings->is_taken[index] = true;
			return landings->memory + index * landings->bytes;
		}
	return NULL;
}

void landings_give(struct landings *landings, const uint8_t *landing)
{
	landings->is_taken[(uint64_t)(landing - landings->memory) / landings->bytes] = false;
}

const uint8_t *landings_begin(const struct landings *landings)
{
	for (uint32_t index = 0; index < landings->count; index++)
		if (landings->is_taken[index] && !landings->own)
			return landings->memory + index * landings->bytes;
	return NULL;
}

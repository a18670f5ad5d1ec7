/* SPDX-License-Identifier: MIT */
/* daemon/graph/liveness.c - places for values of which few are alive at once */
#include "graph/liveness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_size(const void *left, const void *right)
{
	const struct lifetime *a = *(struct lifetime *const *)left;
	const struct lifetime *b = *(struct lifetime *const *)right;

	if (a->bytes != b->bytes)
		return a->bytes > b->bytes ? -1 : 1;
	return a < b ? -1 : a > b;
}

static uint64_t padded(uint64_t bytes)
{
	if (bytes > LIVENESS_BYTES_MAX)
		bytes = LIVENESS_BYTES_MAX;
	if (bytes == 0)
		bytes = 1;
	return (bytes + LIVENESS_ALIGNMENT - 1) & ~(uint64_t)(LIVENESS_ALIGNMENT - 1);
}

/* Takes the lowest gap among the placed ones, which are in order of offset. */
static void place(struct lifetime **placed, uint32_t placed_count, struct lifetime *lifetime)
{
	uint64_t bytes = padded(lifetime->bytes);
	uint64_t offset = 0;
	uint32_t before = 0;

	for (uint32_t index = 0; index < placed_count; index++) {
		const struct lifetime *other = placed[index];
		uint64_t end = other->offset + padded(other->bytes);

		if (other->last < lifetime->first || lifetime->last < other->first)
			continue;
		if (other->offset >= offset && other->offset - offset >= bytes)
			break;
		if (end > offset)
			offset = end;
	}
	lifetime->offset = offset;
	while (before < placed_count && placed[before]->offset <= offset)
		before++;
	memmove(&placed[before + 1], &placed[before],
		(placed_count - before) * sizeof(struct lifetime *));
	placed[before] = lifetime;
}

int liveness_assign(struct lifetime lifetimes[], uint32_t count, uint64_t *ret_bytes)
{
	struct lifetime **order;
	struct lifetime **placed;
	uint64_t total = 0;

	if (count == 0) {
		*ret_bytes = 0;
		return 0;
	}
	order = calloc(2 * (size_t)count, sizeof(struct lifetime *));
	if (!order)
		return err_raise(-ENOMEM, "no memory to place %u values", count);
	placed = order + count;
	for (uint32_t index = 0; index < count; index++)
		order[index] = &lifetimes[index];
	qsort(order, count, sizeof(struct lifetime *), by_size);
	for (uint32_t index = 0; index < count; index++) {
		uint64_t end;

		place(placed, index, order[index]);
		end = order[index]->offset + padded(order[index]->bytes);
		if (end > total)
			total = end;
	}
	free(order);
	*ret_bytes = total;
	return 0;
}

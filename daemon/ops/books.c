/* SPDX-License-Identifier: MIT */
/* daemon/ops/books.c - heap, image and stacks: memory that nobody asked for by name */
#include "ops/books.h"

#include <malloc.h>
#include <string.h>
#include <sys/mman.h>

#include "memory/mapping.h"

void books_gather_heap(void)
{
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_ARENA_MAX, 1);
}

struct census {
	struct tier_table *tiers;
	int result;
};

static void map_visit(void *context, const struct mapping *map)
{
	struct census *census = context;
	const struct tier_owner owner = { census->tiers, "program and libraries", TIER_CODE };
	uint64_t bytes = map->end - map->begin;
	uint32_t row;

	if (census->result == 0 && map->name[0] == '\0')
		census->result = tier_add_range(&owner, (void *)map->begin, TIER_WHAT_IS_THERE, bytes,
						-1, &row);
}

int books_open(struct tier_table *tiers)
{
	struct census census = { .tiers = tiers };
	int r;

	r = mapping_each(map_visit, &census);
	if (r == 0)
		r = census.result;
	return err_trace(r);
}

int books_add_stack(struct tier_table *tiers, pthread_t thread, const char *name)
{
	const struct tier_owner owner = { tiers, name, TIER_STACKS };
	pthread_attr_t attributes;
	uint32_t row;
	void *address;
	size_t bytes;
	int r;

	r = pthread_getattr_np(thread, &attributes);
	if (r != 0)
		return err_raise(-r, "the stack of the %s cannot be found: %s", name, strerror(r));
	pthread_attr_getstack(&attributes, &address, &bytes);
	pthread_attr_destroy(&attributes);
	/* With an advice of its own the kernel does not make one mapping of it and its neighbour. */
	(void)madvise(address, bytes, MADV_NOHUGEPAGE);
	return err_trace(tier_add_range(&owner, address, TIER_WHAT_IS_THERE, bytes, -1, &row));
}

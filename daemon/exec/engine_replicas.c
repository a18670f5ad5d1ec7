/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/engine_replicas.c - weights that each node of the workers has
 *
 * A replica is memory of this process, and never kept: after a restart it is copied again from the
 * weights, which costs no read of a file. Tables have none, since they are what takes the room.
 */
#include "engine_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where the weights lie, or will. */
static struct place place_of(const struct engine *engine, const struct loading *loading)
{
	return engine->weights.part_count > 0 ? engine->weights.parts[0].place
					      : loading->parts[0].place;
}

static int replica_take(struct engine *engine, const struct loading *loading, int node,
			struct span *replica)
{
	const struct engine_options *options = &loading->options;
	const struct tier_owner owner = { options->tiers, options->owner, TIER_REPLICAS };
	int r;

	r = span_take(options->budget, &owner, engine->tables_offset,
		      options->node < 0 ? -1 : node, 1, replica);
	if (r < 0)
		return err_raise(r, "%s: a replica of its weights on node %d: %s; or "
				 "weights = local", loading->name, node, err_message());
	return 0;
}

int engine_replicas_take(struct engine *engine, const struct loading *loading)
{
	const struct engine_options *options = &loading->options;
	int home = place_only(place_of(engine, loading));
	uint32_t node_count = workers_node_count(options->workers);
	int r;

	if (!options->replicates || engine->tables_offset == 0 || node_count == 1)
		return 0;
	engine->replicas = calloc(node_count, sizeof(engine->replicas[0]));
	if (!engine->replicas)
		return err_raise(-ENOMEM, "%s: no memory for its replicas", loading->name);
	engine->replica_count = node_count;
	for (uint32_t index = 0; index < node_count; index++) {
		int node = index > 0 ? workers_node(options->workers, index) : options->node;

		if (node < 0 || node == home)
			continue;
		r = replica_take(engine, loading, node, &engine->replicas[index]);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

void engine_replicas_fill(struct engine *engine)
{
	for (uint32_t index = 0; index < engine->replica_count; index++)
		if (engine->replicas[index].address)
			memcpy(engine->replicas[index].address, engine->weights.address,
			       engine->tables_offset);
}

void engine_replicas_deinit(struct engine *engine)
{
	for (uint32_t index = 0; index < engine->replica_count; index++)
		span_unmap(&engine->replicas[index]);
	free(engine->replicas);
}

/* SPDX-License-Identifier: MIT */
/* daemon/serve/models/placement.c - a planned version's spans, by kind and by node */
#include "serve/models/placement.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX (TOPOLOGY_NODES_MAX + 1) /* and what is bound to none */
#define USES_MAX (6 * 2 * NODES_MAX) /* of each kind, in pages of 1 GiB and in others */

/* What is known while it is made. */
struct survey {
	struct placement *placement;
	struct span_budget budget;
	struct topology had; /* before anything was taken from the budget */
};

static void held_add(struct placement_held *held, const struct span spans[], uint32_t count)
{
	memcpy(held->spans + held->span_count, spans, count * sizeof(spans[0]));
	held->span_count += count;
}

struct placement_held placement_held(const struct version *version, bool is_drained)
{
	struct placement_held held = { .is_drained = is_drained };
	struct engine_shared shared;
	struct engine_memory memory;

	if (!version)
		return held;
	memory = engine_memory(version->engine);
	held.number = version->number;
	held_add(&held, memory.weights, 1);
	if (is_drained) {
		shared = engine_shared(version->engine);
		span_shorten(&held.spans[0], shared.bytes, shared.giant_bytes);
	}
	held_add(&held, memory.activations, memory.activation_count);
	if (memory.replica_count > 0)
		held_add(&held, memory.replicas, memory.replica_count);
	held_add(&held, &version->staging, 1);
	return held;
}

uint64_t placement_peak_bytes(const struct placement *placement, const struct placement_node *node)
{
	if (!placement->is_drained)
		return node->held_bytes + node->wanted_bytes;
	return node->held_bytes > node->wanted_bytes ? node->held_bytes : node->wanted_bytes;
}

/* --- by kind ------------------------------------------------------------------------------------------ */

static void use_add(struct placement *placement, const char *kind, int node,
		    enum span_backing pages, uint64_t bytes)
{
	if (bytes > 0)
		placement->uses[placement->use_count++] = (struct placement_use){
			.kind = kind, .node = node, .pages = pages, .bytes = bytes,
		};
}

/* Bytes of the span, and which of them are in pages of 1 GiB. */
static void share_add(struct placement *placement, const char *kind, int node,
		      const struct span *span, uint64_t bytes, uint64_t giant_bytes)
{
	use_add(placement, kind, node, SPAN_HUGE_1G, giant_bytes);
	use_add(placement, kind, node, span->backing, bytes - giant_bytes);
}

static void spans_add(struct placement *placement, const char *kind, const struct span spans[],
		      uint32_t count)
{
	uint32_t index;
	int node;

	for (index = 0; index < count; index++)
		for (node = -1; node < TOPOLOGY_NODES_MAX; node++)
			share_add(placement, kind, node, &spans[index],
				  span_share(&spans[index], node),
				  span_giant_share(&spans[index], UINT64_MAX, node));
}

/* What stands before the tables, in a part of its own or in the same one. */
static uint64_t before_tables(const struct engine_memory *memory)
{
	const struct span *span = memory->weights;

	return span->part_count == 1 && memory->tables_offset < span->bytes ? memory->tables_offset
									     : span->parts[0].bytes;
}

static void weights_add(struct placement *placement, const struct engine_memory *memory)
{
	const struct span *span = memory->weights;
	uint64_t before = before_tables(memory);
	int node;

	for (node = -1; node < TOPOLOGY_NODES_MAX; node++) {
		uint64_t giants = span_giant_share(span, before, node);
		uint64_t bytes = span_share_before(span, before, node);

		share_add(placement, "weights", node, span, bytes, giants);
		share_add(placement, "tables", node, span, span_share(span, node) - bytes,
			  span_giant_share(span, UINT64_MAX, node) - giants);
	}
}

static void uses_add(struct placement *placement, const struct version *version)
{
	struct engine_memory memory = engine_memory(version->engine);

	weights_add(placement, &memory);
	spans_add(placement, "replicas", memory.replicas, memory.replica_count);
	spans_add(placement, "activations", memory.activations, memory.activation_count);
	spans_add(placement, "batches", &version->staging, 1);
	use_add(placement, "cold tables", -1, SPAN_NONE, memory.cold_bytes);
	if (memory.cold_bytes > 0)
		placement->uses[placement->use_count - 1].is_in_file = true;
}

/* --- by node ------------------------------------------------------------------------------------------ */

/* Pools, and ordinary memory, which has pages of any size. */
static const enum span_backing kinds[] = { SPAN_HUGE_1G, SPAN_HUGE_2M, SPAN_4K };
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static uint64_t node_free(const struct topology *topology, int node, enum span_backing kind)
{
	uint64_t page_bytes = kind == SPAN_HUGE_1G ? SPAN_GIANT_BYTES : SPAN_PART_BYTES;

	if (kind == SPAN_4K)
		return topology_available(topology, node);
	return topology_pools(topology, node, page_bytes).free_pages * page_bytes;
}

/* What fits nowhere is wanted of ordinary memory. */
static enum span_backing kind_of(enum span_backing pages)
{
	return pages == SPAN_HUGE_1G || pages == SPAN_HUGE_2M ? pages : SPAN_4K;
}

static uint64_t node_held(const struct placement_held *held, int node, enum span_backing kind)
{
	uint64_t bytes = 0;
	uint32_t index;

	for (index = 0; index < held->span_count; index++) {
		const struct span *span = &held->spans[index];
		uint64_t giants = span_giant_share(span, UINT64_MAX, node);

		if (kind == SPAN_HUGE_1G)
			bytes += giants;
		else if (kind_of(span->backing) == kind)
			bytes += span_share(span, node) - giants;
	}
	return bytes;
}

static uint64_t node_wanted(const struct placement *placement, int node, enum span_backing kind)
{
	uint64_t bytes = 0;
	uint32_t index;

	for (index = 0; index < placement->use_count; index++) {
		const struct placement_use *use = &placement->uses[index];

		if (!use->is_in_file && use->node == node && kind_of(use->pages) == kind)
			bytes += use->bytes;
	}
	return bytes;
}

static void nodes_add(const struct survey *survey, const struct placement_held *held)
{
	struct placement *placement = survey->placement;
	uint32_t index;
	int node;

	for (node = -1; node < TOPOLOGY_NODES_MAX; node++) {
		for (index = 0; index < KINDS; index++) {
			struct placement_node row = {
				.node = node,
				.pages = kinds[index],
				.free_bytes = node_free(&survey->had, node, kinds[index]),
				.wanted_bytes = node_wanted(placement, node, kinds[index]),
				.held_bytes = node_held(held, node, kinds[index]),
			};

			if (row.wanted_bytes > 0 || row.held_bytes > 0)
				placement->nodes[placement->node_count++] = row;
		}
	}
}

/* --- all of it ---------------------------------------------------------------------------------------- */

static int survey_begin(struct survey *survey, const struct tier_table *tiers,
			const struct placement_held *held)
{
	struct placement *placement = survey->placement;
	uint32_t index;
	int r;

	placement->held_number = held->number;
	placement->is_drained = held->is_drained;
	placement->uses = calloc(USES_MAX, sizeof(placement->uses[0]));
	placement->nodes = calloc(KINDS * NODES_MAX, sizeof(placement->nodes[0]));
	if (!placement->uses || !placement->nodes)
		return err_raise(-ENOMEM, "%s: no memory to work out where it would lie",
				 placement->name);
	r = span_budget_read(tiers, &survey->budget);
	if (r < 0)
		return err_trace(r);
	survey->had = survey->budget.left;
	for (index = 0; index < held->span_count && held->is_drained; index++)
		span_give(&held->spans[index], &survey->budget);
	return 0;
}

int placement_new(int directory_fd, const char *name, uint32_t number,
		  const struct engine_options *options, const struct placement_held *held,
		  struct placement **ret_placement)
{
	struct placement *placement = calloc(1, sizeof(*placement));
	struct survey survey = { .placement = placement };
	struct engine_options planned = *options;
	struct version *version = NULL;
	int r;

	if (!placement)
		return err_raise(-ENOMEM, "%s: no memory to work out where it would lie", name);
	snprintf(placement->name, sizeof(placement->name), "%s", name);
	placement->number = number;
	planned.budget = &survey.budget;
	planned.kept = NULL;
	r = survey_begin(&survey, options->tiers, held);
	if (r == 0)
		r = version_new(directory_fd, name, number, 0, &planned, &version);
	if (r < 0) {
		placement_free(placement);
		return err_trace(r);
	}
	uses_add(placement, version);
	nodes_add(&survey, held);
	memcpy(placement->lack, survey.budget.lack, sizeof(placement->lack));
	version_free(version);
	*ret_placement = placement;
	return 0;
}

void placement_free(struct placement *placement)
{
	if (!placement)
		return;
	free(placement->uses);
	free(placement->nodes);
	free(placement);
}

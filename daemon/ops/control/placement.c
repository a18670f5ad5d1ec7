/* SPDX-License-Identifier: MIT */
/* daemon/ops/control/placement.c - rows by kind, rows by node, and whether it fits */
#include "ops/control/placement.h"

#include <string.h>

#include "ops/control/reply.h"

static json_t *use_json(const struct placement_use *use)
{
	const char *pages = use->is_in_file ? "file" : span_backing_name(use->pages);

	return json_pack("{s:s, s:i, s:s, s:I, s:b}", "use", use->kind, "node", use->node, "pages",
			 pages, "bytes", (json_int_t)use->bytes, "at_most",
			 strcmp(use->kind, "activations") == 0);
}

static json_t *node_json(const struct placement *placement, const struct placement_node *node)
{
	return json_pack("{s:i, s:s, s:I, s:I, s:I, s:I}", "node", node->node, "memory",
			 node->pages == SPAN_4K ? "ordinary" : span_backing_name(node->pages), "free_bytes",
			 (json_int_t)node->free_bytes, "wanted_bytes",
			 (json_int_t)node->wanted_bytes, "held_bytes",
			 (json_int_t)node->held_bytes, "peak_bytes",
			 (json_int_t)placement_peak_bytes(placement, node));
}

bool control_placement(struct peer *peer, const struct placement *placement)
{
	uint32_t index;

	for (index = 0; index < placement->use_count; index++)
		if (!reply_row(peer, use_json(&placement->uses[index])))
			return false;
	for (index = 0; index < placement->node_count; index++)
		if (!reply_row(peer, node_json(placement, &placement->nodes[index])))
			return false;
	return reply_row(peer, json_pack("{s:s, s:I, s:I, s:b, s:s}", "model", placement->name,
					 "version", (json_int_t)placement->number, "replaces",
					 (json_int_t)placement->held_number, "fits",
					 placement->lack[0] == '\0', "lack", placement->lack)) &&
	       reply_end(peer);
}

/* SPDX-License-Identifier: MIT */
/* daemon/ops/control_mem.c - the verb mem: which memory serves what */
#include "ops/control_mem.h"

#include "ops/loop.h"
#include "ops/reply.h"

bool control_mem(struct control *control, struct peer *peer)
{
	struct tier_entry entry;
	uint32_t row = 0;

	while (tier_next(&control->tiers, &row, &entry)) {
		json_t *object = json_pack("{s:s, s:i, s:s, s:s, s:s, s:I, s:I}", "tier",
					   entry.tier, "node", entry.node, "pages",
					   span_backing_name(entry.pages), "use",
					   tier_use_name(entry.use), "owner", entry.owner,
					   "used_bytes", (json_int_t)entry.used_bytes,
					   "mapped_bytes", (json_int_t)entry.mapped_bytes);

		if (!reply_row(peer, object))
			return false;
	}
	return reply_end(peer);
}

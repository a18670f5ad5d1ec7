/* SPDX-License-Identifier: MIT */
/* daemon/ops/control/worst.c - looks at one thing after the other, the worst first */
#include "ops/control/worst.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/topology.h"
#include "exec/cold.h"
#include "ops/loop.h"
#include "ops/nodes.h"
#include "shm/ring.h"

#define NS_PER_S UINT64_C(1000000000)
#define STILL_NS (5 * NS_PER_S) /* the data loop passes ten times a second when nobody asks */
#define REFUSED_NS (300 * NS_PER_S) /* as long as HearthRefusesConnections looks back */
#define HUGE_BYTES (UINT64_C(2) << 20)

/* Returns whether it has found something, and written the sentence. */
typedef bool look(const struct control *control, char text[WORST_BYTES]);

static bool stopping_look(const struct control *control, char text[WORST_BYTES])
{
	if (control->is_stopping)
		snprintf(text, WORST_BYTES, "stopping");
	return control->is_stopping;
}

static bool data_thread_look(const struct control *control, char text[WORST_BYTES])
{
	uint64_t still_ns = clock_ns() - control->passed_ns;

	if (still_ns < STILL_NS ||
	    counter_read(&control->data.counters->passes) != control->passes_seen)
		return false;
	snprintf(text, WORST_BYTES,
		 "the data thread has done nothing for %llu s: journalctl -u hearthd",
		 (unsigned long long)(still_ns / NS_PER_S));
	return true;
}

static bool loading_look(const struct control *control, char text[WORST_BYTES])
{
	if (!control->is_ready)
		snprintf(text, WORST_BYTES, "still loading: hearthctl models");
	return !control->is_ready;
}

/* What is loaded next may lie nowhere. */
static bool nodes_look(const struct control *control, char text[WORST_BYTES])
{
	struct topology topology;
	uint64_t missing;

	if (topology_read(&topology) < 0)
		return false;
	missing = nodes_wanted(control) & ~place_all(&topology).nodes;
	if (missing)
		snprintf(text, WORST_BYTES, "node %d has no memory: hearthctl doctor",
			 __builtin_ctzll(missing));
	return missing != 0;
}

/* --- versions ------------------------------------------------------------------------------------ */

static bool has_failed(const struct registry_version *slot)
{
	return slot->state == REGISTRY_FAILED;
}

static bool has_unread_rows(const struct registry_version *slot)
{
	const struct cold *cold = slot->version ? engine_cold(slot->version->engine) : NULL;

	return cold && counter_read(&cold_counters(cold)->failures) > 0;
}

/* Do the weights, or does any replica of them, have such pages? */
static bool weights_look(const struct registry_version *slot,
			 bool (*is_found)(const struct span *span))
{
	struct engine_memory memory;
	uint32_t index;

	if (!slot->version)
		return false;
	memory = engine_memory(slot->version->engine);
	for (index = 0; index < memory.replica_count; index++)
		if (memory.replicas[index].address && is_found(&memory.replicas[index]))
			return true;
	return is_found(memory.weights);
}

static bool is_small(const struct span *span)
{
	return span->backing > SPAN_HUGE_2M;
}

static bool has_small_pages(const struct registry_version *slot)
{
	return weights_look(slot, is_small);
}

static bool may_be_swapped(const struct span *span)
{
	return !span->is_locked;
}

static bool is_unlocked(const struct registry_version *slot)
{
	return weights_look(slot, may_be_swapped);
}

static bool version_look(const struct control *control,
			 bool (*is_found)(const struct registry_version *slot), const char *what,
			 const char *command, char text[WORST_BYTES])
{
	const struct registry_version *slot;
	const struct registry_model *model;
	uint32_t cursor = 0;

	while ((slot = registry_next(&control->registry, &cursor, &model))) {
		if (!is_found(slot))
			continue;
		snprintf(text, WORST_BYTES, "%s@%u %s: hearthctl %s", model->name, slot->number,
			 what, command);
		return true;
	}
	return false;
}

static bool stale_look(const struct control *control, char text[WORST_BYTES])
{
	return version_look(control, registry_version_is_stale, "is out of service", "models", text);
}

static bool failed_look(const struct control *control, char text[WORST_BYTES])
{
	return version_look(control, has_failed, "failed to load", "models", text);
}

static bool rows_look(const struct control *control, char text[WORST_BYTES])
{
	return version_look(control, has_unread_rows, "has rows that could not be read", "models",
			    text);
}

static bool locked_look(const struct control *control, char text[WORST_BYTES])
{
	return version_look(control, is_unlocked, "has weights that may be swapped out", "doctor",
			    text);
}

/* Who has reserved no page of 2 MiB wants none. */
static bool are_pages_reserved(void)
{
	struct topology topology;
	uint64_t pages = 0;
	uint32_t index;

	if (topology_read(&topology) < 0)
		return false;
	for (index = 0; index < topology.node_count; index++) {
		const struct topology_pool *pool = topology_pool(topology.nodes + index, HUGE_BYTES);

		pages += pool ? pool->total_pages : 0;
	}
	return pages > 0;
}

static bool pages_look(const struct control *control, char text[WORST_BYTES])
{
	return control->are_pages_reserved &&
	       version_look(control, has_small_pages,
			    "has weights outside of the reserved huge pages", "doctor", text);
}

/* --- clients and users --------------------------------------------------------------------------- */

static bool refused_look(const struct control *control, char text[WORST_BYTES])
{
	const struct share *share = control->shares.first;

	while (share && (!share->refused_ns || clock_ns() - share->refused_ns > REFUSED_NS))
		share = share->next;
	if (share)
		snprintf(text, WORST_BYTES, "a connection of uid %u was refused (%s): hearthctl users",
			 share->uid, reason_name(share->refused_last));
	return share != NULL;
}

/* Does it leave half as many answers lying as it has slots, and read none? What its client says of
 * itself may be anything. */
static bool is_deaf(const struct peer *peer)
{
	const struct lane *lane = peer->session->lane;
	uint64_t last;

	if (peer->session->state != SESSION_SERVED || peer->is_closing ||
	    hearth_cq_consumed(lane->client) != peer->consumed_seen)
		return false;
	last = peer->consumed_seen + (lane->layout.slots + 1) / 2 - 1;
	return hearth_load_relaxed(&lane->completion_slots[last & (lane->layout.completion_slots -
								   1)].seq) == last + 1;
}

static bool client_look(const struct control *control, char text[WORST_BYTES])
{
	const struct peer *peer = control->peers;
	uint64_t now_ns = clock_ns();

	while (peer && (!is_deaf(peer) || now_ns - peer->heard_ns < STILL_NS))
		peer = peer->next;
	if (peer)
		snprintf(text, WORST_BYTES,
			 "client %d has read none of its answers for %llu s: hearthctl clients",
			 peer->session->pid, (unsigned long long)((now_ns - peer->heard_ns) / NS_PER_S));
	return peer != NULL;
}

/* --- all of them --------------------------------------------------------------------------------- */

void worst_look(struct control *control)
{
	char text[WORST_BYTES];

	control->are_pages_reserved = true;
	if (pages_look(control, text))
		control->are_pages_reserved = are_pages_reserved();
}

void worst_describe(const struct control *control, char text[WORST_BYTES])
{
	static look *const looks[] = {
		stopping_look, data_thread_look, loading_look, stale_look,  failed_look,
		rows_look,     nodes_look,	 refused_look, client_look, locked_look,
		pages_look,
	};
	uint32_t index;

	*text = '\0';
	for (index = 0; index < sizeof(looks) / sizeof(looks[0]); index++)
		if (looks[index](control, text))
			return;
}

void worst_watch(struct control *control, uint64_t now_ns)
{
	uint64_t passes = counter_read(&control->data.counters->passes);
	struct peer *peer;

	if (passes != control->passes_seen)
		control->passed_ns = now_ns;
	control->passes_seen = passes;
	for (peer = control->peers; peer; peer = peer->next) {
		if (is_deaf(peer))
			continue;
		peer->heard_ns = now_ns;
		if (peer->session->state == SESSION_SERVED)
			peer->consumed_seen = hearth_cq_consumed(peer->session->lane->client);
	}
}

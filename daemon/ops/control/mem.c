/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/control/mem.c - the verb mem: who owns each page that is here
 *
 * The kernel says what is mapped and which of its pages are here (memory/mapping.h); the tiers say
 * whose each mapping is. Heap, main stack, files and rings have a name of the kernel's. A page that
 * neither knows is unaccounted for, and there shall be none.
 */
#include "ops/control/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "exec/cold.h"
#include "memory/interleave.h"
#include "memory/mapping.h"
#include "ops/control/reply.h"
#include "ops/loop.h"

#define ANY_NODE TOPOLOGY_NODES_MAX /* of what is not bound, and not there */

enum pool {
	POOL_4K,
	POOL_THP,
	POOL_2M,
	POOL_1G,
	POOL_COUNT,
};

static const char *const pool_names[] = { "4k", "thp", "2M", "1G" };
static const uint64_t pool_page_bytes[] = { 0, 0, UINT64_C(2) << 20, UINT64_C(1) << 30 };

/* Names that nobody but the kernel gives, by their beginnings, and whose it is; one owner a use. */
static const struct {
	const char *name;
	enum tier_use use;
	const char *owner; /* NULL: the tiers must know */
} kernel_names[] = {
	{ "[heap]", TIER_HEAP, "hearthd" },
	{ "[stack]", TIER_STACKS, "control thread" },
	{ "anon_inode:[io_uring]", TIER_RINGS, "hearthd" },
	{ "/memfd:hearth-model", TIER_KEPT, "hearthd" },
	{ "/memfd:", TIER_LANES, NULL },
	{ "/anon_hugepage", TIER_WEIGHTS, NULL },
	{ "/dev/zero", TIER_POOLS, NULL },
	{ "/", TIER_CODE, "hearthd" },
	{ "[v", TIER_CODE, "hearthd" }, /* vdso, vvar, vsyscall */
};
#define KERNEL_NAMES (sizeof(kernel_names) / sizeof(kernel_names[0]))

/* Why there is such memory, and why there. */
static const char *const reasons[TIER_USE_COUNT] = {
	[TIER_WEIGHTS] = "read by every batch: near the workers, or where the config wants it",
	[TIER_REPLICAS] = "replica: a copy of weights, read by the workers of its node",
	[TIER_ACTIVATIONS] = "scratch of the batch that is computed, a part for each worker",
	[TIER_POOLS] = "inputs and outputs of a batch, side by side",
	[TIER_ROWS] = "where rows of cold tables arrive from their files",
	[TIER_LANES] = "rings and arenas of a connection; its client's cgroup is charged",
	[TIER_LEFT] = "its client has left; its user is charged while it is held",
	[TIER_KEPT] = "sealed: a graph for the daemon that comes next, a table that is compared",
	[TIER_HEAP] = "graphs, plans, names: what malloc gave",
	[TIER_STACKS] = "of a thread",
	[TIER_CODE] = "program and libraries, and their variables",
	[TIER_RINGS] = "io_uring: shared with the kernel",
	[TIER_RESERVE] = "reserved, not used: pages for models to come (--reserve)",
	[TIER_STATS] = "for who asks while the daemon hangs: its totals are mapped, its rows in the file",
};

struct amount {
	uint64_t mapped_bytes;
	uint64_t resident_bytes;
	uint64_t thp_bytes; /* of the resident ones */
};

/* What one owner has, by node. */
struct holding {
	struct tier_entry entry;
	uint64_t page_bytes;
	struct amount amounts[TOPOLOGY_NODES_MAX + 1];
};

struct account {
	struct peer *peer;
	bool is_sent;
	struct tier_view view;
	struct holding last; /* of a row, whose mappings lie side by side */
	struct holding named[TIER_USE_COUNT]; /* by the kernel; the program's own variables with it */
	struct amount pools[TOPOLOGY_NODES_MAX + 1][POOL_COUNT];
	uint64_t mapped_bytes; /* of those who are known */
	uint64_t resident_bytes;
	uint64_t unaccounted_bytes;
	char interleave[INTERLEAVE_TEXT_BYTES]; /* "": there is one node */
};

/* --- rows of memory ------------------------------------------------------------------------------ */

static enum pool pool_of(uint64_t page_bytes, const struct amount *amount)
{
	enum pool pool;

	for (pool = POOL_2M; pool < POOL_COUNT; pool++)
		if (pool_page_bytes[pool] == page_bytes)
			return pool;
	return 2 * amount->thp_bytes > amount->resident_bytes ? POOL_THP : POOL_4K;
}

/* `interleave` is how what is on several nodes is dealt out, or "". */
static json_t *row_json(const struct tier_entry *entry, enum pool pool, int node,
			uint64_t used_bytes, const struct amount *amount, const char *interleave)
{
	bool wants_huge = entry->use == TIER_WEIGHTS || entry->use == TIER_REPLICAS ||
			  entry->use == TIER_POOLS;
	bool is_dealt = entry->use == TIER_WEIGHTS && entry->node < 0 && *interleave;
	char why[192 + INTERLEAVE_TEXT_BYTES];

	snprintf(why, sizeof(why), "%s%s%s%s", reasons[entry->use],
		 wants_huge && pool < POOL_2M ? "; no huge page was free" : "",
		 is_dealt ? "; what is interleaved is dealt out " : "", is_dealt ? interleave : "");
	return json_pack("{s:s, s:i, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s}", "tier", "host",
			 "node", node, "pages", pool_names[pool], "use", tier_use_name(entry->use),
			 "owner", entry->owner, "used_bytes", (json_int_t)used_bytes,
			 "mapped_bytes", (json_int_t)amount->mapped_bytes, "resident_bytes",
			 (json_int_t)amount->resident_bytes, "thp_bytes",
			 (json_int_t)amount->thp_bytes, "why", why);
}

/* A row for each node. */
static void holding_send(struct account *account, const struct holding *holding)
{
	uint64_t used_bytes = holding->entry.used_bytes;
	uint32_t node;

	for (node = 0; node <= ANY_NODE; node++) {
		const struct amount *amount = &holding->amounts[node];
		uint64_t here_bytes = amount->mapped_bytes < used_bytes ? amount->mapped_bytes
									: used_bytes;

		if (amount->mapped_bytes == 0 && amount->resident_bytes == 0)
			continue;
		if (holding->entry.used_bytes == TIER_WHAT_IS_THERE)
			here_bytes = amount->resident_bytes;
		used_bytes -= here_bytes;
		account->is_sent =
			account->is_sent &&
			reply_row(account->peer,
				  row_json(&holding->entry, pool_of(holding->page_bytes, amount),
					   node == ANY_NODE ? -1 : (int)node, here_bytes, amount,
					   account->interleave));
	}
}

/* --- whose a mapping is ---------------------------------------------------------------------------- */

/* Of what its owner uses, what is in pages of another size. */
static uint64_t holding_left(const struct holding *holding)
{
	uint64_t left_bytes = holding->entry.used_bytes;
	uint32_t node;

	if (left_bytes == TIER_WHAT_IS_THERE)
		return left_bytes;
	for (node = 0; node <= ANY_NODE; node++) {
		uint64_t bytes = holding->amounts[node].mapped_bytes;

		left_bytes -= bytes < left_bytes ? bytes : left_bytes;
	}
	return left_bytes;
}

static struct holding *holding_of_row(struct account *account, const struct tier_entry *entry,
				      const struct mapping *map)
{
	uint64_t left_bytes = entry->used_bytes;

	if (entry->use == TIER_CODE)
		return &account->named[TIER_CODE];
	if (account->last.entry.address == entry->address &&
	    account->last.page_bytes == map->page_bytes)
		return &account->last;
	if (account->last.entry.address == entry->address)
		left_bytes = holding_left(&account->last);
	holding_send(account, &account->last);
	account->last = (struct holding){ .entry = *entry, .page_bytes = map->page_bytes };
	account->last.entry.used_bytes = left_bytes;
	return &account->last;
}

/* NULL: nobody's. */
static struct holding *holding_of(struct account *account, const struct mapping *map)
{
	const struct tier_entry *entry = tier_find(&account->view, map->begin, map->end);
	uint32_t index = 0;

	if (entry)
		return holding_of_row(account, entry, map);
	while (index < KERNEL_NAMES && strncmp(map->name, kernel_names[index].name,
					       strlen(kernel_names[index].name)) != 0)
		index++;
	if (index == KERNEL_NAMES || !kernel_names[index].owner)
		return NULL;
	return &account->named[kernel_names[index].use];
}

/* The node that most of its pages are on, or that it is bound to. */
static uint32_t node_of(const struct mapping *map, const struct tier_entry *entry)
{
	uint32_t best = entry->node >= 0 ? (uint32_t)entry->node : ANY_NODE;
	uint64_t best_bytes = 0;
	uint32_t node;

	for (node = 0; node < TOPOLOGY_NODES_MAX; node++) {
		if (map->node_bytes[node] > best_bytes) {
			best = node;
			best_bytes = map->node_bytes[node];
		}
	}
	return best;
}

static void amounts_add(struct account *account, struct holding *holding,
			const struct mapping *map)
{
	const struct amount nothing = { 0 };
	enum pool pool = pool_of(map->page_bytes, &nothing);
	uint32_t home = node_of(map, &holding->entry);
	uint64_t thp_bytes = map->thp_bytes;
	uint32_t node;

	account->mapped_bytes += map->end - map->begin;
	holding->amounts[home].mapped_bytes += map->end - map->begin;
	account->pools[home][pool].mapped_bytes += map->end - map->begin;
	for (node = 0; node < TOPOLOGY_NODES_MAX; node++) {
		uint64_t bytes = map->node_bytes[node];
		uint64_t huge_bytes = bytes < thp_bytes ? bytes : thp_bytes;

		thp_bytes -= huge_bytes;
		holding->amounts[node].resident_bytes += bytes;
		holding->amounts[node].thp_bytes += huge_bytes;
		account->pools[node][pool].resident_bytes += bytes - huge_bytes;
		account->pools[node][POOL_THP].resident_bytes += huge_bytes;
	}
}

static void map_visit(void *context, const struct mapping *map)
{
	struct account *account = context;
	struct holding *holding = holding_of(account, map);
	uint64_t bytes = 0;
	uint32_t node;

	for (node = 0; node < TOPOLOGY_NODES_MAX; node++)
		bytes += map->node_bytes[node];
	account->resident_bytes += bytes;
	if (holding)
		amounts_add(account, holding, map);
	else
		account->unaccounted_bytes += bytes;
}

static int maps_account(struct control *control, struct account *account)
{
	uint32_t index;
	int r;

	for (index = 0; index < KERNEL_NAMES; index++) {
		struct tier_entry *entry = &account->named[kernel_names[index].use].entry;

		if (!kernel_names[index].owner)
			continue;
		*entry = (struct tier_entry){ .node = -1, .use = kernel_names[index].use,
					      .used_bytes = TIER_WHAT_IS_THERE };
		snprintf(entry->owner, sizeof(entry->owner), "%s", kernel_names[index].owner);
	}
	r = tier_begin_view(&control->tiers, &account->view);
	if (r < 0)
		return err_trace(r);
	r = mapping_each(map_visit, account);
	tier_end_view(&account->view);
	holding_send(account, &account->last);
	for (index = 0; index < TIER_USE_COUNT; index++)
		holding_send(account, &account->named[index]);
	return err_trace(r);
}

/* --- the other rows --------------------------------------------------------------------------- */

/* What is charged to a user and mapped nowhere here. */
static bool left_reply(struct control *control, struct peer *peer)
{
	const struct amount nothing = { 0 };
	struct tier_entry entry;
	uint32_t row = 0;

	while (tier_next(&control->tiers, &row, &entry))
		if (!entry.address &&
		    !reply_row(peer, row_json(&entry, POOL_4K, -1, entry.used_bytes, &nothing,
					      "")))
			return false;
	return true;
}

/* Of tables that stay in their files. */
static json_t *files_json(const struct version *version, const struct cold *cold)
{
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "tier", "files", "use", "tables", "owner",
			 version->owner, "file_bytes", (json_int_t)cold_table_bytes(cold),
			 "slot_bytes", (json_int_t)cold_row_bytes(cold), "why",
			 "cold: read row by row, and kept in slots among the weights");
}

/* The graph that the daemon which comes next goes on with, beside the weights. */
static json_t *kept_json(const struct version *version, const struct engine_kept *kept)
{
	const struct amount nothing = { 0 };
	struct tier_entry entry = { .use = TIER_KEPT };
	struct stat status;

	if (fstat(kept->model_fd, &status) < 0)
		status.st_size = 0;
	snprintf(entry.owner, sizeof(entry.owner), "%s", version->owner);
	return row_json(&entry, POOL_4K, -1, (uint64_t)status.st_size, &nothing, "");
}

/* The stats page; what of it is not mapped is the file's. */
static json_t *page_json(const struct page *page)
{
	const struct amount nothing = { 0 };
	struct tier_entry entry = { .use = TIER_STATS, .owner = "stats page" };
	struct stat status;
	uint64_t bytes;

	if (fstat(page->fd, &status) < 0)
		status.st_blocks = 0;
	bytes = (uint64_t)status.st_blocks * 512;
	bytes -= bytes < STATS_PAGE_HEAD_BYTES ? bytes : STATS_PAGE_HEAD_BYTES;
	return row_json(&entry, POOL_4K, -1, bytes, &nothing, "");
}

static bool version_reply(const struct version *version, struct peer *peer)
{
	const struct engine_kept *kept = engine_kept(version->engine);
	const struct cold *cold = engine_cold(version->engine);

	return (!kept || reply_row(peer, kept_json(version, kept))) &&
	       (!cold || reply_row(peer, files_json(version, cold)));
}

/* What versions have beside memory that is mapped. */
static bool versions_reply(const struct registry *registry, struct peer *peer)
{
	uint32_t index;

	for (index = 0; index < registry->model_count * DATA_VERSIONS_MAX; index++) {
		const struct registry_model *model = registry->models + index / DATA_VERSIONS_MAX;
		const struct version *version = model->versions[index % DATA_VERSIONS_MAX].version;

		if (version && !version_reply(version, peer))
			return false;
	}
	return true;
}

/* Each kind of page on each node: what there is, and what of it is hearthd's. NULL: no such. */
static json_t *pool_json(const struct topology_node *node, enum pool pool,
			 const struct amount *amount)
{
	struct topology_pool ordinary = { 1, node->memory_bytes, node->available_bytes };
	const struct topology_pool *found =
		pool < POOL_2M ? &ordinary : topology_pool(node, pool_page_bytes[pool]);

	return !found ? NULL
		      : json_pack("{s:s, s:i, s:I, s:I, s:I, s:I}", "pool", pool_names[pool],
				  "node", node->node, "total_bytes",
				  (json_int_t)(found->total_pages * found->page_bytes), "free_bytes",
				  (json_int_t)(found->free_pages * found->page_bytes),
				  "mapped_bytes", (json_int_t)amount->mapped_bytes,
				  "resident_bytes", (json_int_t)amount->resident_bytes);
}

/* What is asked for of a pool (--reserve), and what of that somebody else has. */
static json_t *reserve_add_to(json_t *row, struct reserve *reserve, int node, uint64_t page_bytes)
{
	struct reserve_pool pool;
	uint64_t missing_bytes;
	uint32_t index;

	for (index = 0; reserve_look(reserve, index, &pool, &missing_bytes); index++) {
		if (!row || pool.want.node != node || pool.want.page_bytes != page_bytes)
			continue;
		json_object_set_new(row, "reserve_bytes",
				    json_integer((json_int_t)pool.want.bytes));
		json_object_set_new(row, "missing_bytes", json_integer((json_int_t)missing_bytes));
		if (missing_bytes > 0)
			json_object_set_new(row, "why",
					    json_string("of --reserve pages are missing: somebody "
							"else has them (missing_bytes)"));
	}
	return row;
}

static bool pools_reply(struct control *control, const struct account *account, const struct topology *topology)
{
	uint32_t index;
	int pool;

	if (!reply_row(account->peer,
		       json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:s}", "pool", "hbm", "node", -1,
				 "total_bytes", 0, "free_bytes", 0, "mapped_bytes", 0,
				 "resident_bytes", 0, "why",
				 "absent: this build has no GPU backend")))
		return false;
	for (index = 0; index < topology->node_count; index++) {
		const struct topology_node *node = &topology->nodes[index];

		for (pool = POOL_COUNT - 1; pool >= 0; pool--) {
			json_t *row = pool_json(node, (enum pool)pool,
						&account->pools[node->node][pool]);

			row = reserve_add_to(row, &control->reserve, node->node,
					     pool_page_bytes[pool]);
			if (row && !reply_row(account->peer, row))
				return false;
		}
	}
	return true;
}

/* --- all of them ------------------------------------------------------------------------------ */

static void interleave_tell(const struct control *control, const struct topology *topology,
			    char text[INTERLEAVE_TEXT_BYTES])
{
	struct interleave interleave =
		interleave_read("", topology, control->options->bandwidths);

	if (place_only(interleave.place) < 0)
		(void)interleave_text(&interleave, text);
}

static int all_record(struct control *control, struct account *account)
{
	struct peer *peer = account->peer;
	struct topology topology;
	int r;

	r = topology_read(&topology);
	if (r < 0)
		return err_trace(r);
	interleave_tell(control, &topology, account->interleave);
	r = maps_account(control, account);
	if (r < 0)
		return err_trace(r);
	account->is_sent =
		account->is_sent && left_reply(control, peer) &&
		(!control->page.is_in_memory || reply_row(peer, page_json(&control->page))) &&
		versions_reply(&control->registry, peer) && pools_reply(control, account, &topology) &&
		reply_row(peer, json_pack("{s:s, s:I, s:I, s:I}", "sum", "all", "mapped_bytes",
					  (json_int_t)account->mapped_bytes, "resident_bytes",
					  (json_int_t)account->resident_bytes, "unaccounted_bytes",
					  (json_int_t)account->unaccounted_bytes));
	return 0;
}

/* The kernel takes 25 ms for each GiB of 4 KiB pages, and everybody waits who connects. */
bool verb_mem(struct control *control, struct peer *peer, const json_t *question)
{
	struct account account = { .peer = peer, .is_sent = true };
	struct ration *ration = &control->mem;
	int r;

	(void)question;
	if (peer->answer) {
		r = all_record(control, &account);
		return r < 0 ? reply_error(peer, r, err_message()) : account.is_sent;
	}
	if (reply_is_rationed(peer) && !ration_is_paid(ration))
		return reply_recorded(peer, ration);
	ration_begin(ration);
	peer->record = ration;
	r = all_record(control, &account);
	peer->record = NULL;
	ration_end(ration, RATION_RATIO, r == 0 && account.is_sent);
	return r < 0 ? reply_error(peer, r, err_message()) : reply_recorded(peer, ration);
}

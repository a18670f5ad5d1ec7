/* SPDX-License-Identifier: MIT */
/* daemon/serve/share.c - accounts found, charged and settled; segments kept while they are held */
#include "serve/share.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "memory/resident.h"
#include "serve/lane.h"

/* A look at a segment that nobody has pinned takes microseconds, and longer only when this thread
 * loses its CPU; for pages that stay pinned the kernel waits 150 ms before it says so. */
#define LOOK_NS UINT64_C(50000000)
#define LOOK_RATIO 20
/* More users than this have never been seen on one host; accounts that are empty then make room. */
#define SHARES_MAX 1024

/* --- reasons ---------------------------------------------------------------------------------- */

enum reason reason_of(int status)
{
	switch (-status) {
	case EINVAL:
		return REASON_MALFORMED;
	case ENOENT:
		return REASON_MODEL;
	case EMSGSIZE:
		return REASON_ROWS;
	case ENOBUFS:
		return REASON_RESPONSE;
	case ETIME:
		return REASON_EXPIRED;
	case ECANCELED:
		return REASON_CANCELLED;
	case EOPNOTSUPP:
		return REASON_OPERATION;
	case ESHUTDOWN:
		return REASON_STOPPING;
	case ERANGE:
		return REASON_ID;
	default:
		return REASON_OTHER;
	}
}

const char *reason_name(enum reason reason)
{
	static const char *const names[REASON_COUNT] = {
		[REASON_MALFORMED] = "malformed",     [REASON_MODEL] = "no_model",
		[REASON_ROWS] = "too_many_rows",      [REASON_RESPONSE] = "response_too_small",
		[REASON_EXPIRED] = "expired",         [REASON_CANCELLED] = "cancelled",
		[REASON_OPERATION] = "unsupported",   [REASON_STOPPING] = "stopping",
		[REASON_ID] = "id_out_of_range",      [REASON_OTHER] = "other",
		[REASON_SOCKETS] = "sockets",         [REASON_HANDSHAKE] = "handshake",
		[REASON_CLIENTS] = "clients",         [REASON_CONNECTIONS] = "connections",
		[REASON_SLOTS] = "slots",             [REASON_ARENA_BYTES] = "arena_bytes",
		[REASON_MEMORY] = "memory",
	};

	return names[reason];
}

void share_refuse(struct share *share, enum reason reason)
{
	counter_add(&share->refused[reason], 1);
	share->refused_ns = clock_ns();
	share->refused_last = reason;
}

/* --- accounts --------------------------------------------------------------------------------- */

/* Requests are counted by the data thread, connections by this one. */
static uint64_t share_refused(const struct share *share, enum reason reason)
{
	return counter_read((reason < REASON_REQUESTS ? share->counters.refused : share->refused) +
			    reason);
}

uint64_t shares_refused(const struct shares *shares, enum reason reason)
{
	uint64_t count = shares->refused[reason];
	const struct share *share;

	for (share = shares->first; share; share = share->next)
		count += share_refused(share, reason);
	return count;
}

static void share_free(struct shares *shares, struct share **link)
{
	struct share *share = *link;
	enum reason reason;

	for (reason = 0; reason < REASON_COUNT; reason++)
		shares->refused[reason] += share_refused(share, reason);
	*link = share->next;
	shares->count--;
	free(share);
}

int share_find(struct shares *shares, uid_t uid, struct share **ret_share)
{
	struct share **link = &shares->first;
	struct share **empty = NULL;
	struct share *share;

	for (; *link; link = &(*link)->next) {
		if ((*link)->uid == uid) {
			*ret_share = *link;
			return 0;
		}
		if ((*link)->connections == 0 && (*link)->sessions == 0)
			empty = link;
	}
	if (shares->count >= SHARES_MAX) {
		if (!empty)
			return err_raise(-EUSERS, "%u users are connected", shares->count);
		share_free(shares, empty);
	}
	share = resident_alloc(1, sizeof(*share));
	if (!share)
		return err_raise(-ENOMEM, "no memory for the account of uid %u", uid);
	share->shares = shares;
	share->uid = uid;
	share->next = shares->first;
	shares->first = share;
	shares->count++;
	*ret_share = share;
	return 0;
}

static uint64_t arena_bytes(const struct hearth_layout *layout)
{
	return (uint64_t)layout->request_area_bytes + layout->response_area_bytes;
}

bool share_has_room(const struct share *share, const struct hearth_layout *layout)
{
	const struct share_limits *limits = &share->shares->limits;

	return share->connections < limits->connections_max &&
	       share->slots + layout->slots <= limits->slots_max &&
	       share->arena_bytes + arena_bytes(layout) <= limits->arena_bytes_max;
}

int share_charge(struct share *share, const struct hearth_layout *layout)
{
	const struct share_limits *limits = &share->shares->limits;
	uint64_t bytes = arena_bytes(layout);

	if (share->connections >= limits->connections_max) {
		share_refuse(share, REASON_CONNECTIONS);
		return err_raise(-EDQUOT, "uid %u has %u connections, %u of them ended and their "
				 "segments held; its limit is %u (--clients-per-uid)", share->uid,
				 share->connections, share->kept_count, limits->connections_max);
	}
	if (share->slots + layout->slots > limits->slots_max) {
		share_refuse(share, REASON_SLOTS);
		return err_raise(-EDQUOT, "uid %u holds %u request slots and wants %u more, its "
				 "limit is %u (--slots-per-uid)", share->uid, share->slots,
				 layout->slots, limits->slots_max);
	}
	if (share->arena_bytes + bytes > limits->arena_bytes_max) {
		share_refuse(share, REASON_ARENA_BYTES);
		return err_raise(-EDQUOT, "uid %u holds %lu arena bytes and wants %lu more, its "
				 "limit is %lu (--arena-bytes-per-uid)", share->uid,
				 (unsigned long)share->arena_bytes, (unsigned long)bytes,
				 (unsigned long)limits->arena_bytes_max);
	}
	share->connections++;
	share->slots += layout->slots;
	share->arena_bytes += bytes;
	return 0;
}

void share_discharge(struct share *share, const struct hearth_layout *layout)
{
	share->connections--;
	share->slots -= layout->slots;
	share->arena_bytes -= arena_bytes(layout);
}

/* Rows of segments come and go on the thread that looks at them, and maps and unmaps these. */
static void tier_rows_remove(const struct share *share, struct lane *lane)
{
	for (uint32_t index = 0; index < 2; index++) {
		tier_remove(share->shares->tiers, lane->tier_rows[index]);
		lane->tier_rows[index] = TIER_NO_ROW;
	}
}

int share_enter(struct share *share, struct lane *lane, pid_t pid, int node)
{
	const struct hearth_layout *layout = &lane->layout;
	char name[TIER_OWNER_BYTES];
	const struct tier_owner owner = { share->shares->tiers, name, TIER_LANES };
	int r;

	snprintf(name, sizeof(name), "client %d", (int)pid);
	lane->share = share;
	lane->pid = pid;
	r = tier_add_range(&owner, lane->client, layout->client_bytes, layout->client_bytes, node,
			   &lane->tier_rows[0]);
	if (r == 0)
		r = tier_add_range(&owner, lane->daemon, layout->daemon_bytes,
				   layout->daemon_bytes, node, &lane->tier_rows[1]);
	return err_trace(r);
}

/* What it has left is not mapped here; its user is charged for it all the same. */
static void tier_rows_leave(const struct share *share, struct lane *lane)
{
	struct tier_entry left = {
		.node = -1,
		.use = TIER_LEFT,
		.used_bytes = lane->layout.client_bytes + lane->layout.daemon_bytes,
	};

	tier_rows_remove(share, lane);
	snprintf(left.owner, sizeof(left.owner), "client %d", (int)lane->pid);
	(void)!tier_add(share->shares->tiers, &left, &lane->tier_rows[0]); /* where two were */
}

void share_end(struct share *share, struct lane *lane)
{
	tier_rows_remove(share, lane);
	share_discharge(share, &lane->layout);
	lane_close(lane);
}

/* --- what is kept ----------------------------------------------------------------------------- */

bool process_has_exited(int pidfd)
{
	struct pollfd process = { .fd = pidfd, .events = POLLIN };

	return poll(&process, 1, 0) > 0;
}

/* Takes the lane at `link` off the list; it stays charged. */
static struct lane *kept_release(struct share *share, struct lane **link)
{
	struct lane *lane = *link;

	*link = lane->kept.next;
	share->kept_count--;
	if (lane->kept.pidfd >= 0)
		close(lane->kept.pidfd);
	return lane;
}

/* A segment whose pages are pinned makes the kernel wait before it says so, and the control thread
 * with it. Whoever makes it wait, waits LOOK_RATIO times as long for the next look. */
static bool is_held(struct share *share, struct lane *lane)
{
	uint64_t before_ns = clock_ns();
	uint64_t spent_ns;
	int r;

	if (before_ns < share->look_ns)
		return true;
	r = lane_let_go(lane);
	spent_ns = clock_ns() - before_ns;
	if (r == LANE_E_HELD && spent_ns > LOOK_NS)
		share->look_ns = before_ns + LOOK_RATIO * spent_ns;
	if (r != LANE_E_UNKNOWN)
		return r == LANE_E_HELD;
	return lane->kept.pidfd >= 0 && !process_has_exited(lane->kept.pidfd);
}

static void kept_reap(struct share *share)
{
	struct lane **link;

	for (link = &share->kept; *link;)
		if (is_held(share, *link))
			link = &(*link)->kept.next;
		else
			share_end(share, kept_release(share, link));
}

void share_keep(struct share *share, struct lane *lane, int pidfd)
{
	lane_vacate(lane);
	tier_rows_leave(share, lane);
	lane->kept = (struct lane_kept){ share->kept, pidfd };
	share->kept = lane;
	share->kept_count++;
	/* Mostly its client has unmapped it before it hung up. */
	kept_reap(share);
}

void shares_reap(struct shares *shares)
{
	struct share *share;

	for (share = shares->first; share; share = share->next)
		kept_reap(share);
}

uint32_t shares_kept(const struct shares *shares)
{
	const struct share *share;
	uint32_t count = 0;

	for (share = shares->first; share; share = share->next)
		count += share->kept_count;
	return count;
}

void shares_deinit(struct shares *shares)
{
	while (shares->first) {
		while (shares->first->kept)
			share_end(shares->first,
				  kept_release(shares->first, &shares->first->kept));
		share_free(shares, &shares->first);
	}
}

/* SPDX-License-Identifier: MIT */
/* daemon/serve/share.c - accounts found, charged and settled; segments kept for living processes */
#include "serve/share.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "serve/lane.h"

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
}

/* --- accounts --------------------------------------------------------------------------------- */

static void share_free(struct shares *shares, struct share **link)
{
	struct share *share = *link;

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
	share = calloc(1, sizeof(*share));
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

int share_charge(struct share *share, const struct hearth_layout *layout)
{
	const struct share_limits *limits = &share->shares->limits;
	uint64_t bytes = arena_bytes(layout);

	if (share->connections >= limits->connections_max) {
		share_refuse(share, REASON_CONNECTIONS);
		return err_raise(-EDQUOT, "uid %u has %u connections, %u of them ended by processes "
				 "that still run; its limit is %u (--clients-per-uid)", share->uid,
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

static void tier_row_remove(struct share *share, struct lane *lane)
{
	if (lane->tier_row != UINT32_MAX)
		tier_remove(share->shares->tiers, lane->tier_row);
	lane->tier_row = UINT32_MAX;
}

void share_end(struct share *share, struct lane *lane)
{
	tier_row_remove(share, lane);
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
	close(lane->kept.pidfd);
	tier_row_remove(share, lane);
	return lane;
}

void share_keep(struct share *share, struct lane *lane, pid_t pid, int pidfd)
{
	lane_vacate(lane);
	lane->kept = (struct lane_kept){ share->kept, pid, pidfd };
	share->kept = lane;
	share->kept_count++;
}

static bool layout_is(const struct hearth_layout *layout, const struct hearth_layout *wanted)
{
	/* Everything else follows from these. */
	return layout->slots == wanted->slots &&
	       layout->request_area_bytes == wanted->request_area_bytes &&
	       layout->response_area_bytes == wanted->response_area_bytes;
}

struct lane *share_reuse(struct share *share, pid_t pid, const struct hearth_layout *layout)
{
	struct lane **link;

	/* A process of a pid namespace that the daemon does not see has no number. */
	if (pid <= 0)
		return NULL;
	/* While the process lives nobody else has its pid. */
	for (link = &share->kept; *link; link = &(*link)->kept.next)
		if ((*link)->kept.pid == pid && layout_is(&(*link)->layout, layout) &&
		    !process_has_exited((*link)->kept.pidfd))
			return kept_release(share, link);
	return NULL;
}

void shares_reap(struct shares *shares)
{
	struct share *share;
	struct lane **link;

	for (share = shares->first; share; share = share->next)
		for (link = &share->kept; *link;)
			if (process_has_exited((*link)->kept.pidfd))
				share_end(share, kept_release(share, link));
			else
				link = &(*link)->kept.next;
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

/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/share.h - one user's account: what its clients hold, what they may spend, what was refused
 *
 * Owns:     the accounts, and the lanes that are kept for who disconnected and holds them
 * Threads:  the control thread, but for what stands under "data thread"; counters are read by both
 * Errors:   share_find -ENOMEM; share_charge an errno with the sentence for the client
 *
 * A user is a uid as the daemon sees it: those that its user namespace does not
 * map are all the overflow uid, and so share one account.
 *
 * Whoever has been sent a segment may hold it after the connection has ended.
 * So a pair of segments stays on the account until nobody can write to the
 * client's any more, be it the process that connected or a child of it: that it
 * can be sealed against writing shows that (lane_let_go). Reconnecting costs
 * nothing, holding on to old segments gains nothing. What a process can still
 * read of old segments is charged to its memory cgroup, which touched them first.
 */
#ifndef HEARTH_SERVE_SHARE_H
#define HEARTH_SERVE_SHARE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/counter.h"
#include "base/error.h"
#include "memory/tier.h"
#include "serve/turn.h"
#include "shm/layout.h"

struct lane;

/* Why a request or a connection was refused, or failed. */
enum reason {
	REASON_MALFORMED, /* slot, header or tensors are not what the model wants */
	REASON_MODEL,     /* not loaded */
	REASON_ROWS,      /* more than a batch has, or an echo */
	REASON_RESPONSE,  /* the response range is too small */
	REASON_EXPIRED,
	REASON_CANCELLED,
	REASON_OPERATION, /* not served here */
	REASON_STOPPING,
	REASON_ID,        /* outside its table */
	REASON_OTHER,
	REASON_REQUESTS,  /* how many there are for requests */

	REASON_SOCKETS = REASON_REQUESTS, /* of the user without a lane */
	REASON_HANDSHAKE, /* ABI, features, sizes */
	REASON_CLIENTS,   /* of all users */
	REASON_CONNECTIONS,
	REASON_SLOTS,
	REASON_ARENA_BYTES,
	REASON_MEMORY, /* the machine's, or its descriptors */
	REASON_COUNT,
};

enum reason reason_of(int status);
const char *reason_name(enum reason reason);

struct share_counters {
	struct counter requests;
	struct counter rows;
	struct counter busy_ns;  /* of the data thread */
	struct counter deferred; /* passes that left work lying for lack of credit */
	struct counter refused[REASON_REQUESTS];
};

struct share {
	struct share *next;
	struct shares *shares;
	uid_t uid;

	/* control thread */
	uint32_t sessions;    /* sockets */
	uint32_t connections; /* with segments: served, greeted, leaving, kept */
	uint32_t leaving;     /* have ended, and the data thread may still use their lanes */
	uint32_t slots;
	uint64_t arena_bytes;
	struct lane *kept;    /* for processes that disconnected */
	uint32_t kept_count;
	uint64_t look_ns;     /* when what is kept may be looked at again */
	uint64_t trace_ns;    /* when it may ask for many requests again */
	struct counter refused[REASON_COUNT]; /* from REASON_REQUESTS on: connections */
	uint64_t refused_ns; /* when that was last; 0: never */
	enum reason refused_last;

	/* data thread */
	struct turn turn;       /* among users */
	struct contest contest; /* between its clients */

	struct share_counters counters;
};

struct share_limits {
	uint32_t connections_max;
	uint32_t slots_max;
	uint64_t arena_bytes_max;
};

struct shares {
	struct share *first;
	struct share_limits limits; /* of each */
	struct tier_table *tiers;
	uint32_t count;
	uint64_t refused[REASON_COUNT]; /* of accounts that have made room */
};

/* The account of a uid, opened when there is none. */
must_check int share_find(struct shares *shares, uid_t uid, struct share **ret_share);
void shares_deinit(struct shares *shares);

bool share_has_room(const struct share *share, const struct hearth_layout *layout);
/* Puts a connection on the account; what is refused is counted. */
must_check int share_charge(struct share *share, const struct hearth_layout *layout);
void share_discharge(struct share *share, const struct hearth_layout *layout);
void share_refuse(struct share *share, enum reason reason);
/* Writes down whose memory a lane is that has been opened for it. */
must_check int share_enter(struct share *share, struct lane *lane, pid_t pid, int node);
/* Closes a lane and discharges it. */
void share_end(struct share *share, struct lane *lane);

/* Takes over the lane of a connection that has ended, and the descriptor (or -1) that tells when
 * its process exits. The lane stays charged for as long as it is held. */
void share_keep(struct share *share, struct lane *lane, int pidfd);
/* Frees what nobody holds any more. */
void shares_reap(struct shares *shares);
uint32_t shares_kept(const struct shares *shares);
/* Of all users that there ever were: never less than before. */
uint64_t shares_refused(const struct shares *shares, enum reason reason);

/* Has the process exited? */
bool process_has_exited(int pidfd);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/share.h - one user's account: what its clients hold, what they may spend, what was refused
 *
 * Owns:     the accounts, and the lanes that are kept for processes that disconnected
 * Threads:  the control thread, but for what stands under "data thread"; counters are read by both
 * Errors:   share_find -ENOMEM; share_charge an errno with the sentence for the client
 *
 * A user is a uid as the daemon sees it: those that its user namespace does not
 * map are all the overflow uid, and so share one account.
 *
 * Whoever has been sent a segment may hold it after the connection has ended.
 * So a pair of segments stays on the account until its process has exited (or
 * at once, where no pidfd tells), and the same process gets the same pair again
 * when it connects with the same sizes: reconnecting costs nothing, holding on
 * to old segments gains nothing. A process that hands its maps to a child
 * before it exits is beyond this; the pages stay charged to its memory cgroup.
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
	REASON_ROWS,      /* more than a batch has */
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
	uint32_t connections; /* with segments: served, greeted, kept */
	uint32_t slots;
	uint64_t arena_bytes;
	struct lane *kept;    /* for processes that disconnected */
	uint32_t kept_count;
	struct counter refused[REASON_COUNT]; /* from REASON_REQUESTS on: connections */

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
};

/* The account of a uid, opened when there is none. */
must_check int share_find(struct shares *shares, uid_t uid, struct share **ret_share);
void shares_deinit(struct shares *shares);

/* Puts a connection on the account; what is refused is counted. */
must_check int share_charge(struct share *share, const struct hearth_layout *layout);
void share_discharge(struct share *share, const struct hearth_layout *layout);
void share_refuse(struct share *share, enum reason reason);
/* Closes a lane and discharges it. */
void share_end(struct share *share, struct lane *lane);

/* Takes over the lane of a process that has not exited, and the descriptor that tells when it
 * does. The lane stays charged. */
void share_keep(struct share *share, struct lane *lane, pid_t pid, int pidfd);
/* The lane that is kept for this process and has this layout, or NULL. */
struct lane *share_reuse(struct share *share, pid_t pid, const struct hearth_layout *layout);
/* Frees what was kept for processes that have exited. */
void shares_reap(struct shares *shares);
uint32_t shares_kept(const struct shares *shares);

/* Has the process exited? */
bool process_has_exited(int pidfd);

#endif

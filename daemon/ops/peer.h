/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/peer.h - a session as the control loop sees it: what is watched, what waits to be sent
 *
 * Owns:     the session and the replies that its socket has no room for yet
 * Threads:  the control thread
 * Errors:   none: a peer that cannot be answered is closed
 */
#ifndef HEARTH_OPS_PEER_H
#define HEARTH_OPS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ops/ration.h"
#include "ops/watch.h"
#include "serve/session.h"

/* A peer that does not read its answers is closed when this much waits. */
#define PEER_PENDING_BYTES_MAX (UINT32_C(4) << 20)

struct packet {
	struct packet *next;
	size_t bytes;
	uint8_t content[];
};

struct answer; /* ops/control/reply.h */

struct peer {
	struct peer *next;
	struct session *session;
	struct watch socket;
	struct watch death;
	struct packet *pending;
	struct packet **pending_last;
	size_t pending_bytes;
	struct ration *record; /* where its rows are kept now, instead of being sent; NULL: nowhere */
	uint64_t consumed_seen; /* answers that its client had read at the last tick, */
	uint64_t heard_ns;      /* and when that had last changed, or it had room */
	uint64_t ticket; /* names the peer to the registry's jobs */
	bool is_closing; /* waits for its polls and its lane to end */
	bool is_lane_gone;
	bool awaits_reload; /* and is told how it ended */
	bool is_heard; /* it has said something */
	bool is_waiting; /* its HELLO is answered when another connection of its user has gone */
	bool awaits_model; /* its DESCRIBE is answered when the loads of the start, or a swap, have ended */
	struct hearth_hello hello;
	struct hearth_describe describe;
	struct answer *answer; /* NULL, or what takes its rows: it is nobody's connection then */
};

must_check int peer_new(struct session *session, uint64_t ticket, struct peer **ret_peer);
void peer_free(struct peer *peer);

/* Sends a packet, or keeps it until the socket has room. False: close the peer. */
must_check bool peer_send(struct peer *peer, const void *packet, size_t bytes);
/* The socket has room again. */
must_check bool peer_flush(struct peer *peer);

/* One CONTROL_REPLY with a JSON text. */
must_check bool peer_reply(struct peer *peer, int status, bool has_more, const char *text);

#endif

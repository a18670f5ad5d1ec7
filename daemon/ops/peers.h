/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/peers.h - everybody who is connected
 *
 * Threads:  the control thread
 * Errors:   none: who cannot be served is closed, and reaped when the data loop
 *           has let go of its lane and no poll of it is left
 */
#ifndef HEARTH_OPS_PEERS_H
#define HEARTH_OPS_PEERS_H

#include "ops/loop.h"

/* The most watches that all of them can have. */
uint32_t peers_watches_max(const struct options *options);

/* Takes everybody who waits at a listening socket. False: there is no room for another one now. */
bool peers_accept(struct control *control, const struct watch *listener);

/* Something happened on a peer's socket. */
void peers_event(struct control *control, struct peer *peer, int events);

/* Polls its socket for what is next: room for a reply that waits, or a packet. */
void peers_listen(struct control *control, struct peer *peer);

/* Its lane is given back when the data loop has let go of it. */
void peers_close(struct control *control, struct peer *peer);

/* Frees the closed ones that nothing refers to any more. */
void peers_reap(struct control *control);

/* The loads of the start, or a swap, have ended: answers those that asked for a model before. */
void peers_ready(struct control *control);

/* Closes those that began a handshake and do not end it. */
void peers_expire(struct control *control, uint64_t now_ns);

/* NULL when there is none, or it is closing (find). */
struct peer *peers_find(const struct control *control, uint64_t ticket);
struct peer *peers_of_lane(const struct control *control, const struct lane *lane);

/* It is on the admin socket, and root, the daemon's own user or of the admin group. */
bool peers_may_change(const struct control *control, const struct session *session);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * daemon/serve/session.h - one accepted socket: who is there, and the handshake that gives it a lane
 *
 * Owns:     the socket, the pidfd, the lane while it is open
 * Threads:  the control thread
 * Errors:   session_* return -errno with a sentence; what is the client's fault
 *           travels to it in the reply
 *
 * Death is an event: the pidfd of the peer (SO_PEERPIDFD; before Linux 6.5
 * pidfd_open, then a look whether the socket has hung up) tells of it at once.
 * The socket's hang-up does too; where no pidfd can be had it does alone, and
 * `death` says so.
 */
#ifndef HEARTH_SERVE_SESSION_H
#define HEARTH_SERVE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "serve/lane.h"
#include "serve/models/registry.h"
#include "shm/handshake.h"

enum session_state {
	SESSION_ACCEPTED, /* no lane asked for yet */
	SESSION_GREETED,  /* the segments are on their way */
	SESSION_SERVED,   /* the data loop has the lane */
	SESSION_CLOSING,
};

struct session_limits {
	uint32_t clients_max;
	uint64_t features; /* granted to who asks */
	uint64_t epoch;
	int node;
};

struct session {
	struct session *next;
	int fd;
	int pidfd; /* -1: the socket alone tells of its death */
	bool is_admin; /* came through the admin socket */
	pid_t pid;
	uid_t uid;
	gid_t gid;
	enum session_state state;
	struct lane *lane;
	uint64_t accepted_ns;
	uint64_t greeted_ns;
	struct share *share; /* its user's account */
	char exe[128];
};

must_check int session_new(int fd, bool is_admin, struct shares *shares,
			   struct session **ret_session);
/* The connection has ended; its lane is freed when nothing uses it any more. */
void session_close(struct session *session);
/* Its lane stays on the account while anybody holds it (serve/share.h). */
void session_free(struct session *session);

/*
 * Answers HELLO: a lane and its two descriptors, or a refusal that the client
 * reads. `clients` is how many all users have. SESSION_E_GONE: the client cannot
 * take the answer. SESSION_E_WAIT: say it again when a session has been freed.
 */
#define SESSION_E_GONE 1
#define SESSION_E_WAIT 2
must_check int session_hello(struct session *session, const struct hearth_hello *hello,
			     const struct session_limits *limits, struct shares *shares,
			     uint32_t clients);

/* Answers DESCRIBE into `reply`, at most HEARTH_MESSAGE_BYTES_MAX. */
void session_describe(const struct registry *registry, const struct hearth_describe *describe,
		      void *reply, size_t *ret_bytes);

#endif

/* SPDX-License-Identifier: MIT */
/* daemon/ops/peers.c - accepted, greeted, served, closed, reaped */
#include "ops/peers.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "ops/control/control.h"

/* A client that has got its segments and does not say READY is let go. */
#define GREETING_NS (UINT64_C(10) * 1000000000)
/* So is who connects and says nothing. */
#define SILENCE_NS (UINT64_C(30) * 1000000000)
/* Sockets without a lane: tools, and clients on their way. */
#define SESSIONS_MAX 1024
#define SESSIONS_PER_UID_MAX 320
#define ACCEPTS_MAX 64 /* then others have their turn */
#define HELLO_BYTES_MIN 32

/* With a lane, and without one on either socket; a socket and a pidfd each. */
uint32_t peers_watches_max(const struct options *options)
{
	return 2 * (options->clients_max + 2 * SESSIONS_MAX);
}

struct peer *peers_find(const struct control *control, uint64_t ticket)
{
	struct peer *peer;

	for (peer = control->peers; peer; peer = peer->next)
		if (peer->ticket == ticket && !peer->is_closing)
			return peer;
	return NULL;
}

void peers_close(struct control *control, struct peer *peer)
{
	struct session *session = peer->session;
	struct message message = { .kind = MESSAGE_LANE_CLOSE, .lane = session->lane };

	if (peer->is_closing)
		return;
	peer->is_closing = true;
	watch_disarm(&control->waiter, &peer->socket);
	watch_disarm(&control->waiter, &peer->death);
	/* The client learns at once; the descriptor stays until nobody uses it. */
	shutdown(session->fd, SHUT_RDWR);
	peer->is_lane_gone = session->state != SESSION_SERVED || control->is_stopped;
	if (!peer->is_lane_gone)
		data_send(&control->data, &message);
	session_close(session);
}

static bool has_group(const struct session *session, gid_t wanted)
{
	gid_t groups[1024];
	socklen_t bytes = sizeof(groups);
	uint32_t index;

	if (session->gid == wanted)
		return true;
	if (getsockopt(session->fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) < 0)
		return false;
	for (index = 0; index < bytes / sizeof(groups[0]); index++)
		if (groups[index] == wanted)
			return true;
	return false;
}

bool peers_may_change(const struct control *control, const struct session *session)
{
	return session->is_admin && (session->uid == 0 || session->uid == geteuid() ||
				     (control->options->admin_group &&
				      has_group(session, control->admin_gid)));
}

static void peer_hello(struct control *control, struct peer *peer)
{
	struct session *session = peer->session;
	bool had_lane = session->lane != NULL;
	int r;

	r = session_hello(session, &peer->hello, &control->limits, &control->shares,
			  control->clients);
	peer->is_waiting = r == SESSION_E_WAIT;
	if (r != 0 && r != SESSION_E_WAIT)
		peers_close(control, peer);
	if (!had_lane && session->lane)
		control->clients++;
}

static void peers_greet_waiting(struct control *control)
{
	struct peer *peer;

	for (peer = control->peers; peer; peer = peer->next)
		if (peer->is_waiting && !peer->is_closing)
			peer_hello(control, peer);
}

void peers_reap(struct control *control)
{
	struct peer **link = &control->peers;
	bool has_left = false;

	while (*link) {
		struct peer *peer = *link;

		if (!peer->is_closing || !peer->is_lane_gone || peer->socket.is_armed ||
		    peer->death.is_armed) {
			link = &peer->next;
			continue;
		}
		*link = peer->next;
		if (peer->session->lane)
			control->clients--;
		peer_free(peer);
		has_left = true;
	}
	if (has_left)
		peers_greet_waiting(control);
}

struct peer *peers_of_lane(const struct control *control, const struct lane *lane)
{
	struct peer *peer;

	for (peer = control->peers; peer; peer = peer->next)
		if (peer->session->lane == lane)
			return peer;
	return NULL;
}

/* Sockets without a lane are few, and one user's do not take another's place. The admin socket's
 * are counted for themselves, so that whoever is in charge gets in. */
static bool has_place(const struct control *control, const struct session *session)
{
	const struct peer *peer;
	uint32_t of_uid = 0;
	uint32_t of_all = 0;

	for (peer = control->peers; peer; peer = peer->next) {
		if (peer->session->lane || peer->session->is_admin != session->is_admin)
			continue;
		of_all++;
		of_uid += peer->session->uid == session->uid;
	}
	return of_all < SESSIONS_MAX && of_uid < SESSIONS_PER_UID_MAX;
}

bool peers_accept(struct control *control, const struct watch *listener)
{
	bool is_admin = listener->kind == WATCH_LISTENER_ADMIN;
	struct session *session;
	struct peer *peer;
	int turns = ACCEPTS_MAX;
	int fd = 0;

	while (turns-- > 0 &&
	       (fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		if (session_new(fd, is_admin, &control->shares, &session) < 0) {
			close(fd);
			continue;
		}
		if (!has_place(control, session)) {
			share_refuse(session->share, REASON_SOCKETS);
			session_free(session);
			continue;
		}
		if (peer_new(session, ++control->ticket_last, &peer) < 0) {
			share_refuse(session->share, REASON_MEMORY);
			session_free(session);
			continue;
		}
		peer->next = control->peers;
		control->peers = peer;
		watch_arm(&control->waiter, &peer->socket, POLLIN);
		watch_arm(&control->waiter, &peer->death, POLLIN);
	}
	/* What waits there would be reported again at once: anything else rests until the tick. */
	return fd >= 0 || errno == EAGAIN || errno == EINTR;
}

static void peer_ready(struct control *control, struct peer *peer)
{
	struct session *session = peer->session;
	struct message message = { .kind = MESSAGE_LANE_OPEN, .lane = session->lane };

	if (session->state != SESSION_GREETED || lane_populate(session->lane) != 0) {
		peers_close(control, peer);
		return;
	}
	session->state = SESSION_SERVED;
	data_send(&control->data, &message);
}

/* Passes a bell on, unless the lane is hot: then its request is seen anyway. */
static void peer_rang(struct control *control, const struct peer *peer)
{
	struct lane *lane = peer->session->lane;
	struct message message = { .kind = MESSAGE_LANE_RANG, .lane = lane };

	if (peer->session->state == SESSION_SERVED &&
	    control->data.options.bell == DATA_BELL_SOCKET &&
	    hearth_load_relaxed(&lane->daemon->need_wakeup))
		data_send(&control->data, &message);
}

/* What is not there yet may come with the loads of the start: who connects while the daemon starts
 * or is started again waits for them. And a model that is drained comes again. */
static bool model_may_come(const struct control *control, const struct peer *peer)
{
	if (control->is_stopping)
		return false;
	return !control->is_ready || (peer->describe.version == 0 &&
				      registry_is_draining(&control->registry, peer->describe.name));
}

/* One question at a time, as the client's header asks. */
static void peer_describe(struct control *control, struct peer *peer)
{
	uint8_t reply[HEARTH_MESSAGE_BYTES_MAX];
	struct hearth_message head;
	size_t reply_bytes;

	session_describe(&control->registry, &peer->describe, reply, &reply_bytes);
	memcpy(&head, reply, sizeof(head));
	peer->awaits_model = head.status == -ENOENT && model_may_come(control, peer);
	if (!peer->awaits_model && !peer_send(peer, reply, reply_bytes))
		peers_close(control, peer);
}

void peers_ready(struct control *control)
{
	struct peer *peer;

	for (peer = control->peers; peer; peer = peer->next) {
		if (!peer->awaits_model || peer->is_closing)
			continue;
		peer_describe(control, peer);
		/* Watched for packets so far; an answer that waits for room wants another watch. */
		if (peer->pending)
			watch_disarm(&control->waiter, &peer->socket);
	}
}

static void peer_obey(struct control *control, struct peer *peer, const uint8_t *packet,
		      size_t bytes)
{
	struct hearth_message head;

	peer->is_heard = true;
	if (bytes < sizeof(head)) {
		peers_close(control, peer);
		return;
	}
	memcpy(&head, packet, sizeof(head));
	if (head.magic != HEARTH_MAGIC || head.bytes != bytes) {
		peers_close(control, peer);
		return;
	}
	switch (head.type) {
	case HEARTH_MESSAGE_HELLO:
		if (bytes < HELLO_BYTES_MIN || peer->is_waiting) {
			peers_close(control, peer);
			break;
		}
		memset(&peer->hello, 0, sizeof(peer->hello));
		memcpy(&peer->hello, packet,
		       bytes < sizeof(peer->hello) ? bytes : sizeof(peer->hello));
		peer_hello(control, peer);
		break;
	case HEARTH_MESSAGE_READY:
		peer_ready(control, peer);
		break;
	case HEARTH_MESSAGE_DESCRIBE:
		if (peer->awaits_model) {
			peers_close(control, peer);
			break;
		}
		memset(&peer->describe, 0, sizeof(peer->describe));
		memcpy(&peer->describe, packet,
		       bytes < sizeof(peer->describe) ? bytes : sizeof(peer->describe));
		peer_describe(control, peer);
		break;
	case HEARTH_MESSAGE_CONTROL:
		control_obey(control, peer, (const char *)packet + sizeof(head),
			     bytes - sizeof(head));
		break;
	case HEARTH_MESSAGE_BELL:
		peer_rang(control, peer);
		break;
	default:
		peers_close(control, peer);
	}
}

static void peer_readable(struct control *control, struct peer *peer)
{
	uint8_t packet[HEARTH_MESSAGE_BYTES_MAX];
	int turns = 64; /* a peer that floods waits for its next turn */

	while (!peer->is_closing && !peer->pending && turns-- > 0) {
		/* No buffer for descriptors: one that is sent is dropped here. */
		ssize_t bytes = recv(peer->session->fd, packet, sizeof(packet),
				     MSG_DONTWAIT | MSG_TRUNC);

		if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (bytes <= 0 || (size_t)bytes > sizeof(packet)) {
			peers_close(control, peer);
			return;
		}
		peer_obey(control, peer, packet, (size_t)bytes);
	}
}

void peers_listen(struct control *control, struct peer *peer)
{
	/* Who does not read its answers is not asked for more. */
	watch_arm(&control->waiter, &peer->socket, peer->pending ? POLLOUT : POLLIN);
}

void peers_event(struct control *control, struct peer *peer, int events)
{
	if (peer->is_closing)
		return;
	if (events & POLLOUT && !peer_flush(peer))
		peers_close(control, peer);
	/* A closed socket reads as its last packets, then as its end. */
	if (!peer->is_closing && events & (POLLIN | POLLHUP | POLLERR))
		peer_readable(control, peer);
	if (!peer->is_closing)
		peers_listen(control, peer);
}

void peers_expire(struct control *control, uint64_t now_ns)
{
	struct peer *peer;

	for (peer = control->peers; peer; peer = peer->next)
		if (!peer->is_closing &&
		    ((peer->session->state == SESSION_GREETED &&
		      now_ns - peer->session->greeted_ns > GREETING_NS) ||
		     (peer->session->state == SESSION_ACCEPTED && !peer->is_heard &&
		      now_ns - peer->session->accepted_ns > SILENCE_NS)))
			peers_close(control, peer);
}
